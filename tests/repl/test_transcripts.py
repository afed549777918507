"""Whole sessions, byte for byte: what goes in, what comes out on either stream, and the exit code.

Each file of `transcripts/` is one session. `RETAKE=1 pytest tests/repl/test_transcripts.py` writes what comes out now
into them; look at the difference before it is committed.
"""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

import pytest

import blockdb
from blockdb.commands import cli
from blockdb_repl import session
from blockdb_repl.directives import watching
from blockdb_repl.directives.reference import page_with_table
from blockdb_repl.directives.table import DIRECTIVES

FOLDER = Path(__file__).parent / "transcripts"
TRANSCRIPTS = sorted(FOLDER.glob("*.txt"))
_PART = re.compile(rb"^=== (words|input|output|errors|exit code)\n", re.MULTILINE)
_NOW = re.compile(rb"20(2[4-9]|[3-9]\d)-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?Z")
_NO_NEWLINE = b"\n(no newline at the end)\n"


def parts(data: bytes) -> dict[str, bytes]:
    """The parts of a transcript by their names."""
    found = _PART.split(data)[1:]
    return {name.decode(): text for name, text in zip(found[::2], found[1::2], strict=True)}


def written(found: dict[str, bytes]) -> bytes:
    """The transcript that has these parts."""
    return b"".join(b"=== %s\n%s" % (name.encode(), text) for name, text in found.items())


def marked(data: bytes) -> bytes:
    """Output with no moments of today in it, whose end can be seen, should it not be the end of a line."""
    data = _NOW.sub(b"(now)", data)
    return data if not data or data.endswith(b"\n") else data + _NO_NEWLINE


@pytest.fixture
def quiet_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same place, moment, settings and database for every session."""
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("COLUMNS", "20")  # which nothing in a pipe may depend on
    monkeypatch.setattr(session, "perf_counter", lambda: 0.0)
    monkeypatch.setattr(watching, "now_ms", lambda: 1_700_000_000_000)
    with blockdb.open("blockdb_data") as db:
        db.put_many(
            [
                (b"user:1", b'{"name":"Ann","age":41}'),
                (b"user:2", b'{"name":"Bob","age":17}'),
                (b"raw", b"\x1b[2J\xff\n"),
            ]
        )


@pytest.mark.usefixtures("quiet_world")
@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_a_session(path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    given = parts(path.read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given["input"])))
    code = cli.run(["repl", *given.get("words", b"").decode().split()])
    out, err = capfdbinary.readouterr()
    there = {name: given[name] for name in ("words", "input") if name in given}
    there |= {"output": marked(out), "errors": marked(err), "exit code": b"%d\n" % code}
    if os.environ.get("RETAKE"):
        path.write_bytes(written(there))
    assert written(there).decode("utf-8", "replace") == path.read_bytes().decode("utf-8", "replace")


def test_every_directive_of_scripts_is_in_a_transcript() -> None:
    shown = b"".join(path.read_bytes() for path in TRANSCRIPTS).decode("utf-8", "replace")
    for directive in DIRECTIVES:
        assert f"\\{directive.name}" in shown
        for line, _ in directive.examples:
            assert len(line) < 78


def test_the_page_about_the_shell_has_the_table_of_today() -> None:
    page = (Path(__file__).parents[2] / "docs" / "SHELL.md").read_text()
    assert page_with_table(page) == page, "python -m blockdb_repl.directives.reference docs/SHELL.md"
