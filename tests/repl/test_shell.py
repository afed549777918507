"""The shell on a terminal: a real one (a pty), whose screen is read as a person reads it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pyte
import pytest

import blockdb

UP, TAB, ENTER, CTRL_C, CTRL_D = "\x1b[A", "\t", "\r", "\x03", "\x04"
PATIENCE_S = 30


class Shell:
    """A running shell: `screen` is what a person sees, `raw` every byte that the terminal was sent."""

    def __init__(self, *words: str, terminal: str = "xterm-256color") -> None:
        environment = {**os.environ, "TERM": terminal, "COLORTERM": "truecolor"}
        program = ["-m", "blockdb.commands.main", *words]
        self.process = pexpect.spawn(sys.executable, program, env=environment, dimensions=(24, 80), timeout=PATIENCE_S)
        self.raw = b""
        self._screen = pyte.Screen(80, 24)
        self._screen.write_process_input = self.process.send  # a terminal answers when it is asked where the cursor is
        self._stream = pyte.ByteStream(self._screen)

    @property
    def screen(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display)

    def until(self, there: str | Callable[[str], bool]) -> str:
        """Wait until the screen shows a text (or passes a test) and give the screen."""
        shown = (lambda screen: there in screen) if isinstance(there, str) else there
        while not shown(self.screen):
            try:
                data = self.process.read_nonblocking(65_536)
            except (pexpect.TIMEOUT, pexpect.EOF) as error:
                raise AssertionError(f"{there} is not on the screen:\n{self.screen}") from error
            self.raw += data
            self._stream.feed(data)
        return self.screen

    def type(self, keys: str) -> None:
        self.process.send(keys)

    def run(self, line: str, then: str | Callable[[str], bool]) -> str:
        self.type(line + ENTER)
        return self.until(then)

    def ended(self) -> int | None:
        """Wait for the end and give the exit code."""
        while True:
            try:
                data = self.process.read_nonblocking(65_536)
            except pexpect.EOF:
                break
            self.raw += data
            self._stream.feed(data)
        self.process.wait()
        return self.process.exitstatus  # type: ignore[no-any-return]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Shell]]:
    """Start a shell in an empty directory; it is ended with the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    shells: list[Shell] = []

    def start(*words: str, terminal: str = "xterm-256color") -> Shell:
        shells.append(Shell(*(words or ("repl",)), terminal=terminal))
        return shells[-1]

    yield start
    for shell in shells:
        shell.process.close(force=True)


Start = Callable[..., Shell]


def test_a_conversation(start: Start) -> None:
    shell = start("interactive")
    shell.until("BlockDB Interactive Mode\nType 'help' for available commands, 'exit' to quit.\n\nblockdb_data>")
    shell.run('put user:1001 "John Doe"', "Successfully stored key-value pair")
    shell.run("get user:1001", "\nJohn Doe\n")
    shell.run("put user:1001 again", "Error: DuplicateKey: Key 'user:1001' already exists.")
    shell.run("gte user:1001", "did you mean get?")
    shell.run("verify", "✓ Blockchain integrity verified successfully")
    assert re.search(
        r"blockdb_data +records 1 +height 0 blocks +proven 0 blocks +last [\d.]+ [mµ]?s", shell.until("records 1")
    )
    shell.type("exit" + ENTER)
    assert shell.ended() == 0
    assert "Goodbye!" in shell.screen


def test_a_conversation_about_collections(start: Start) -> None:
    shell = start("interactive")
    shell.until("blockdb_data>")
    shell.run("collection create users", "Collection 'users' created with ID: col_")
    shell.run('collection put users user:1001 "Alice"', "Successfully stored document in collection")
    shell.run("collection get users user:1001", "\nAlice\n")
    shell.run("collection list", ") - 1 documents, 14 bytes")
    shell.run("use users", "blockdb_data/users>")
    shell.until("records 1")
    shell.type("get user")
    shell.until("> get user")
    shell.type(TAB)
    shell.run("", "get user:1001\nAlice\n")
    shell.run("watch --until-end", "0  block 0.0")
    shell.run("use", "Using the default collection")
    shell.until("records 0")
    shell.type("exit" + ENTER)
    assert shell.ended() == 0


@pytest.mark.torture
def test_a_live_view_is_left_with_control_c(start: Start) -> None:
    with blockdb.open("blockdb_data") as db:
        shell = start()
        shell.until("read-only")
        shell.type("watch --after -1" + ENTER)
        for number in range(2):
            db.put(b"%d" % number, b"")
        shell.until("1  block 0.1")
        shell.type(CTRL_C)
        shell.until("Interrupted; --after 1 goes on from here.")
        shell.run("get 0 --exists", lambda screen: screen.rstrip().count("blockdb_data>") >= 2)


@pytest.mark.torture
def test_control_d_leaves(start: Start) -> None:
    shell = start()
    shell.until("blockdb_data>")
    shell.type(CTRL_D)
    assert shell.ended() == 0
    assert "Goodbye!" in shell.screen


@pytest.mark.torture
def test_completion_of_commands_and_of_live_keys(start: Start) -> None:
    shell = start()
    shell.until("blockdb_data>")
    shell.run("put user:1001 one", "Successfully")
    shell.run("put user:1002 two", lambda screen: screen.count("Successfully") == 2)
    shell.type("sc")
    shell.until("List records in the order of their keys.")
    shell.type(CTRL_C)
    shell.type("get user:1")
    shell.until(lambda screen: "user:1001\n" in screen and "user:1002\n" in screen)
    shell.type(TAB + TAB)
    shell.until("> get user:1002")
    shell.run("", "\ntwo\n")


@pytest.mark.torture
def test_history_comes_back_without_values(start: Start) -> None:
    shell = start()
    shell.until("blockdb_data>")
    shell.run("put key hidden-value", "Successfully")
    shell.run("get key", "hidden-value\n")
    shell.type(CTRL_D)
    shell.ended()
    again = start()
    again.until("blockdb_data>")
    again.type(UP)
    again.until("> get key")
    again.type(UP)
    assert "hidden" not in again.until("> put key")


@pytest.mark.torture
def test_control_c_drops_the_line(start: Start) -> None:
    shell = start()
    shell.until("blockdb_data>")
    shell.type("put key value")
    shell.until("> put key value")
    shell.type(CTRL_C)
    shell.run("get key --exists", lambda screen: screen.count("blockdb_data>") >= 3)
    assert "Successfully" not in shell.screen


def test_control_c_cancels_a_command(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never")
    shell = start()
    shell.until("blockdb_data>")
    shell.type("put key never --file" + ENTER)
    writer = os.open(tmp_path / "never", os.O_WRONLY)  # returns as soon as the command reads
    shell.type(CTRL_C)
    shell.until(lambda screen: screen.count("blockdb_data>") == 2)
    os.close(writer)
    shell.run("put key value", "Successfully")


def test_hostile_bytes_are_shown_and_not_obeyed(start: Start, tmp_path: Path) -> None:
    with blockdb.open("blockdb_data") as db:
        db.put(b"evil\x1b]52;c;QUFB\x07", b"\x1b]0;title\x07\xc2\x9b31m\x9b31m\xe2\x80\xaereversed [/foo]")
        db.put(b"evil:json", '{"a": "\u2028\u202e\x7f"}'.encode())
    shell = start()
    shell.until("blockdb_data>")
    shell.type("get evil")
    shell.until("evil␛]52;c;QUFB␇")
    shell.type(TAB)
    shell.until('get "evil\\x1b]52;c;QUFB\\x07"')
    shell.run("", "␛]0;title␇<U+009B>31m<0x9B>31m<U+202E>reversed [/foo]")
    shell.run("scan", "evil:json")
    shell.run("get evil:json --format json", "u202e")
    shell.run("put evil:json again", "DuplicateKey")
    shell.type("exit" + ENTER)
    shell.ended()
    for forbidden in (b"\x1b]52", b"\x1b]0", b"\xc2\x9b", "\u202e".encode(), "\u2028".encode()):
        assert forbidden not in shell.raw
    assert not re.search(rb"(?<![\xc2-\xf4\x80-\xbf])[\x80-\xbf]", shell.raw)


@pytest.mark.torture
def test_of_a_pasted_block_all_runs_or_nothing(start: Start) -> None:
    shell = start()
    shell.until("blockdb_data>")
    shell.type("\x1b[200~put a 1\nbogus\nput b 2\x1b[201~" + ENTER)
    shell.until("line 2: Error: Usage: there is no command 'bogus'")
    assert "Successfully" not in shell.until("None of the 3 lines was run.")
    shell.until(lambda screen: screen.count("blockdb_data>") >= 2)  # what is typed earlier is the terminal's to echo
    shell.type("\x1b[200~put a 1\n# a comment\nget a\x1b[201~" + ENTER)
    shell.until("\n1\n")
    shell.until(lambda screen: screen.count("blockdb_data>") >= 3)
    shell.type("\x1b[200~put a 2\nput never 1\x1b[201~" + ENTER)
    shell.until("line 1: Error: DuplicateKey")
    shell.until(lambda screen: screen.count("blockdb_data>") >= 4)
    shell.run("get never --exists", lambda screen: screen.count("blockdb_data>") >= 5)
    shell.run("scan --keys-only", "KEY\na\n")


@pytest.mark.torture
def test_beside_a_writer_the_shell_reads_and_sees_it_write(start: Start) -> None:
    with blockdb.open("blockdb_data") as db:
        db.put(b"first", b"1")
        shell = start()
        shell.until(lambda screen: "records 1" in screen and "read-only" in screen)
        db.put(b"second", b"2")
        shell.until("records 2")
        shell.run("get second", "\n2\n")
        shell.run("put third 3", "Error: ReadOnly: ")


def test_a_database_that_cannot_be_opened_ends_the_shell(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    shell = start("-d", "file", "repl")
    assert shell.ended() == 3
    assert re.search("Error: (StorageError|DatabaseNotFound): ", shell.screen)
    assert "Traceback" not in shell.screen


@pytest.mark.torture
def test_without_colours(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    shell = start()
    shell.until("blockdb_data>")
    shell.run('put k {"a":1}', "Successfully")
    shell.run("get k", '\n{"a":1}\n')
    shell.type("exit" + ENTER)
    shell.ended()
    assert not re.search(rb"\x1b\[[\d;]*[34]8;[25];", shell.raw)
