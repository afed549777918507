"""The schema and the indexes of a collection, and the stream of what is stored in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from textual.pilot import Pilot

import blockdb
from blockdb_tui import changes
from blockdb_tui.changes import Newest, Stream
from blockdb_tui.screens.blocks import BlocksView
from blockdb_tui.screens.changes import ChangesView
from blockdb_tui.screens.proof import Proof
from blockdb_tui.screens.records import RecordsView
from blockdb_tui.screens.schema import SchemaView
from tests.tiers import tiers
from tests.tui.covering import app_of, covers, said, shown
from tests.tui.drive import exploring, press, screen_text, settled, until
from tests.tui.fake import FakeDatabase, orders, sample, shop, waiting

# ── schema ──


@covers("view.schema", "collections.schema", "schema.older", "schema.newer", "schema.copy")
async def test_the_versions_of_a_schema_are_gone_through() -> None:
    async with exploring(shop(), size=(160, 30)) as pilot:
        await press(pilot, "0", "j", "s")
        shown(pilot, SchemaView)
        text = screen_text(pilot)
        assert "version 2 of 2, from record #12 on" in text
        for words in ("items[].price", 'OneOf ["open"', '"open"', "customer", "required"):
            assert words in text
        await press(pilot, "h", "left")
        assert "version 1 of 2, from record #0 on" in screen_text(pilot)
        await press(pilot, "y")
        assert json.loads(pilot.app.clipboard)["version"] == 1
        await press(pilot, "l", "right")
        assert "version 2 of 2" in screen_text(pilot)
        await press(pilot, "Y")
        assert pilot.app.clipboard == "blockdb -d /srv/records collection schema orders"


@pytest.mark.torture
async def test_indexes_are_seen_to_be_built() -> None:
    database = shop()
    async with exploring(database, size=(160, 30)) as pilot:
        await press(pilot, "0", "j", "s", "tab")
        text = screen_text(pilot)
        for words in ("city, status", "sparse", "unique", "building", "4 KB"):
            assert words in text
        database.others["orders"].indexed.pop()
        app_of(pilot).take(database.others["orders"].stats())
        await settled(pilot)
        assert "building" not in screen_text(pilot)


@pytest.mark.torture
async def test_a_collection_without_schema_and_index_says_so() -> None:
    async with exploring(shop()) as pilot:
        await press(pilot, "5", "y")
        assert "This collection has no schema" in said(pilot)[-1]
        text = screen_text(pilot)
        assert "No schema" in text
        assert "No index" in text


# ── changes ──


def first_line(pilot: Pilot[Any]) -> str:
    return screen_text(pilot).splitlines()[3]


@pytest.mark.torture
@covers("view.changes", "changes.pause", "changes.follow")
async def test_what_is_stored_is_followed_held_and_followed_again() -> None:
    database = FakeDatabase(sample())
    async with exploring(database, size=(120, 30)) as pilot:
        await press(pilot, "6")
        await until(pilot, lambda: "#59" in screen_text(pilot))
        view = shown(pilot, ChangesView)
        database.add((b"fresh", b"{}"))
        await until(pilot, lambda: "fresh" in first_line(pilot))
        assert "7 · 4" in first_line(pilot)
        await press(pilot, "space")
        assert "paused" in screen_text(pilot)
        database.add((b"fresher", b"{}"))
        await press(pilot, "space", "j")
        assert "following" not in screen_text(pilot)
        await until(pilot, lambda: view.table.total == 62)
        assert view.table.row is not None
        assert view.table.row.key in (b"image:0059", b"fresh")
        await press(pilot, "f")
        assert "fresher" in first_line(pilot)


@pytest.mark.torture
@covers("changes.all", "changes.open", "changes.copy_key")
async def test_all_collections_are_followed_together() -> None:
    database = shop()
    async with exploring(database, size=(170, 40)) as pilot:
        await press(pilot, "6", "a")
        view = shown(pilot, ChangesView)
        await until(pilot, lambda: view.table.total == 85)
        assert "Changes of all collections" in screen_text(pilot)
        database.others["orders"].add((b"order:new", b"{}"))
        await until(pilot, lambda: "order:new" in first_line(pilot))
        await settled(pilot)
        await press(pilot, "c")
        assert pilot.app.clipboard == "order:new"
        await press(pilot, "tab", "Y")
        assert pilot.app.clipboard == "blockdb -d /srv/records get --collection orders order:new"
        await press(pilot, "escape", "enter")
        assert app_of(pilot).inside == "orders"
        row = shown(pilot, RecordsView).table.row
        assert row is not None
        assert row.key == b"order:new"


@pytest.mark.torture
@covers("changes.block", "changes.prove")
async def test_a_change_leads_to_its_block_and_to_its_proof() -> None:
    async with exploring(shop()) as pilot:
        await press(pilot, "0", "j", "enter", "6")
        await until(pilot, lambda: "order:0023" in screen_text(pilot))
        await press(pilot, "P")
        shown(pilot, Proof)
        await press(pilot, "Y")
        assert "prove --collection orders" in pilot.app.clipboard
        await press(pilot, "escape", "b")
        view = shown(pilot, BlocksView)
        assert (view.belt.selected, view.table.cursor) == (2, 7)


@pytest.mark.torture
async def test_a_stream_that_breaks_says_so() -> None:
    database = shop()
    async with exploring(database) as pilot:
        await press(pilot, "6")
        await until(pilot, lambda: shown(pilot, ChangesView).table.total == 60)
        database.failing = blockdb.Corruption("chain/00000000.chain", 1, "\x1b[2J[/x]")
        await until(pilot, lambda: any("cannot be followed" in words for words in said(pilot)))


def test_a_collection_that_is_dropped_leaves_the_others_to_be_followed() -> None:
    dropped, kept = FakeDatabase(orders(3)), FakeDatabase(orders(4))
    stream = Stream({"dropped": dropped, "kept": kept})  # type: ignore[dict-item]
    positions, feeds = {"dropped": -1, "kept": -1}, {}  # type: ignore[var-annotated]
    assert [stream._read(name, feeds, positions) for name in positions] == [3, 4]
    dropped.failing = blockdb.CollectionNotFound("dropped")
    kept.add((b"more", b"{}"))
    stream.look(True)
    stream._stopped.wait = lambda _: stream.stop()  # type: ignore[method-assign,assignment,return-value]
    stream._follow(positions)
    assert positions == {"kept": 4}
    assert stream.newest()[1][0].key == b"more"


def test_no_more_than_so_many_changes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "BACKLOG", 10)
    collection = FakeDatabase(orders(30))
    stream = Stream({"orders": collection})  # type: ignore[dict-item]
    monkeypatch.setattr(stream, "_kept", changes.deque(maxlen=20))
    feed = stream._feed("orders", -1)
    assert feed.position == 19
    while (change := feed.take(0)) is not None:
        stream._keep("orders", change)
    listing = Newest(stream)
    assert listing.count() == 10
    newest = listing.fetch(0, 1, 10)[0]
    assert (newest.sequence, newest.number) == (29, 9)
    collection.add(*[(b"more:%03d" % number, b"{}") for number in range(100)])
    feed = stream._feed("orders", feed.position)
    assert stream.passed_over == 90
    while (change := feed.take(0)) is not None:
        stream._keep("orders", change)
    assert listing.count() == 20
    assert listing.locate(newest, 20) == 10


# ── transactions ──


@covers("metrics.transactions")
@pytest.mark.parametrize("size", tiers([(80, 24)], [(120, 40), (170, 50)]))
async def test_transactions_and_who_waits_for_whom_are_shown(size: tuple[int, int]) -> None:
    async with exploring(waiting(), size=size) as pilot:
        await press(pilot, "3")
        assert ("waits for 2 transactions 7, 9" in screen_text(pilot)) == (size[1] >= 36)
        await press(pilot, "x")
        text = screen_text(pilot)
        assert "waits for 2 transactions 7, 9: the key '␛[2Jada'" in text
        for words in ("committed 1,204", "deadlocks 1", "timeouts 2", "is being committed", "at most 30 ms"):
            assert words in text
        assert "Writes" not in text
        await press(pilot, "escape")
        assert "Writes" in screen_text(pilot)


@pytest.mark.torture
async def test_who_only_reads_has_no_transactions() -> None:
    async with exploring(shop()) as pilot:
        await press(pilot, "3", "x")
        assert "Transactions" not in screen_text(pilot)
