"""What the views do beside their keys: the mouse, slow disks, huge values, long chains, themes, sizes."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from rich.color import Color
from textual import events
from textual.widget import Widget

import blockdb_themes
from blockdb_tui.app import Explorer
from blockdb_tui.finder import Finding
from blockdb_tui.screens.blocks import BlocksView
from blockdb_tui.theme import Palette, Wardrobe, textual_theme
from blockdb_tui.widgets import value_view
from tests.tiers import tiers
from tests.tui.drive import OFTEN_S, exploring, make_explorer, press, screen_text, settled, until
from tests.tui.fake import FakeDatabase, Given, TenMillion, sample


@pytest.mark.torture
async def test_the_line_at_the_top_and_the_line_at_the_bottom_can_be_clicked() -> None:
    async with exploring() as pilot:
        await pilot.click("#header", offset=(screen_text(pilot).splitlines()[0].index(" 2 ") + 1, 0))
        await until(pilot, lambda: isinstance(pilot.app.screen, BlocksView))
        await settled(pilot)
        await pilot.click("#keybar", offset=(screen_text(pilot).splitlines()[-1].index("Merkle"), 0))
        await settled(pilot)
        view = pilot.app.screen
        assert isinstance(view, BlocksView)
        assert view.focused is view.merkle


@pytest.mark.torture
async def test_the_belt_can_be_clicked_and_wheeled() -> None:
    async with exploring(FakeDatabase(sample(400))) as pilot:
        await press(pilot, "2")
        view = pilot.app.screen
        assert isinstance(view, BlocksView)
        line = screen_text(pilot).splitlines()[2]
        await pilot.click("#belt", offset=(line.index(" 47 ") + 2, 2))
        await settled(pilot)
        assert view.belt.selected == 47
        await pilot.click("#belt", offset=(0, 7))
        await settled(pilot)
        assert view.belt.selected == 0
        await pilot._post_mouse_events([_scroll()], "#belt", offset=(5, 2))
        await settled(pilot)
        assert view.belt.selected == 1


def _scroll() -> Any:
    return events.MouseScrollDown


@pytest.mark.torture
async def test_keys_that_come_before_the_palette_is_laid_out_do_no_harm() -> None:
    async with exploring() as pilot:
        driver = pilot.app._driver
        assert driver is not None
        for key in ("ctrl+p", "pagedown", "pageup", "down", "end", "home", "pagedown"):
            driver.send_message(events.Key(key, None))
            await asyncio.sleep(0)
        await until(pilot, lambda: Finding.is_open(pilot.app))
        for key in ("pagedown", "x", "pagedown", "pageup"):
            driver.send_message(events.Key(key, None))
            await asyncio.sleep(0)
        await settled(pilot)
        assert pilot.app.is_running


@pytest.mark.torture
async def test_a_long_chain_costs_a_few_pages_a_key_press() -> None:
    database = TenMillion()
    async with exploring(database) as pilot:
        await press(pilot, "2")
        view = pilot.app.screen
        assert isinstance(view, BlocksView)
        for key, number in (("g", 0), ("G", 10_000), ("H", 9_994), ("g", 0), ("L", 6)):
            before = database.calls["blocks"]
            await press(pilot, key)
            assert view.belt.selected == number
            assert database.calls["blocks"] - before <= 3, key
        await press(pilot, "J", *"5,000", "enter")
        assert "Block 5,000 · sealed" in screen_text(pilot)
        assert "══ the hash of block 4,999" in screen_text(pilot)


async def test_a_broken_link_is_seen_without_verification() -> None:
    database = FakeDatabase(sample())
    database.broken_links = {5}
    async with exploring(database) as pilot:
        await press(pilot, "2", "h", "h")
        text = screen_text(pilot)
        assert "≠≠≠" in text
        assert "≠≠ not the hash of block 4" in text
        await press(pilot, "h")
        assert "≠≠ block 5 names another hash" in screen_text(pilot)


async def test_the_first_paint_does_not_wait_for_the_database() -> None:
    gate = threading.Event()

    class Slow(Given):
        def open(self) -> Any:
            assert gate.wait(30)
            return super().open()

    app = make_explorer(Slow(FakeDatabase(sample())))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Opening" in screen_text(pilot))
        await pilot.press("2", "3", "1")
        gate.set()
        await settled(pilot)
        await until(pilot, lambda: "user:0000" in screen_text(pilot) or "image:0003" in screen_text(pilot))


class Unspeakable(bytes):
    """A value that nobody may spell out: for 64 MB that takes seconds."""

    def __repr__(self) -> str:
        raise AssertionError("the whole value was spelled out")


async def test_sixty_four_megabytes_can_be_looked_at() -> None:
    items = [(b"big", Unspeakable(64 << 20)), (b"text", Unspeakable(b"words " * 5_000_000))]
    async with exploring(FakeDatabase(items)) as pilot:
        await press(pilot, "enter", "G")
        assert "03fffff0" in screen_text(pilot)
        await press(pilot, "escape", "j", "enter", "G")
        assert "the first 1 MB of 28.6 MB; hex shows all" in screen_text(pilot)


@pytest.mark.torture
async def test_a_record_that_cannot_be_read_is_named_and_the_others_are_shown() -> None:
    from blockdb import Corruption

    database = FakeDatabase(sample())
    database.unreadable = {b"image:0010": Corruption("chain/00000000.chain", 99, "the check does not fit")}
    async with exploring(database) as pilot:
        await press(pilot, "j")
        text = screen_text(pilot)
        assert "Corruption: chain/00000000.chain" in text
        assert "image:0017" in text


async def test_a_database_that_fails_is_said_to_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb_tui.connected.RETRY_S", OFTEN_S)
    database = FakeDatabase(sample())
    async with exploring(database, poll_s=OFTEN_S) as pilot:
        database.failing = OSError(5, "Input/output error")
        await until(pilot, lambda: "The database cannot be read" in screen_text(pilot))
        assert "Input/output error" in screen_text(pilot)
        database.failing = None
        await until(pilot, lambda: "image:0003" in screen_text(pilot))


@pytest.mark.parametrize("size", tiers([(60, 15)], [(80, 24), (100, 30), (160, 40), (250, 70)]))
async def test_every_view_fits_every_size(size: tuple[int, int]) -> None:
    async with exploring(FakeDatabase(sample(500)), size=size) as pilot:
        for keys in (("1",), ("enter",), ("escape", "2"), ("h", "m"), ("v",), ("escape", "3")):
            await press(pilot, *keys)
            lines = screen_text(pilot).splitlines()
            assert len(lines) == size[1]
            assert all(len(line) <= size[0] for line in lines)
            assert lines[0].startswith(" ▚")
            assert "q Quit" in lines[-1]


@pytest.mark.torture
async def test_the_wide_view_shows_tree_and_records_at_once() -> None:
    async with exploring(FakeDatabase(sample(500)), size=(200, 50)) as pilot:
        await press(pilot, "2", "h")
        text = screen_text(pilot)
        assert "HASHED WITH" in text
        assert "SEQUENCE" in text
        await pilot.resize_terminal(110, 40)
        await settled(pilot)
        assert "HASHED WITH" not in screen_text(pilot)


def _note(painted: list[Widget], widget: Widget, *regions: Any, **options: Any) -> None:
    painted.append(widget)


@pytest.mark.parametrize("view", tiers([("2", "#header, Lines, Belt")], [("1", "#header, Lines"), ("3", "#tables")]))
async def test_what_is_quiet_is_not_painted_again(view: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    key, still = view
    database = FakeDatabase(sample())
    async with exploring(database) as pilot:
        app = pilot.app
        assert isinstance(app, Explorer)
        await press(pilot, key)
        app.take(database.stats())
        await settled(pilot)
        painted: list[Widget] = []
        for widget in app.screen.query(still):
            monkeypatch.setattr(widget, "refresh", partial(_note, painted, widget))
        for _ in range(4):
            app.take(database.stats())
            await settled(pilot)
        assert not painted


@pytest.mark.parametrize("name", blockdb_themes.names())
def test_every_role_is_a_variable_of_the_style_sheet(name: str) -> None:
    known = blockdb_themes.load(name)
    theme = textual_theme(known)
    assert theme.name == name
    assert theme.ansi == known.is_native
    before = "ansi_" if known.is_native else ""
    assert {role: theme.variables[f"role-{role}"] for role in blockdb_themes.ROLES} == {
        role: f"{before}{colour}" for role, colour in known.roles.items()
    }


def test_a_palette_gives_styles_and_blends() -> None:
    palette: Palette = Wardrobe().palettes["basalt"]
    style = palette.style("key", "selection", bold=True)
    assert style.color is not None
    assert style.color.name == palette["key"]
    assert style.bold
    assert palette.blend("#000000", "#ffffff", 0.5) == "#808080"
    assert palette.blend("text", "text", 0.3) == palette["text"]
    native = Palette(blockdb_themes.load("terminal"))
    assert native.style("error").color == Color.parse("red")
    assert native.style("error", "selection").reverse
    assert [native.blend("graph1", "background", share) for share in (0, 0.5, 0.6)] == [
        "graph1",
        "graph1",
        "background",
    ]


async def test_a_value_that_is_read_while_its_pane_is_resized_is_shown_as_wide_as_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The read that began before the resize ends after it."""
    go_on = threading.Event()
    read_as = value_view.read_as

    def slowly(value: bytes, mode: Any) -> Any:
        assert go_on.wait(20)
        return read_as(value, mode)

    async with exploring(size=(160, 40)) as pilot:
        pane = pilot.app.screen.query_one(value_view.ValueView)
        monkeypatch.setattr(value_view, "read_as", slowly)
        assert pane.record is not None
        pane.show(replace(pane.record, sequence=1_000, value=b"another value" + b" and more" * 200))
        await asyncio.sleep(0)
        await pilot.resize_terminal(100, 40)
        await until(pilot, lambda: pilot.app.screen.size.width == 100)
        go_on.set()
        await settled(pilot)
        assert "another value" in screen_text(pilot)
        assert pane._laid_width == pane.line_width - 1


@pytest.mark.torture
async def test_the_way_in_which_a_value_is_read_stands_out_on_its_frame() -> None:
    async with exploring() as pilot:
        pane = pilot.app.screen.query_one(value_view.ValueView)
        for _ in value_view.MODES:
            await press(pilot, "m")
            subtitle = pane._border_subtitle
            assert subtitle is not None
            bold = [
                subtitle.plain[span.start : span.end].strip() for span in subtitle.spans if "bold" in str(span.style)
            ]
            assert bold == [pane.mode]
