"""What is around the views: the way that led here, the letters that lead to panes, tabs on a narrow screen."""

from __future__ import annotations

import pytest

from blockdb_tui.hashes import BlockHashes, hash_prefix
from blockdb_tui.screens.blocks import BlocksView
from blockdb_tui.screens.collections import CollectionsView
from blockdb_tui.screens.command import CommandScreen
from blockdb_tui.screens.confirm import Confirm
from blockdb_tui.screens.jumps import Jumps
from blockdb_tui.screens.metrics import MetricsView
from blockdb_tui.screens.records import RecordsView
from blockdb_tui.widgets.crumbs import shortened
from blockdb_tui.widgets.keybar import heard_on
from tests.tui.covering import app_of, covers, shown
from tests.tui.drive import exploring, press, screen_text, settled, until
from tests.tui.fake import FakeDatabase, sample, shop


@pytest.mark.torture
@covers("app.jump", "jump.leave")
async def test_the_way_and_the_letters() -> None:
    async with exploring(shop(), size=(80, 24)) as pilot:
        assert "›" not in screen_text(pilot)
        await press(pilot, "0", "j", "enter")
        assert screen_text(pilot).splitlines()[1] == " orders › Records"
        await press(pilot, "2", "h", "r", "j", "enter")
        assert screen_text(pilot).splitlines()[1] == " orders › Blocks #2 › Records"
        await press(pilot, "enter")
        assert screen_text(pilot).splitlines()[1] == " orders › Blocks #2 › Records › order:0017"
        places = [heard.node for heard in heard_on(pilot.app.screen)]
        assert [place is pilot.app for place in places] == sorted(place is pilot.app for place in places)
        await press(pilot, "b")
        assert screen_text(pilot).splitlines()[1] == " orders › Records order:0017 › Blocks › #2"
        await press(pilot, "escape", "escape")
        view = shown(pilot, RecordsView)
        assert screen_text(pilot).splitlines()[1] == " orders › Records › order:0017"
        await pilot.click(view.crumbs, offset=(12, 0))
        await settled(pilot)
        assert not view.has_class("-zoomed")

        await press(pilot, "semicolon")
        jumps = shown(pilot, Jumps)
        lines = screen_text(pilot).splitlines()
        assert lines[2].startswith(" a Records")
        assert " s Value" in screen_text(pilot)
        await press(pilot, "s")
        assert view.focused is view.value
        await press(pilot, "semicolon", "f1", "x")
        assert isinstance(pilot.app.screen, Jumps), "what leads nowhere is not heard"
        await press(pilot, "3")
        shown(pilot, MetricsView)
        for way_out in ("escape", "semicolon"):
            await press(pilot, "semicolon")
            assert pilot.app.screen is not jumps
            await press(pilot, way_out)
            shown(pilot, MetricsView)
        await pilot.click(shown(pilot, MetricsView).crumbs, offset=(3, 0))
        await settled(pilot)
        shown(pilot, CollectionsView)


@pytest.mark.torture
async def test_no_view_stands_in_the_way_twice() -> None:
    async with exploring() as pilot:
        await press(pilot, "2", "h", "r", "j", "enter", "b", "r", "j", "enter", "b")
        shown(pilot, BlocksView)
        assert app_of(pilot).came_from == ["records"]


def test_a_long_way_is_cut_in_its_middle() -> None:
    assert shortened(["users", "Records", "key"], 40) == ["users", "Records", "key"]
    assert shortened(["u" * 50, "Records", "k" * 20], 66) == ["u" * 31 + "…", "Records", "k" * 20]
    assert shortened(["u" * 50, "Records", "k" * 20], 30) == ["uuuuu…", "Recor…", "kkkkk…"]
    assert shortened(["u" * 50, "Records", "Blocks", "k" * 20], 25) == ["uuuuu…", "…", "…", "kkkkk…"]


@pytest.mark.torture
async def test_blocks_are_found_by_their_hash_and_commands_by_their_name() -> None:
    database = FakeDatabase(sample())
    async with exploring(database) as pilot:
        digits = database.block(3).hash.hex()[:10]
        await press(pilot, "ctrl+p", *digits)
        await until(pilot, lambda: f"Block 3, hash {digits}…" in screen_text(pilot))
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, BlocksView))
        await settled(pilot)
        assert shown(pilot, BlocksView).belt.selected == 3
        await press(pilot, "ctrl+p", *"collection create")
        await until(pilot, lambda: ":collection create" in screen_text(pilot))
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandScreen))
        assert shown(pilot, CommandScreen).input.value == "collection create "


def test_hashes_are_read_once_and_no_longer_than_a_moment() -> None:
    database = FakeDatabase(sample())
    sealed = database.stats().blocks
    known = BlockHashes(database)  # type: ignore[arg-type]
    whole = database.block(sealed - 1).hash.hex()
    assert known.find(whole, sealed) == [sealed - 1]
    assert known.find(whole[:4], sealed) == [sealed - 1]
    assert known.find(whole[:5], sealed) == [sealed - 1]
    assert known.find("f" * 20, sealed) == []
    assert known.read == sealed
    calls = database.calls["blocks"]
    database.add(*((b"more:%02d" % number, b"1") for number in range(8)))
    assert known.find(database.block(sealed).hash.hex()[:8], sealed + 1) == [sealed]
    assert database.calls["blocks"] <= calls + 1

    hurried = BlockHashes(database, iter(range(1000)).__next__)  # type: ignore[arg-type]
    assert hurried.find("0000", sealed) == []
    assert hurried.read == 1
    assert hash_prefix(" #ABCD ") == "abcd"
    assert [hash_prefix(text) for text in ("abc", "xyzzy", "0" * 65)] == [None] * 3


def test_a_question_keeps_its_lines_and_shows_nothing_else_as_it_is() -> None:
    asked = Confirm("or\x1bders", "drop\n\nAll of\x1b[2J it.\r")
    assert (asked._wanted, asked._words) == ("or\\x1bders", "drop\n\nAll of\\x1b[2J it.\\x0d")
