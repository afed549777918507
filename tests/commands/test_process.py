"""The program as a process: start-up, pipes that close, disks that are full, ^C, and never a traceback."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import blockdb
from blockdb.commands import serving
from blockdb.commands.command import Command, Where
from blockdb.commands.failures import CannotOpen, describe, exit_code
from blockdb.commands.table import find
from tests.tiers import tiers

from .conftest import Run

PROGRAM = [sys.executable, "-m", "blockdb.commands.main"]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(here: Path) -> Iterator[Start]:
    """Start the program; what still runs at the end of the test is ended."""
    started = []

    def start(*words: str | bytes, program: list[str] = PROGRAM, **options: object) -> subprocess.Popen[bytes]:
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen([*program, *words], cwd=here, **streams)  # type: ignore[call-overload]
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> tuple[int, bytes, str]:
    out, err = process.communicate(stdin, timeout=60)
    assert "Traceback" not in err.decode()
    assert "Exception ignored" not in err.decode()
    return process.returncode, out, err.decode()


@pytest.fixture
def many(here: Path) -> None:
    """A database whose listing does not fit into a pipe."""
    with blockdb.open(here / "blockdb_data") as db:
        db.put_many([(b"key%06d" % number, b"x" * 100) for number in range(5_000)])


def test_the_version_needs_almost_nothing(start: Start) -> None:
    code = "import sys; from blockdb.commands.main import main; main(['--version']); print(*sys.modules)"
    _, out, _ = ended(start(program=[sys.executable, "-c", code]))
    version, modules = out.decode().splitlines()
    assert version == "blockdb 0.1.0"
    loaded = set(modules.split())
    assert not {"argparse", "json", "asyncio", "rich", "textual", "prompt_toolkit", "nacl", "cffi"} & loaded
    assert not {name for name in loaded if name.startswith(("blockdb.database", "blockdb.storage", "blockdb_"))}


def test_a_command_loads_no_terminal_library(start: Start) -> None:
    code = "import sys; from blockdb.commands.main import main; main(['put', 'a', '1']); print(*sys.modules)"
    _, out, _ = ended(start(program=[sys.executable, "-c", code]))
    loaded = set(out.decode().splitlines()[1].split())
    heavy = {
        "asyncio",
        "csv",
        "http.client",
        "importlib.metadata",
        "numpy",
        "prompt_toolkit",
        "rich",
        "ssl",
        "textual",
        "uvicorn",
    }
    assert not heavy & loaded


@pytest.mark.torture
def test_words_of_any_bytes(start: Start) -> None:
    assert ended(start("put", b"\xff\xfe", b"\x80"))[0] == 0
    assert ended(start("get", b"\xff\xfe")) == (0, b"\x80\n", "")


def test_a_pipe_that_closes_is_no_failure(start: Start, many: None) -> None:
    process = start("scan")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    assert ended(process)[0] == 0
    assert process.returncode == 0


def test_a_failure_stays_one_when_nobody_reads(start: Start, many: None, here: Path) -> None:
    damaged = next(path for path in here.rglob("*") if path.is_file() and b"key000001" in path.read_bytes())
    damaged.write_bytes(damaged.read_bytes().replace(b"key000001", b"key00000l"))
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as closed:
        code, _, err = ended(start("verify", stdout=closed))
    assert code == 1
    assert err.startswith("Error: Corruption: ")


@pytest.mark.parametrize("words", tiers([["scan"], ["--version"]], [["get", "key000001"], ["--help"], ["export"]]))
def test_a_full_disk_is_named(start: Start, many: None, words: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        code, _, err = ended(start(*words, stdout=full))
    assert code == 1
    assert err == "Error: IoError: cannot write standard output: No space left on device\n"


@pytest.mark.parametrize("redirection", tiers([">&- 2>&- <&-"], [">&-", "2>&-", "<&-"]))
def test_closed_streams(start: Start, redirection: str) -> None:
    shell = ["sh", "-c", f'"$0" "$@" {redirection}', *PROGRAM]
    assert ended(start("put", "a", "1", program=shell))[0] == 0
    assert ended(start("put", "a", "1", program=shell))[0] == 1
    assert ended(start("get", "a", program=shell))[0] == 0


def test_an_interrupted_import_says_how_far_it_came_and_can_be_run_again(start: Start, here: Path) -> None:
    process = start("import", "-", stdin=subprocess.PIPE)
    assert process.stdin is not None
    lines = [b'{"key":"%d","value":""}\n' % number for number in range(2_500)]
    process.stdin.write(b"".join(lines))
    process.stdin.flush()
    wait_for_records(here / "blockdb_data", 2_500)
    process.send_signal(signal.SIGINT)
    code, out, err = ended(process)
    assert code == 130
    assert out.decode() == (
        "Interrupted while importing standard input: "
        "2,500 stored, 0 already there, 0 refused as duplicates, 0 malformed\n"
    )
    assert err == ""
    again = ended(
        start("--format", "json", "import", "-", stdin=subprocess.PIPE), b"".join(lines) + b'{"key":"x","value":""}'
    )
    assert json.loads(again[1])["present"] == 2_500
    assert json.loads(again[1])["stored"] == 1


def wait_for_records(path: Path, count: int) -> None:
    """Wait until the database has so many records; the test's own time limit ends it."""
    while True:
        try:
            with blockdb.open(path, read_only=True) as db:
                while db.stats().records < count:
                    pass
                return
        except blockdb.BlockDBError:
            continue


def test_an_interrupted_listing(start: Start, many: None) -> None:
    process = start("scan")
    assert process.stdout is not None
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert (code, err) == (130, "Interrupted.\n")


def test_a_bug_is_one_line_with_what_to_report(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("oops\x1b")

    monkeypatch.setattr("blockdb.commands.render.render", broken)
    ran = run("help")
    assert (ran.code, ran.out) == (1, b"")
    assert ran.err.startswith("Error: Internal: KeyError: 'oops\\x1b' [at test_process.py:")
    assert "please report" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_kinds_and_exit_codes() -> None:
    locked = CannotOpen("taken")
    locked.__cause__ = blockdb.DatabaseLocked("taken")
    denied = PermissionError(13, "Permission denied", "file")
    assert (describe(locked), exit_code(locked)) == ("Error: DatabaseLocked: taken", 3)
    assert (describe(denied), exit_code(denied)) == ("Error: IoError: file: Permission denied", 1)
    assert (describe(blockdb.ConfigError("x")), exit_code(blockdb.ConfigError("x"))) == ("Error: ConfigError: x", 2)
    assert exit_code(KeyboardInterrupt()) == 130


def test_the_front_ends_are_found_and_not_imported(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def tui(words: list[str]) -> int:
        started.append(words)
        return 7

    def frontend(name: str) -> Callable[[list[str]], int]:
        assert name == "tui"
        return tui

    monkeypatch.setattr("blockdb.commands.frontends.frontend", frontend)
    assert run("-d", "here", "tui", "--theme", "paper").code == 7
    assert run("tui", "--demo").code == 7
    assert run("tui", "--keys").code == 7
    assert run("-d", "here", "tui", "--keymap", "my.toml", "--fresh").code == 7
    assert started == [["here", "--theme", "paper"], ["--demo"], ["--keys"], ["here", "--keymap", "my.toml", "--fresh"]]
    assert isinstance(find("tui", Where.COMMAND_LINE), Command)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission(start: Start, here: Path) -> None:
    here.chmod(0o500)
    code, _, err = ended(start("put", "a", "1"))
    here.chmod(0o700)
    assert code == 3
    assert err.startswith("Error: StorageError: ")


def test_a_damaged_table_is_repaired(run: Run, here: Path) -> None:
    run("put", "a", "1")
    run("compact")
    [table] = (here / "blockdb_data").glob("collections/*/tables/*.sst")
    table.write_bytes(table.read_bytes()[:-1])
    assert run("verify").code == 1
    repaired = run("verify", "--repair")
    assert repaired.code == 0, repaired
    assert "rebuilt manifest, mark and tables" in repaired.text
    assert run("get", "a").text == "1\n"
    [kept] = (here / "blockdb_data").glob("quarantine/*/collections/*/tables/*.sst")
    assert kept.name == table.name


def test_a_server_that_listens_does_not_go_through_what_it_began_with_again() -> None:
    before, said = gc.get_threshold(), list[str]()
    gc.unfreeze()
    gc.set_threshold(700)
    try:
        serving._listen("It listens.", said.append)
        assert said == ["It listens."]
        assert gc.get_freeze_count() > len(gc.get_objects())
        assert gc.isenabled()
        assert gc.get_threshold()[0] > 700
    finally:
        gc.set_threshold(*before)
