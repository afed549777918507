"""The program from the outside: arguments, exit codes, and what happens where there is no terminal, or no more."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import blockdb
from blockdb_tui.main import main

PROGRAM = [sys.executable, "-m", "blockdb_tui.main"]
WAIT_S = 60.0


class Terminal:
    """The explorer on a pseudo-terminal that is nobody's controlling one, so that no SIGHUP tells of its end."""

    def __init__(self, arguments: list[str], directory: Path | None, program: list[str] = PROGRAM) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [*program, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=environment,
            cwd=directory,
        )
        os.close(slave)
        self.seen = b""

    def press(self, keys: bytes) -> None:
        self.seen = b""
        os.write(self.master, keys)

    def wait_for(self, words: bytes, patience_s: float = WAIT_S) -> None:
        deadline = time.monotonic() + patience_s
        while words not in self.seen:
            assert time.monotonic() < deadline, self.seen[-2000:]
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 1 << 16)

    def read_to_the_end(self) -> int:
        """Keeps the terminal flowing until the process has ended."""
        while self.process.poll() is None:
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.master, 1 << 16)
                except OSError:  # nobody has the other end any more
                    break
        return self.process.wait(WAIT_S)

    def words(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()


@contextmanager
def on_terminal(*arguments: str, directory: Path | None = None, program: list[str] = PROGRAM) -> Iterator[Terminal]:
    terminal = Terminal(list(arguments), directory, program)
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            terminal.process.kill()
        terminal.process.wait()
        assert terminal.process.stderr is not None
        terminal.process.stderr.close()
        with suppress(OSError):  # a test may have closed it
            os.close(terminal.master)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=4) as opened:
        opened.put_many([(b"key:%d" % number, b'{"n": %d}' % number) for number in range(10)])
    return tmp_path / "db"


def test_off_a_terminal_it_says_so_in_one_line(database: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, str(database)], capture_output=True, stdin=subprocess.DEVNULL, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: UsageError: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "is not there"),
        pytest.param(lambda path: path.mkdir(), "is empty", marks=pytest.mark.torture),
        pytest.param(lambda path: path.write_text("x"), "is not a directory", marks=pytest.mark.torture),
        (lambda path: (path.mkdir(), (path / "notes.txt").write_text("x")), ""),
    ],
)
def test_what_is_no_database_is_refused_in_words(tmp_path: Path, make: object, words: str) -> None:
    path = tmp_path / "place"
    make(path)  # type: ignore[operator]
    with on_terminal(str(path)) as terminal:
        assert terminal.read_to_the_end() == 3
        said = terminal.words()
        assert said.startswith("Error: DatabaseNotFound: ")
        assert words in said
        assert "Traceback" not in said


def test_an_unknown_theme_is_wrong_usage(database: Path) -> None:
    with on_terminal(str(database), "--theme", "neon") as terminal:
        assert terminal.read_to_the_end() == 2
        assert "basalt" in terminal.words()


def test_help_and_version_need_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for flag, words in (("--help", "--demo"), ("--version", blockdb.__version__)):
        with pytest.raises(SystemExit) as left:
            main([flag])
        assert left.value.code == 0
        assert words in capsys.readouterr().out


def test_wrong_usage_is_said_as_every_error_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--nonsense"])
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("Error: UsageError: ")


def test_the_directory_comes_from_the_settings_where_none_is_given(database: Path, tmp_path: Path) -> None:
    (tmp_path / "blockdb.toml").write_text(f'[database]\ndata_dir = "{database}"\n')
    with on_terminal(directory=tmp_path) as terminal:
        terminal.wait_for(b"nothing wrong")
    (tmp_path / "blockdb.toml").write_text("[database]\ncolour = 1\n")
    with on_terminal(directory=tmp_path) as terminal:
        assert terminal.read_to_the_end() == 2
        assert "Error: ConfigError: " in terminal.words()


def test_q_leaves_and_gives_the_terminal_back(database: Path) -> None:
    with on_terminal(str(database)) as terminal:
        terminal.wait_for(b"nothing wrong")
        os.write(terminal.master, b"q")
        assert terminal.read_to_the_end() == 0
        assert terminal.words() == ""
        assert b"\x1b[?1049l" in terminal.seen
        assert b"\x1b[?25h" in terminal.seen


def test_it_leaves_when_the_terminal_goes_away(database: Path) -> None:
    with on_terminal(str(database)) as terminal:
        terminal.wait_for(b"nothing wrong")
        os.close(terminal.master)
        assert terminal.process.wait(WAIT_S) == 128 + signal.SIGHUP


@pytest.mark.torture
def test_the_copy_of_the_lab_goes_with_the_terminal(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    with on_terminal(str(database)) as terminal:
        terminal.wait_for(b"nothing wrong")
        os.write(terminal.master, b"4")
        terminal.wait_for(b"Swap two records")
        os.write(terminal.master, b"\r")
        terminal.wait_for(b"caught")
        assert list((tmp_path / "temporary").iterdir())
        os.close(terminal.master)
        assert terminal.process.wait(WAIT_S) == 128 + signal.SIGHUP
        assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.torture
def test_it_leaves_when_it_is_told_to(database: Path) -> None:
    with on_terminal(str(database)) as terminal:
        terminal.wait_for(b"nothing wrong")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.read_to_the_end() == 128 + signal.SIGTERM
        assert b"\x1b[?1049l" in terminal.seen


@pytest.mark.torture
def test_the_demo_fills_before_the_eyes(tmp_path: Path) -> None:
    with on_terminal("--demo", str(tmp_path / "demo")) as terminal:
        terminal.press(b"1")
        terminal.wait_for(b'{"')  # a record, be it a commit or a trade
        os.write(terminal.master, b"q")
        assert terminal.read_to_the_end() == 0
        assert terminal.words() == ""
    with blockdb.open(tmp_path / "demo", read_only=True) as kept:
        assert kept.stats().records > 100
        assert kept.verify().valid


def test_importing_the_program_loads_no_screen() -> None:
    code = "import sys, blockdb_tui.main; print('textual' in sys.modules, 'rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_first_view_loads_nothing_that_it_does_not_need() -> None:
    """The first paint is to come in 400 ms: what is imported for it is counted, a busy machine does not change that."""
    code = "import sys, blockdb_tui.app, blockdb_tui.screens.records; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    heavy = {"markdown_it", "pygments.lexers", "tree_sitter", "rich.markdown", "textual.widgets._data_table", "nacl"}
    assert not modules & {*heavy, "blockdb.storage", "blockdb_tui.screens.blocks", "blockdb_tui.screens.metrics"}
    assert len(modules) < 700


TO_THE_FIRST_PAINT = """
import os, sys, blockdb_tui.main
from textual.app import App
from blockdb_tui.beginning import Beginning
run = App.run
App.run = lambda explorer: run(explorer, headless=True)
def begin(explorer):
    os.write(1, " ".join(sys.modules).encode())
    explorer.exit()
Beginning.begin = begin
blockdb_tui.main.main([sys.argv[1], "--fresh", "--in-browser", "read-only"])
"""
LATER = {"audit_log", "completing", "records", "render", "results", "shapes", "table", "alerts", "output"}
"""What of the commands no view needs before there is a database."""


def test_the_first_paint_waits_for_no_engine(tmp_path: Path) -> None:
    with blockdb.open(tmp_path):
        pass
    command = [sys.executable, "-c", TO_THE_FIRST_PAINT, str(tmp_path)]
    modules = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    names = [name.split(".") for name in modules.split()]
    rooms = {name[1] for name in names if name[0] == "blockdb" and len(name) > 1}
    assert rooms == {"client", "commands", "config", "errors", "format", "layout"}
    assert not LATER & {name[2] for name in names if name[:2] == ["blockdb", "commands"] and len(name) > 2}
    assert not {"nacl", "pygments", "zstandard", "email"} & {name[0] for name in names}
    assert not {"bindings", "finder", "keymap"} & {name[1] for name in names if name[0] == "blockdb_tui" and name[1:]}
