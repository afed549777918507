"""The table asks for what is in view and no more, however long the list, and stays where it is when the list grows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from textual.pilot import Pilot

from blockdb import StorageError
from blockdb_tui.listing import Fixed, Row
from blockdb_tui.pages import PAGE_ROWS
from blockdb_tui.screens.records import RecordsView, RecordTable
from tests.tiers import tiers
from tests.tui.drive import exploring, press, screen_text, settled, until
from tests.tui.fake import FakeDatabase, TenMillion, sample


def table_of(pilot: Pilot[Any]) -> RecordTable:
    view = pilot.app.screen
    assert isinstance(view, RecordsView)
    return view.table


def key_under_cursor(pilot: Pilot[Any]) -> bytes:
    row = table_of(pilot).row
    assert row is not None
    return row.key


async def test_ten_million_keys_cost_a_few_pages_a_key_press() -> None:
    database = TenMillion()
    async with exploring(database) as pilot:
        assert table_of(pilot).total == 10_000_000
        for key in ("G", "g", "pagedown", "pageup", "j", "k", "end", "home", "ctrl+d", "ctrl+u"):
            before = database.calls["scan"]
            await press(pilot, key)
            assert database.calls["scan"] - before <= 4, key
        await press(pilot, "G")
        assert key_under_cursor(pilot) == b"key:09999999"
        assert "10,000,000 of 10,000,000" in screen_text(pilot)


async def test_what_was_passed_over_is_never_fetched() -> None:
    database = TenMillion()
    async with exploring(database) as pilot:
        before = database.calls["scan"]
        table = table_of(pilot)
        for _ in range(300):  # a key held down faster than pages come
            table.action_page(1)
        await settled(pilot)
        passed_over = 300 * table.rows_in_view // PAGE_ROWS
        assert database.calls["scan"] - before <= 4 < passed_over
        assert key_under_cursor(pilot) == b"key:%08d" % table_of(pilot).cursor


class Slow(TenMillion):
    """Pages come when they are let through."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()

    def scan(self, **bounds: Any) -> Iterator[tuple[bytes, bytes]]:
        assert self.gate.wait(30)
        return super().scan(**bounds)


async def test_a_slow_disk_never_holds_up_a_key() -> None:
    database = Slow()
    async with exploring(database) as pilot:
        database.gate.clear()
        await pilot.press("G")
        await until(pilot, lambda: "9,999,999 ···" in screen_text(pilot))
        assert table_of(pilot).cursor == 9_999_999
        await pilot.press("g")
        await until(pilot, lambda: table_of(pilot).cursor == 0)
        assert key_under_cursor(pilot) == b"key:00000000"
        await pilot.press("G")
        await until(pilot, lambda: table_of(pilot).cursor == 9_999_999)
        database.gate.set()
        await settled(pilot)
        assert key_under_cursor(pilot) == b"key:09999999"


async def test_growth_leaves_the_cursor_on_its_record_and_the_view_where_it_is() -> None:
    database = FakeDatabase(sample(300))
    async with exploring(database) as pilot:
        table = table_of(pilot)
        await press(pilot, *["pagedown"] * 3, "k", "k")
        key, offset = key_under_cursor(pilot), table.cursor - table.top
        before = table.total
        database.add(*((b"aaa:%d" % number, b"new") for number in range(25)), (b"zzz", b"new"))
        pilot.app.take(database.stats())  # type: ignore[attr-defined]
        await until(pilot, lambda: table.total == before + 26)
        assert key_under_cursor(pilot) == key
        assert table.cursor - table.top == offset


class Counted(Fixed[Row]):
    """Has been counted, and goes on when it is let."""

    def __init__(self, rows: list[Row]) -> None:
        super().__init__(rows)
        self.was_counted, self.may_go_on = threading.Event(), threading.Event()

    def count(self) -> int:
        counted = super().count()
        self.was_counted.set()
        assert self.may_go_on.wait(30)
        return counted


async def test_what_comes_during_the_first_look_is_shown() -> None:
    rows = [Row(b"a")]
    listing = Counted(rows)
    async with exploring() as pilot:
        table = table_of(pilot)
        table.show(listing)
        await until(pilot, listing.was_counted.is_set)
        rows.append(Row(b"b"))
        table.grown()
        listing.may_go_on.set()
        await settled(pilot)
        assert table.total == 2


async def test_who_moves_the_cursor_while_the_newest_is_looked_for_keeps_it() -> None:
    listing = Counted([Row(b"a"), Row(b"b")])
    listing.may_go_on.set()
    async with exploring() as pilot:
        table = table_of(pilot)
        table.show(listing)
        await settled(pilot)
        table.follow_first = True
        listing.was_counted.clear()
        listing.may_go_on.clear()
        table.grown()
        await until(pilot, listing.was_counted.is_set)
        table.move_to(1)
        listing.may_go_on.set()
        await settled(pilot)
        assert table.cursor == 1


@pytest.mark.torture
async def test_growth_is_not_looked_for_where_there_is_none() -> None:
    database = FakeDatabase(sample())
    async with exploring(database) as pilot:
        before = database.calls.copy()
        for _ in range(5):
            pilot.app.take(database.stats())  # type: ignore[attr-defined]
            await settled(pilot)
        assert {name for name in database.calls if database.calls[name] > before[name]} == {"stats"}


async def test_a_list_that_cannot_be_read_is_told_and_kept() -> None:
    database = FakeDatabase(sample(200))
    async with exploring(database) as pilot:

        def broken(**bounds: Any) -> Iterator[tuple[bytes, bytes]]:
            raise StorageError("the disk says [/no]")

        database.scan = broken  # type: ignore[method-assign]
        await press(pilot, "G")
        assert any("the disk says [/no]" in notice.message for notice in pilot.app._notifications)
        assert table_of(pilot).total == 200


@pytest.mark.torture
async def test_a_click_moves_the_cursor_and_the_wheel_moves_the_view() -> None:
    async with exploring(FakeDatabase(sample(200))) as pilot:
        table = table_of(pilot)
        await pilot.click("#records", offset=(10, 7))
        await settled(pilot)
        assert table.cursor == 5
        table.post_message(_wheel(table))
        await settled(pilot)
        assert (table.top, table.cursor) == (3, 5)
        await pilot.click("#records", offset=(10, 7), times=2)
        await settled(pilot)
        assert pilot.app.screen.has_class("-zoomed")


async def test_the_scroll_bar_can_be_dragged() -> None:
    async with exploring(FakeDatabase(sample(500))) as pilot:
        table = table_of(pilot)
        bar = table.line_width + 1
        await pilot.mouse_down("#records", offset=(bar, 20))
        await pilot.hover("#records", offset=(bar, table.size.height))
        await pilot.mouse_up("#records", offset=(bar, table.size.height))
        await settled(pilot)
        assert table.top == table.last_top


def _wheel(table: RecordTable) -> Any:
    from textual import events

    return events.MouseScrollDown(table, 5, 5, 0, 1, 0, False, False, False, 5, 5)


def test_a_fixed_list_knows_its_rows() -> None:
    rows = [Row(b"a"), Row(b"b"), Row(b"c")]
    listing = Fixed(rows)
    assert (listing.count(), listing.fetch(1, 5, 3), listing.locate(rows[2], 3)) == (3, rows[1:], 2)


@pytest.mark.parametrize("count", tiers([0, 65], [1, 63, 64, 128]))
async def test_lists_of_any_length_show_their_last_row(count: int) -> None:
    async with exploring(FakeDatabase(sample(count))) as pilot:
        await press(pilot, "G")
        table = table_of(pilot)
        assert table.total == count
        assert (table.row is None) == (count == 0)
        assert ("No records." in screen_text(pilot)) == (count == 0)
