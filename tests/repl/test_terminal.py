"""What backslash commands do to a terminal: a real one, in one run of the shell, and the parts that need none."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import blockdb
from blockdb.commands.failures import IoError
from blockdb.commands.fields import hex_lines, written
from blockdb.commands.pager import pager_command, rows
from blockdb_repl.directives.editing import edited
from blockdb_repl.terminal import usual_style

from .test_shell import CTRL_C, Shell, Start, start

__all__ = ["start"]


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


def test_the_terminal(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", script(tmp_path / "editor", 'printf "get key:7\\nget key:8" >"$1"'))
    monkeypatch.setenv("BLOCKDB_PAGER", "head -n 2")  # one that is left early
    with blockdb.open("blockdb_data") as db:
        db.put_many([(b"key:%d" % number, b"value %d" % number) for number in range(100)])
    shell = start()
    shell.until("blockdb_data>")
    _pages(shell)
    _repeats(shell)
    shell.run(r"\e", "blockdb_data> get key:7\nget key:8")
    assert "value 7" not in shell.screen
    shell.run("", lambda screen: "\nvalue 7\n" in screen and "\nvalue 8\n" in screen)
    shell.run(r"\history 2", "    7  get key:7␊get key:8\n    8  \\history 2\n")
    shell.run('put several {"a":', 'several {"a":\n\n')
    shell.run("  [1, 2]}", "Successfully stored")
    shell.run("get several", '\n{"a":\n  [1, 2]}\n')
    shell.run(r"\style vi", "Style: vi.\nblockdb_data>")
    shell.until("vi insert")
    shell.run(r"\theme paper", lambda screen: r"\theme paper" in screen)
    shell.run(r"\theme nope", "Error: Usage: ")
    shell.run(r"\q", "Goodbye!")
    assert shell.ended() == 0


def _pages(shell: Shell) -> None:
    shell.run("scan --all", "KEY     VALUE\nkey:0   value 0\n")
    shell.run("scan --limit 3", "key:1   value 1\nkey:10  value 10\n")
    assert "key:2 " not in shell.screen
    shell.run(r"\pager off", "Pager: off.\nblockdb_data>")
    shell.run("scan --all", "key:99  value 99\n")


def _repeats(shell: Shell) -> None:
    shell.run(r"\watch 0.5 scan --all", " more lines; --limit, or a taller window")
    assert "Every 0.5 s: scan --all   20" in shell.screen
    shell.type(CTRL_C)
    shell.until("Ended; it ran ")


WAITING = "trap 'echo still here' INT; head -n 1; while ! read answer </dev/tty; do :; done"


@pytest.fixture
def hundred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with blockdb.open("blockdb_data") as db:
        db.put_many([(b"key:%03d" % number, b"value") for number in range(100)])


@pytest.mark.usefixtures("hundred")
def test_the_command_line_pages_what_is_longer_than_the_screen(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCKDB_PAGER", "head -n 2")  # one that is left early
    ran = start("scan", "--all")
    assert (ran.ended(), ran.raw.count(b"\n"), ran.raw.count(b"key:")) == (0, 3, 1), "and what is known of them"


@pytest.mark.torture
@pytest.mark.usefixtures("hundred")
@pytest.mark.parametrize(
    ("words", "pager", "terminal"),
    [
        (("scan", "--all", "--no-pager"), "head -n 2", "xterm"),
        (("--no-pager", "scan", "--all"), "head -n 2", "xterm"),
        (("scan", "--all"), "off", "xterm"),
        (("scan", "--all"), "head -n 2", "dumb"),
    ],
)
def test_all_of_it_runs_through_where_no_pager_is_wanted(
    start: Start, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], pager: str, terminal: str
) -> None:
    monkeypatch.setenv("BLOCKDB_PAGER", pager)
    ran = start(*words, terminal=terminal)
    assert ran.ended() == 0
    assert ran.raw.count(b"key:") == 100


@pytest.mark.torture
@pytest.mark.usefixtures("hundred")
def test_ctrl_c_ends_the_work_and_leaves_the_pager_to_itself(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pager = script(tmp_path / "pager", WAITING)
    monkeypatch.setenv("BLOCKDB_PAGER", pager)
    ran = start("scan", "--all")
    ran.until("KEY")
    ran.type(CTRL_C)
    ran.until("still here")
    ran.type("\r")
    assert ran.ended() in (0, 130)
    assert "Traceback" not in ran.screen


@pytest.mark.parametrize(
    ("environ", "pager"),
    [
        ({"BLOCKDB_PAGER": "cat -n", "PAGER": "sh"}, "cat -n"),
        ({"PAGER": "sh"}, "sh"),
        ({"BLOCKDB_PAGER": "off", "PAGER": "sh"}, None),
        ({"BLOCKDB_PAGER": "", "PAGER": "sh"}, None),
        ({"PAGER": "cat"}, None),
        ({"PAGER": "no-such-pager -x"}, None),
        ({"PAGER": "'open"}, None),
    ],
)
def test_the_pager_that_the_environment_names(environ: dict[str, str], pager: str | None) -> None:
    assert pager_command({"PATH": os.environ["PATH"], **environ}) == pager


def test_rows_of_a_line() -> None:
    assert [rows(text, 10) for text in ("", "x" * 10, "x" * 11, "\x1b[38;5;1m" + "x" * 10 + "\x1b[0m")] == [1, 1, 2, 1]


def test_an_editor_that_fails_gives_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv(
        "EDITOR", script(tmp_path / "editor", f'cp -p "$1" {tmp_path}/seen; echo "$1" >{tmp_path}/where; exit 3')
    )
    with pytest.raises(IoError, match="exit code 3"):
        edited("put a 1")
    assert (tmp_path / "seen").read_text() == "put a 1\n"
    assert stat.S_IMODE((tmp_path / "seen").stat().st_mode) == 0o600
    assert not Path((tmp_path / "where").read_text().strip()).exists()
    monkeypatch.setenv("EDITOR", "no-such-editor")
    with pytest.raises(IoError, match="no-such-editor"):
        edited("")


def test_the_keys_that_readline_is_told(tmp_path: Path) -> None:
    inputrc = tmp_path / "inputrc"
    assert usual_style({"INPUTRC": str(inputrc)}) == "emacs"
    inputrc.write_text("# set editing-mode vi\n")
    assert usual_style({"INPUTRC": str(inputrc)}) == "emacs"
    inputrc.write_text("set bell-style none\n set editing-mode  vi \n")
    assert usual_style({"INPUTRC": str(inputrc)}) == "vi"


def test_a_dump_leaves_nothing_out() -> None:
    assert list(hex_lines(b"")) == ["00000000"]
    lines = list(hex_lines(bytes(16) * 3 + b"ab"))
    assert lines[2] == f"00000020  {'00 ' * 7}00  {'00 ' * 7}00  |{'.' * 16}|"
    assert lines[3:] == [f"00000030  61 62{' ' * 45}|ab|", "00000032"]


def test_fields_within_fields() -> None:
    assert written({"a": {"b": {"c": 1}, "d": None}, "e": {}, "f": [1, "\x1b"]}) == {
        "a.b.c": "1",
        "a.d": "null",
        "e": "{}",
        "f": '[1,"\\u001b"]',
    }
