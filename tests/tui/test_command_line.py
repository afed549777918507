"""The command line of the explorer: typed with help, run here, stopped for good, and the ways to go by name."""

from __future__ import annotations

import threading
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

import blockdb
from blockdb import AsOf
from blockdb.commands.command import Command, Need
from blockdb.commands.context import Context
from blockdb.commands.history import LineHistory
from blockdb.commands.invocation import Invocation
from blockdb.commands.results import Words
from blockdb_tui import running
from blockdb_tui.keytext import Target
from blockdb_tui.ordering import order_of
from blockdb_tui.origin import Attached
from blockdb_tui.running import WRAPPED, Caught, Running
from blockdb_tui.screens.blocks import BlocksView
from blockdb_tui.screens.command import CommandScreen
from blockdb_tui.screens.confirm import Confirm
from blockdb_tui.screens.records import RecordsView
from tests.tui.covering import app_of, covers, said, shown
from tests.tui.drive import exploring, press, screen_text, settled, until

HOSTILE = [b"[/foo]", b"\x1b]52;c;aGk=\x07", b"a\xe2\x80\xaeb"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    with blockdb.open(path) as database:
        database.put_many([(key, b"[bold]\x1b[2J") for key in HOSTILE])
        orders = database.create_collection("orders")
        orders.put_many([(b"order:%d" % number, b'{"city":"Oslo","total":%d}' % number) for number in range(5)])
        orders.flush()
    return path


async def command(pilot: Pilot[Any], line: str) -> None:
    """Types a line and gives it, and waits until the command has ended."""
    app = app_of(pilot)
    if not isinstance(app.screen, CommandScreen):
        await press(pilot, ":")
    screen = shown(pilot, CommandScreen)
    screen.action_type()
    screen.input.value = line
    screen.input.cursor_position = len(line)
    await press(pilot, "enter")
    await ended(pilot)


async def typed(pilot: Pilot[Any], line: str) -> None:
    screen = shown(pilot, CommandScreen)
    screen.input.value = line
    screen.input.cursor_position = len(line)
    await settled(pilot)


async def ended(pilot: Pilot[Any]) -> None:
    screen = app_of(pilot).screen
    if isinstance(screen, CommandScreen):
        await until(pilot, lambda: screen.running is None or (screen.running.done and screen._timer is None))
    await settled(pilot)


@covers(
    *("app.command", "command.complete", "command.complete_back", "command.older", "command.newer"),
    *("command.back", "command.stop", "command.type", "command.copy", "command.save"),
)
async def test_commands_are_typed_with_help_and_run_here(directory: Path, tmp_path: Path) -> None:
    origin: Any = Attached(directory)
    async with exploring(origin, size=(110, 30)) as pilot:
        app = app_of(pilot)
        app.lines = LineHistory(tmp_path / "history")

        # Typed with what may come next, and how it is used.
        await press(pilot, ":")
        screen = shown(pilot, CommandScreen)
        await typed(pilot, "fin")
        assert "find   List the documents" in screen_text(pilot)
        await press(pilot, "tab")
        assert screen.input.value == "find "
        await typed(pilot, "find -c or")
        assert "-c, --collection NAME: Of this collection" in screen_text(pilot)
        assert [it.shown for it in screen.offered.found] == ["orders"]
        await typed(pilot, "find -c orders 'total > 3 ")
        await press(pilot, "tab", "tab")
        assert screen.input.value == "find -c orders 'total > 3 or"
        await press(pilot, "shift+tab", "enter")
        assert screen.input.value == "find -c orders 'total > 3 and"
        assert "the quote ' is not closed" in screen_text(pilot)
        await command(pilot, "find 'total > 3' -c orders")
        assert 'order:4  {"city":"Oslo","total":4}' in screen_text(pilot)
        assert "✓ done · 3 lines" in screen_text(pilot)
        await press(pilot, "Y")
        assert app.clipboard == f"blockdb -d {directory} find 'total > 3' -c orders"

        # What was printed is saved as it was given, however wide the pane is; a name is typed as any line is.
        await press(pilot, "E")
        assert screen.prompt._input.value == "find.txt"
        saved = tmp_path / "Ys.txt"
        screen.prompt._input.value = str(saved)
        await press(pilot, "enter")
        await until(pilot, lambda: any("Saved" in words for words in said(pilot)))
        assert 'order:4  {"city":"Oslo","total":4}' in saved.read_text().splitlines()
        assert saved.stat().st_mode & 0o777 == 0o600
        await press(pilot, "E", "escape")
        assert app.screen is screen

        # What is stored is shown and not obeyed.
        await command(pilot, "scan")
        assert "[/foo]" in screen_text(pilot)
        assert "␛]52;c;aGk=␇" in screen_text(pilot)
        assert "\x1b" not in screen_text(pilot)

        # Lines given before; ^C drops what is typed; what changes something is refused.
        await press(pilot, ":", "up", "up")
        assert screen.input.value == "find 'total > 3' -c orders"
        await press(pilot, "down", "down")
        assert screen.input.value == ""
        await press(pilot, "s", "ctrl+c")
        assert screen.input.value == ""
        await command(pilot, "put k v")
        assert "put changes things, and the explorer only reads. ! arms it." in screen_text(pilot)
        await press(pilot, "escape")
        assert isinstance(app.screen, RecordsView)
    assert "scan" in LineHistory(tmp_path / "history").lines()


@pytest.mark.torture
async def test_commands_that_belong_elsewhere_that_write_and_ways_to_go(directory: Path, tmp_path: Path) -> None:
    origin: Any = Attached(directory)
    async with exploring(origin, size=(110, 30)) as pilot:
        app = app_of(pilot)

        # What is none, or belongs elsewhere, is told.
        for line, told in (
            ("frob", "there is no command 'frob'"),
            ("server", "say `blockdb server` in a terminal"),
            ("cluster demo", "The demonstration is an explorer of its own"),
            ("begin", "`blockdb repl` is the shell"),
            ("config", "config is half a command"),
            ("backup x --nonsense", "unrecognized arguments: --nonsense"),
            ("find 'total >> 1'", "Expected a value"),
            ("put k v", "put changes things, and the explorer only reads. ! arms it."),
            ("block x", "x is no block"),
            ("theme nonsense", "there is no theme nonsense"),
        ):
            await command(pilot, line)
            assert told in screen_text(pilot), line
        await press(pilot, "escape")
        assert isinstance(app.screen, RecordsView)

        # A command of the command line alone is a process of its own.
        await command(pilot, f"backup {tmp_path}/backup.bdb")
        assert "✓ done" in screen_text(pilot)
        assert (tmp_path / "backup.bdb").exists()
        await press(pilot, "escape")

        # Nor does somebody touch files who may look alone.
        app.may_be_armed = False
        for line in (f"backup {tmp_path}/another", f"export -o {tmp_path}/all.jsonl"):
            await command(pilot, line)
            assert "not from an explorer that may only read" in screen_text(pilot)
        app.may_be_armed = True
        await press(pilot, "escape")

        # Armed, it writes; what cannot be taken back is asked about.
        await press(pilot, "!")
        await command(pilot, "put k 1")
        assert "Successfully stored" in screen_text(pilot)
        await command(pilot, "collection drop orders")
        assert isinstance(app.screen, Confirm)
        await press(pilot, "escape")
        assert said(pilot)[-1] == "Nothing was done."
        await command(pilot, "collection drop orders")
        shown(pilot, Confirm).query_one(Input).value = "orders"
        await press(pilot, "enter")
        await ended(pilot)
        assert "✓ done" in screen_text(pilot)
        assert app.database is not None
        assert "orders" not in app.database.collection_names()

        # And ways to go.
        await press(pilot, ":")
        await typed(pilot, "records ")
        assert "records [COLLECTION]" in screen_text(pilot)
        assert [it.shown for it in shown(pilot, CommandScreen).offered.found] == ["default"]
        await command(pilot, "theme paper")
        assert app.theme == "paper"
        await command(pilot, "block 0")
        assert isinstance(app.screen, BlocksView)
        await command(pilot, "key k")
        assert app.screen.chosen_key() == b"k"  # type: ignore[attr-defined]
        await command(pilot, "q")
        assert app._exit


async def test_a_command_without_end_is_shown_as_it_goes_and_stopped(directory: Path) -> None:
    origin: Any = Attached(directory)
    async with exploring(origin, size=(80, 24)) as pilot:
        await press(pilot, ":")
        await typed(pilot, "watch -c orders --after 1")
        await press(pilot, "enter")
        await until(pilot, lambda: "order:4" in screen_text(pilot))
        screen = shown(pilot, CommandScreen)
        assert screen.running is not None
        assert "Esc stops" in screen_text(pilot)
        await press(pilot, "escape")
        await ended(pilot)
        assert "stopped" in screen_text(pilot)
        assert "--after 4" in screen_text(pilot)
        await press(pilot, "escape")
        assert isinstance(app_of(pilot).screen, RecordsView)


def test_a_line_for_a_terminal_says_the_same() -> None:
    explorer: Any = SimpleNamespace(
        scene=None,
        armed=False,
        inside="orders",
        past=SimpleNamespace(as_of=AsOf(block=3)),
        whole=Target("/data"),
        target=Target("/data", "orders"),
    )
    for line, wanted in (
        ("get 'a b'", "get --collection orders --as-of block:3 'a b'"),
        (":scan -c users --as-of block:1", "scan -c users --as-of block:1"),
        ('scan --prefix "\\xff"', "scan --collection orders --as-of block:3 --prefix $'\\xff'"),
        ("collection list", "collection list"),
        ("token list", "token list"),
        ("count --help", "help count"),
    ):
        assert order_of(explorer, line).shell_line == f"blockdb -d /data {wanted}"
    assert order_of(explorer, 'get "\\0"').shell_line is None
    assert order_of(explorer, "blocks --limit 3").invocation is not None
    assert order_of(explorer, "blocks").go is not None


# ── what is caught ──


def test_what_is_caught_is_safe_bounded_and_in_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MOST_LINES", 5)
    caught = Caught(20)
    caught.take("\x01key\x02{\n\x03plain \x9b31m and more than twenty cells\n")
    assert list(caught.rows) == [
        (("key", "{"),),
        (("text", "plain \\xc2\\x9b31m an"), WRAPPED),
        (("text", "d more than twenty c"), WRAPPED),
        (("text", "ells"),),
    ]
    assert caught.text() == "{\nplain \\xc2\\x9b31m and more than twenty cells\n"
    with pytest.raises(BrokenPipeError):
        caught.take("x\n" * 9)
    assert (len(caught.rows), caught.is_full) == (5, True)
    endless = Caught(20)
    endless.rolls = True
    endless.take("x\n" * 9)
    assert (len(endless.rows), endless.gone, endless.is_full) == (5, 4, False)


def test_a_command_that_says_nothing_is_stopped_too() -> None:
    begun = threading.Event()

    def spin(_: Context, __: object) -> Words:
        begun.set()
        while True:
            pass

    of_it = Command("spin", "Spin.", spin, need=Need.NOTHING)
    database: Any = None
    work = Running(Invocation(of_it, Namespace()), Context(lambda: database), lambda: nullcontext(database), 80)
    work.start()
    assert begun.wait(20)
    assert not work.done
    work.stop()
    work._thread.join(20)
    assert work.done
    assert work.exit_code == 130
    work.stop()
