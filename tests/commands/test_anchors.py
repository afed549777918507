"""anchor, witness, checkpoint and verify --anchor, as they are typed."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import blockdb
import blockdb.witness
from blockdb.commands.command import Where
from blockdb.commands.parsing import parse_arguments
from blockdb.commands.table import take
from tests.witness.family import end, start_witness

from .conftest import Run


@pytest.fixture
def data(here: Path) -> Path:
    with blockdb.open("blockdb_data") as db:
        db.put(b"a", b"1")
    return here / "blockdb_data"


@pytest.fixture
def witness(run: Run, here: Path) -> Iterator[tuple[str, str]]:
    """The URL and the key of a witness that was made by the commands, and trusts the database."""
    key = run("witness", "init", "witness", "--name", "witness.example/w1").text.strip()
    run("put", "a", "1")
    owner, origin = run("keys", "show").text.strip(), run("checkpoint").text.split("\n")[0]
    trusted = run("witness", "trust", "witness", owner, "--origin", origin)
    assert trusted.text == f"Checkpoints of {origin} are cosigned\n"
    process, url = start_witness(here / "witness")
    yield url, key
    assert end(process, lambda: process.send_signal(signal.SIGINT)) == 0


def test_a_witness_from_first_to_last(run: Run, witness: tuple[str, str], here: Path) -> None:
    url, key = witness
    assert run("anchor", "add", url, "--key", key).text == f"Checkpoints are given to {url} from now on\n"
    note = run("checkpoint").text
    assert note.count("\n— ") == 2
    assert "\n— witness.example/w1 " in note
    run("put", "b", "2")
    assert json.loads(run("checkpoint", "--format", "json").out)["failures"] == {}
    assert run("verify").code == 0
    shutil.copytree("blockdb_data", "copy")
    run("put", "c", "3")
    run("checkpoint")
    ran = run("-d", "copy", "verify")
    assert ran.code == 1
    assert f"Error: Corruption: {url}: it has the checkpoint of 3 entries of the journal, and here are 2" in ran.err
    assert run("-d", "copy", "anchor", "remove", url).code == 0
    for command in ("verify", "audit"):
        assert run("-d", "copy", command).code == 0
        ran = run("-d", "copy", command, "--anchor", url, "--anchor-key", key)
        assert ran.code == 1
        assert "and here are 2" in ran.err


def test_files(run: Run, data: Path, here: Path) -> None:
    assert run("anchor", "list").out == b""
    assert run("anchor", "add", "kept").code == 0
    assert run("anchor", "list", "--format", "csv").text == f"where,kind,key\n{here / 'kept'},file,\n"
    run("put", "b", "2")
    assert run("checkpoint", "-o", "today").text == "Checkpoint written to today\n"
    assert (here / "today").read_text() in (here / "kept").read_text()
    (here / "kept").rename(here / "elsewhere")
    run("put", "c", "3")
    ran = run("checkpoint")
    assert ran.code == 1
    assert ran.text.endswith("=\n")
    assert ran.err.startswith(f"Error: Anchor: {here / 'kept'}: the file is not there any more")
    failures = json.loads(run("checkpoint", "--format", "json").out)["failures"]
    assert list(failures) == [str(here / "kept")]
    assert run("anchor", "remove", "kept").code == 0
    assert run("checkpoint").code == 0
    assert run("verify", "--anchor", "elsewhere").code == 0
    assert run("verify", "--anchor", "today").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("anchor", "add", "blockdb_data/kept"), "inside the database directory"),
        (("anchor", "add", "http://127.0.0.1:1"), "needs its key"),
        (("anchor", "remove", "kept"), "is no anchor of this database"),
        (("verify", "--anchor-key", "x"), "--anchor-key follows the --anchor"),
        (("verify", "--anchor", "x", "--anchor-key", "a", "--anchor-key", "b"), "--anchor-key follows the --anchor"),
        (("verify", "--anchor", "x", "--anchor-key", "a"), "only a witness has a key"),
        (("verify", "--anchor", "http://127.0.0.1:1"), "needs its key"),
        (("witness", "serve", "nowhere"), "witness init nowhere"),
        (("witness", "serve", "x", "--port", "70000"), "is not a port"),
        (("witness", "init", "x"), "--name"),
        (("witness", "init", "blockdb_data", "--name", "w"), "not empty"),
    ],
)
def test_what_cannot_be_is_told(run: Run, data: Path, words: tuple[str, ...], message: str) -> None:
    ran = run(*words)
    assert ran.code in (1, 2)
    assert message in ran.err
    assert len(ran.err.splitlines()) == 1


def test_the_lines_of_the_documentation_are_commands() -> None:
    page = (Path(__file__).parents[2] / "docs" / "WITNESS.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("blockdb ")]
    assert len(lines) > 6
    for line in lines:
        command, words = take(shlex.split(line, comments=True)[1:], Where.COMMAND_LINE)
        parse_arguments(command, words, globals=True)


def test_a_missing_server_tells_how_to_get_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("witness", "init", "witness", "--name", "w")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    loaded = ("blockdb.witness.serving", "blockdb.serving", "uvicorn.")
    for name in [name for name in sys.modules if name.startswith(loaded)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(blockdb.witness, "serving", raising=False)
    ran = run("witness", "serve", "witness")
    assert ran.code == 1
    assert "pip install 'blockdb[server]'" in ran.err
