"""Moments of the past in the explorer: every view goes back, or says that it does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

import blockdb
from blockdb.commands.trust import PROVEN
from blockdb_tui import past_listing
from blockdb_tui.app import Explorer
from blockdb_tui.origin import Attached
from blockdb_tui.past_listing import ByKeyThen
from blockdb_tui.saving import Sheet
from blockdb_tui.screens.blocks import BlocksView
from blockdb_tui.screens.changes import ChangesView
from blockdb_tui.screens.collections import CollectionsView
from blockdb_tui.screens.compare import Compare
from blockdb_tui.screens.records import RecordsView
from blockdb_tui.screens.schema import SchemaView
from tests.tui.covering import app_of, covers, said, shown
from tests.tui.drive import NEVER_S, press, screen_text, settled, until

BATCH = 10
SCHEMA = {"fields": {"n": {"field_type": "Integer"}}}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("past") / "db"
    with blockdb.open(path, blockchain_batch_size=BATCH) as database:
        for first in range(0, 45, 15):
            database.put_many(
                [(b"key:%03d" % (number * 7 % 45), b'{"n": %d}' % number) for number in range(first, first + 15)]
            )
        orders = database.create_collection("orders")
        orders.put_many([(b"order:%d" % number, b"{}") for number in range(5)])
        database.set_schema(SCHEMA)
        database.put(b"last", b'{"n": 45}')
    return path


@asynccontextmanager
async def looking(directory: Path) -> AsyncIterator[Pilot[Any]]:
    app = Explorer(Attached(directory), poll_s=NEVER_S)
    async with app.run_test(size=(190, 40), notifications=True, tooltips=True) as pilot:
        await settled(pilot)
        yield pilot
    app.origin.close()


async def go_to(pilot: Pilot[Any], text: str) -> None:
    await press(pilot, "A", "ctrl+u", *("space" if letter == " " else letter for letter in text), "enter")
    await settled(pilot)


@covers("app.as_of", "app.back", "app.on")
async def test_every_view_goes_back_or_says_that_it_does_not(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with looking(directory) as pilot:
        app, records = app_of(pilot), shown(pilot, RecordsView)
        assert records.table.total == 46
        await go_to(pilot, "block 1")
        assert app.as_of == blockdb.AsOf(block=1)
        await until(pilot, lambda: records.table.total == 20)
        assert "as of block 1" in screen_text(pilot)
        assert "20 of 46 records" in screen_text(pilot)
        assert records.shown_as_command().endswith("scan --as-of block:1")
        with monkeypatch.context() as patch:  # far jumps wait for nothing that lies between
            patch.setattr(past_listing, "MARK_ROWS", 4)
            patch.setattr(ByKeyThen, "walk", lambda _: None)
            for keys, at, known in (
                (["J", *"key:02", "enter"], b"key:021", 8),
                ("G", b"key:043", 4),
                ("g", b"key:000", 4),
                (["J", *"key:02", "enter"], b"key:021", 8),
            ):
                await press(pilot, *keys)
                assert records.chosen_key() == at
                assert records.table.total == known
            assert "more are walked; the rows have no numbers yet" in screen_text(pilot)
            sheet = Sheet(records.table.listing, (), records.collection, records.database, app.as_of)
            assert sum(map(len, sheet.rows())) == 20, "all are saved, whatever has been walked by then"
        await press(pilot, "J", *"key:03", "enter")
        await until(pilot, lambda: records.table.total == 20)
        assert records.chosen_key() == b"key:032"
        assert "of 20" in screen_text(pilot)
        await press(pilot, "o")
        assert records.table.total == 20
        row = records.table.row
        assert row is not None
        assert row.sequence in range(20)
        await press(pilot, "f")
        assert any("moment of the past" in words for words in said(pilot))
        await press(pilot, "2")
        blocks = shown(pilot, BlocksView)
        assert (blocks.belt.sealed, blocks.table.total) == (2, 0)
        await press(pilot, "]")
        await until(pilot, lambda: blocks.belt.sealed == 3)
        await press(pilot, "[")
        await press(pilot, "[")
        await until(pilot, lambda: blocks.belt.sealed == 1)
        await press(pilot, "[")
        assert any("Before this no block" in words for words in said(pilot))
        await go_to(pilot, "seq 14")
        await until(pilot, lambda: blocks.belt.sealed == 1 and blocks.table.total == 5)
        assert "open then" in screen_text(pilot)
        await press(pilot, "6")
        changes = shown(pilot, ChangesView)
        await until(pilot, lambda: changes.table.total == 15)
        assert changes.table.row is not None
        assert changes.table.row.sequence == 14
        await press(pilot, "5")
        schema = shown(pilot, SchemaView)
        await until(pilot, lambda: "those of now" in screen_text(pilot))
        assert schema.shape.versions == []
        await press(pilot, "0")
        collections = shown(pilot, CollectionsView)
        await until(pilot, lambda: collections.known.get("orders") is not None)
        known = collections.known.get("orders")
        assert known is not None
        assert known.info is None or known.info.stats.document_count <= 5
        assert "15" in screen_text(pilot)
        await press(pilot, "3")
        assert "now" in screen_text(pilot).splitlines()[1]
        await go_to(pilot, "now")
        assert app.as_of is None
        await press(pilot, "1")
        await until(pilot, lambda: records.table.total == 46)


@pytest.mark.torture
async def test_what_is_no_moment_is_refused_in_words(directory: Path) -> None:
    async with looking(directory) as pilot:
        app = app_of(pilot)
        for text, words in (
            ("block 99", "99"),
            ("soon", "no moment"),
            ("9999-01-01", "still to come"),
            ("seq 46", "46"),
        ):
            await go_to(pilot, text)
            assert words in said(pilot)[-1]
            assert app.as_of is None


@pytest.mark.torture
@covers(
    "app.compare",
    "compare.close",
    "compare.again",
    "compare.other",
    "compare.open",
    "compare.copy_command",
    "compare.help",
)
async def test_two_moments_are_compared(directory: Path) -> None:
    async with looking(directory) as pilot:
        app = app_of(pilot)
        await go_to(pilot, "block 1")
        await press(pilot, "C")
        assert shown(pilot, RecordsView).prompt._input.value == "block 1 .. now"
        await press(pilot, "enter")
        screen = shown(pilot, Compare)
        await until(pilot, lambda: screen.found is not None and screen.table.total == 26)
        assert screen.found is not None
        assert screen.found.consistency.degree is PROVEN
        assert [version.version for version in screen.found.schemas] == [1]
        assert "begins with the tree of 20" in " ".join(screen_text(pilot).split())
        await press(pilot, "Y")
        assert any(
            words.rstrip().endswith("diff block:1 now. Whether it did, it does not tell.") for words in said(pilot)
        )
        await press(pilot, "tab")
        assert screen.facts.has_focus
        await press(pilot, "question_mark", "escape", "C")
        await press(pilot, "ctrl+u", "0", ".", ".", "space", "9", "9", "enter")
        await until(pilot, lambda: "no sealed block 99" in screen_text(pilot))
        await press(pilot, "escape", "C", "ctrl+u", "0", ".", ".", "1", "enter")
        screen = shown(pilot, Compare)
        await until(pilot, lambda: screen.table.total == 10 and screen.table.row is not None)
        row = screen.table.row
        assert row is not None
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, RecordsView))


@pytest.mark.torture
@covers("records.course", "records.turn_course", "course.earlier", "course.later", "course.first", "course.last")
async def test_the_course_of_the_records_moves_the_moment(directory: Path) -> None:
    async with looking(directory) as pilot:
        app, view = app_of(pilot), shown(pilot, RecordsView)
        strip = view.strip
        await until(pilot, lambda: "46 records" in screen_text(pilot))
        await press(pilot, "B", "shift+tab")
        assert strip.has_focus
        assert strip.cursor is None
        await press(pilot, "left")
        await until(pilot, lambda: app.past.standing is not None and view.table.total < 46)
        before = app.past.standing
        assert before is not None
        await press(pilot, "left", "left")
        await until(pilot, lambda: app.past.standing is not None and app.past.standing.records <= before.records)
        await press(pilot, "home")
        await until(pilot, lambda: app.past.standing is not None and app.past.standing.records == 1)
        assert strip.cursor == 0
        await press(pilot, "right", "end")
        await until(pilot, lambda: app.as_of is None)
        await pilot.click("#course", offset=(strip.size.width // 2, 0))
        await until(pilot, lambda: app.past.standing is not None and 20 <= app.past.standing.records <= 26)
        await press(pilot, "B", "1", "slash", "k", "e", "y", "enter")
        await until(pilot, lambda: "key… 45 records" in screen_text(pilot))
        await press(pilot, "H")
        assert not strip.display
