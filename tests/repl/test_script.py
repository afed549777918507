"""Lines from pipes, files and the command line: data on standard output and nothing else, and every failure named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import blockdb

from .conftest import Run

PROGRAM = [sys.executable, "-m", "blockdb.commands.main"]
DUPLICATE = "Error: DuplicateKey: Key 'a' already exists. BlockDB is append-only and does not allow updates.\n"


@pytest.mark.parametrize("name", ["repl", "interactive"])
def test_a_pipe_gets_data_and_nothing_else(here: Path, name: str) -> None:
    ran = subprocess.run([*PROGRAM, name], cwd=here, input=b"put a 1\nget a\n", capture_output=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (0, b"1\n")
    assert ran.stderr == b"Successfully stored key-value pair\n"


def test_a_script_loads_no_terminal_library(here: Path) -> None:
    code = "import sys; from blockdb.commands.main import main; main(['repl']); print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=here, input=b"get a\n", capture_output=True, timeout=60)
    loaded = set(ran.stderr.decode().split())
    assert "blockdb_repl.script" in loaded
    assert not {"prompt_toolkit", "asyncio", "rich"} & loaded


TO_THE_FIRST_PROMPT = """
import os, sys, blockdb_repl.main, prompt_toolkit
blockdb_repl.main.is_terminal = lambda _: True
def prompt(session, **_):
    os.write(2, " ".join(sys.modules).encode())
    os._exit(0)
prompt_toolkit.PromptSession.prompt = prompt
from blockdb.commands.main import main
main(["-d", ".", "repl"])
"""


def test_the_first_prompt_waits_for_no_engine_and_no_table_of_commands(here: Path) -> None:
    command = [sys.executable, "-c", TO_THE_FIRST_PROMPT]
    ran = subprocess.run(command, cwd=here, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    loaded = set(ran.stderr.decode().split())
    assert "blockdb_repl.shell" in loaded
    engine = {f"blockdb.{room}" for room in ("database", "storage", "statistics", "types", "nodes", "query")}
    commands = {f"blockdb.commands.{name}" for name in ("records", "render", "pager", "completing", "helptext")}
    assert not {*engine, *commands, "blockdb_repl.directives", "importlib.metadata", "difflib", "pygments"} & loaded


def test_words_go_to_standard_error(run: Run) -> None:
    ran = run("repl", stdin=b"put a 1\nverify\nflush\nhelp get\n")
    assert (ran.code, ran.out) == (0, b"")
    assert "✓ Blockchain integrity verified successfully" in ran.err
    assert "SYNOPSIS\n    get KEY" in ran.err


def test_listings_and_facts_are_data(run: Run) -> None:
    ran = run("repl", stdin=b"put a 1\nscan\nscan --keys-only --format raw\nstats\nverify --format json\n")
    lines = ran.text.splitlines()
    assert lines[:3] == ['{"key":"a","value":"1"}', "a", "BlockDB Statistics:"]
    assert lines[-1].startswith('{"success":true')


def test_comments_blank_lines_and_other_line_ends(run: Run) -> None:
    ran = run("repl", stdin=b"\xef\xbb\xbf# a script\r\n\r\n   \n  put a 1\r\nget a")
    assert (ran.code, ran.out) == (0, b"1\n")


def test_any_bytes_can_be_stored_by_a_script(run: Run) -> None:
    run("repl", stdin=b'put \xff\x00 "\\xfe\\n"\nput b "it\'s \\"x\\""\nput c {"a":1}\n')
    with blockdb.open("blockdb_data", read_only=True) as db:
        assert dict(db.scan()) == {b"\xff\x00": b"\xfe\n", b"b": b'it\'s "x"', b"c": b'{"a":1}'}


def test_a_failing_line_names_its_number_and_stops(run: Run) -> None:
    ran = run("repl", stdin=b"put a 1\n\nput a 2\nget a\n")
    assert (ran.code, ran.out) == (1, b"")
    assert ran.err.endswith(f"line 3: {DUPLICATE}")


def test_or_goes_on(run: Run) -> None:
    ran = run("repl", "--on-error", "continue", stdin=b"put a 1\nput a 2\nget a\n")
    assert (ran.code, ran.out) == (1, b"1\n")
    assert f"line 2: {DUPLICATE}" in ran.err
    assert run("repl", "--on-error", "stop", stdin=b"put a 2\nget a\n").out == b""


WRONG = [b"bogus", b"get", b"get 'a", b"get a b", b"put a 1 --format csv", b"repl", b"import -"]


@pytest.mark.parametrize("line", WRONG)
def test_a_line_that_is_no_command_is_wrong_usage(run: Run, line: bytes) -> None:
    ran = run("repl", stdin=b"\n" + line + b"\nput b 1\n")
    assert ran.code == 2
    assert ran.err.startswith("line 2: Error: Usage: ")
    assert len(ran.err.splitlines()) == 1
    both = run("repl", "--on-error", "continue", stdin=b"put b 1\nput b 2\n" + line + b"\n")
    assert both.code == 2


def test_a_key_that_has_to_exist(run: Run) -> None:
    ran = run("repl", stdin=b"get missing\nget missing --exists\nput a 1\n")
    assert (ran.code, ran.out) == (1, b"")
    assert ran.err == "line 2: Error: NotFound: key 'missing' is not stored\n"


def test_lines_and_files_in_the_order_given(run: Run, here: Path) -> None:
    (here / "script.txt").write_bytes(b"get a\nput b 2\nput b 3\n")
    ran = run(
        "repl", "-c", "put a 1", "-f", "script.txt", "-c", "get b", "--on-error", "continue", stdin=b"put never 1\n"
    )
    assert (ran.code, ran.out) == (1, b"1\n2\n")
    assert "script.txt: line 3: Error: DuplicateKey: " in ran.err
    ran = run("repl", "--command", "get a\nget b", "--file", "-", "-c", "put a 1", stdin=b"get a\n")
    assert (ran.code, ran.out) == (1, b"1\n2\n1\n")
    assert ran.err == f"-c 2: line 1: {DUPLICATE}"


def test_a_script_that_is_not_there(run: Run) -> None:
    ran = run("repl", "-f", "missing.txt")
    assert ran.code == 1
    assert ran.err.endswith("Error: IoError: cannot read missing.txt: No such file or directory\n")


def test_exit_ends_everything(run: Run) -> None:
    ran = run("repl", "-c", "put a 1", "-c", "exit", "-c", "get a")
    assert (ran.code, ran.out) == (0, b"")
    assert run("repl", stdin=b"quit\nget a\n").out == b""


def test_the_format_of_a_session(run: Run) -> None:
    script = b"put a 1\nget a\nscan\nexport\nscan --format raw\nhelp\n"
    ran = run("--format", "csv", "repl", stdin=script)
    assert ran.code == 0
    assert ran.text == "key,value,encoding\na,1,\n" * 3 + "1\n"


def test_no_database_no_script(run: Run, here: Path) -> None:
    (here / "file").write_bytes(b"")
    ran = run("-d", "file", "repl", stdin=b"get a\n")
    assert ran.code == 3
    assert ran.err.startswith("Error: ")
    assert run("-d", "missing", "repl", "--read-only", stdin=b"get a\n").code == 3


def test_beside_a_writer_a_script_reads(run: Run) -> None:
    with blockdb.open("blockdb_data") as db:
        db.put(b"a", b"1")
        ran = run("repl", stdin=b"get a\nput b 1\n")
        assert (ran.code, ran.out) == (1, b"1\n")
        assert ran.err.startswith(
            "Another process writes ./blockdb_data: opened to read only.\nline 2: Error: ReadOnly: "
        )
    assert "line 1: Error: ReadOnly" in run("repl", "--read-only", stdin=b"put b 1\n").err


def test_a_script_says_where_it_stopped_when_nobody_reads(here: Path) -> None:
    lines = [b'put "%d" %s\nget "%d"\n' % (number, b"x" * 3_000, number) for number in range(100)]
    (here / "script.txt").write_bytes(b"".join(lines))
    command = [*PROGRAM, "repl", "-f", "script.txt"]
    process = subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 1
    assert "Error: IoError: standard output was closed at script.txt: line " in err
    assert "what follows did not run" in err
    assert "Traceback" not in err


def test_an_unknown_theme_is_wrong_usage(run: Run) -> None:
    ran = run("repl", "--theme", "nonsense", "-c", "help")
    assert ran.code == 2
    assert "there is no such theme" in ran.err


def test_a_bug_in_a_line_is_a_failure_of_that_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("oops")

    monkeypatch.setattr(blockdb.Database, "flush", broken)
    ran = run("repl", "--on-error", "continue", stdin=b"put a 1\nflush\nget a\n")
    assert (ran.code, ran.out) == (1, b"1\n")
    assert "line 2: Error: Internal: RuntimeError: oops" in ran.err
