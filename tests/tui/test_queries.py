"""Queries: typed with help, run where nobody waits for them, shown as they find."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import blockdb
from blockdb.commands.completing import complete_filter
from blockdb.commands.completing.fields import paths_in
from blockdb_tui import querying
from blockdb_tui.querying import Found, Mistake, Plan, Query, Search, plan_of
from blockdb_tui.screens.records import RecordsView
from tests.tui.covering import covers, said, shown
from tests.tui.drive import exploring, press, screen_text, settled, until
from tests.tui.fake import FakeDatabase, orders, shop

FIELDS = ("city", "customer", "items[].price", "number", "_key")

# ── completion ──


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("", ("city", "customer", "items[].price", "number", "_key", "not", "exists")),
        ("ci", ("city",)),
        ("city", ()),
        ("city ", ("=", "!=")),
        ("city s", ("starts with",)),
        ("city = ", ("true", "false", "null")),
        ("city = 'Os", ()),
        ("city = 'Oslo' ", ("and", "or", "order by")),
        ("city = 'Oslo' a", ("and",)),
        ("number = 7 and cu", ("customer",)),
        ("number = 7 and not (it", ("items[].price",)),
        ("exists ", ("city", "customer")),
        ("city = 'it''s' o", ("or", "order by")),
        ("number > 7 order by n", ("number",)),
        ("city not ", ("in", "between")),
        ("city starts with ", ()),
    ],
)
def test_what_can_be_typed_next_is_offered(text: str, offered: tuple[str, ...]) -> None:
    completion = complete_filter(text, FIELDS, orders=True)
    assert completion.words[: len(offered)] == offered
    assert bool(offered) or not completion.words


def test_the_paths_of_a_document_are_written_as_the_language_has_them() -> None:
    document = {"a": {"b c": 1, "or": [[{"x": 1}]]}, "tags": ["u"], "é": None, "deep": {"d": {"d": {"d": {"d": 1}}}}}
    assert list(paths_in(document)) == [
        *("a", 'a."b c"', 'a."or"', 'a."or"[]', 'a."or"[][]'),
        *("tags", "tags[]", '"\\u00e9"', "deep", "deep.d", "deep.d.d", "deep.d.d.d"),
    ]
    for path in paths_in(document):
        FakeDatabase().explain(f"exists {path}", limit=0)


# ── understanding ──


def test_an_order_stands_behind_the_filter() -> None:
    assert Query.parse("a = 1") == Query("a = 1")
    assert Query.parse("a = 1 ORDER  by b desc ") == Query("a = 1 ", "b desc", 16)
    assert Query.parse("a = ' order by x'") == Query("a = ' order by x'")


def test_a_mistake_is_named_by_its_place_in_the_whole_text() -> None:
    collection: Any = FakeDatabase(orders(3))
    for text, position in (("number >> 1", 8), ("number = 1 order by number up", 27), ("number = 1 order by", 19)):
        mistake = plan_of(collection, text)
        assert isinstance(mistake, Mistake)
        assert mistake.position == position, mistake
    assert isinstance(plan_of(collection, "number = 1 order by number desc"), Plan)


# ── typing and running ──


@covers("records.where", "prompt.complete")
async def test_a_query_is_typed_with_help_and_finds() -> None:
    async with exploring(shop()) as pilot:
        await press(pilot, "0", "j", "enter", "w")
        assert "Tab city" in screen_text(pilot)
        await press(pilot, "c", "i", "tab", "space", "=", "=")
        lines = screen_text(pilot).splitlines()
        [asked] = [at for at, line in enumerate(lines) if "Where" in line]
        assert lines[asked + 1].index("▲") == lines[asked].index("==")
        assert "write `=`" in lines[asked + 1]
        await press(pilot, "backspace", *" 'Oslo'")
        assert "index by_city · about 6 entries" in screen_text(pilot)
        await press(pilot, "enter")
        view = shown(pilot, RecordsView)
        await until(pilot, lambda: "6 records touched" in screen_text(pilot))
        assert view.table.total == 6
        assert "where city = 'Oslo'" in screen_text(pilot)
        await press(pilot, "Y")
        assert (
            pilot.app.clipboard == """blockdb -d /srv/records find --collection orders --all 'city = '"'"'Oslo'"'"''"""
        )
        await press(pilot, "j", "escape")
        assert view.table.total == 24
        assert view.table.row is not None
        assert view.table.row.key == b"order:0004"


@pytest.mark.torture
async def test_tab_goes_through_what_fits() -> None:
    async with exploring(shop()) as pilot:
        await press(pilot, "0", "j", "enter", "w", "_", "tab")
        line = shown(pilot, RecordsView).prompt._input
        assert line.value == "_key"
        await press(pilot, "tab")
        assert line.value == "_sequence"
        await press(pilot, "tab", "tab")
        assert line.value == "_key"
        await press(pilot, "escape")
        assert not shown(pilot, RecordsView).prompt.asking


@pytest.mark.torture
async def test_a_query_that_is_none_is_asked_for_again() -> None:
    async with exploring(shop()) as pilot:
        await press(pilot, "w", *"city", "enter")
        assert shown(pilot, RecordsView).prompt.asking
        assert "Expected" in said(pilot)[-1]


@pytest.mark.torture
async def test_a_search_shows_what_it_has_and_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(querying, "STRETCH_RECORDS", 5)
    gate = threading.Semaphore(2)

    class Slow(FakeDatabase):
        def find(
            self, where: str = "", *, order: str = "", limit: int | None = None, as_of: Any = None
        ) -> Iterator[Any]:
            if limit is None:
                assert gate.acquire(timeout=20)
            return super().find(where, order=order, limit=limit)

    async with exploring(Slow(orders(24))) as pilot:
        await press(pilot, "w", *"number > 0", "enter")
        await until(pilot, lambda: "10 found in 10 of 24" in screen_text(pilot))
        view = shown(pilot, RecordsView)
        assert view.asking.search is not None
        await press(pilot, "escape")
        gate.release(9)
        await until(pilot, lambda: "stopped" in screen_text(pilot))
        await settled(pilot)
        assert view.table.total <= 15
        await press(pilot, "escape")
        assert view.table.total == 24


def test_no_more_is_found_than_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(querying, "MOST_FOUND", 7)
    monkeypatch.setattr(querying, "STRETCH_RECORDS", 4)
    collection: Any = FakeDatabase(orders(24))
    search = Search(collection, "number > 2", Plan("all records", "all records"))
    search._run()
    assert search.keys == [b"order:%04d" % number for number in range(2, 9)]
    assert "the first 7 found" in search.progress()
    found = Found(collection, search)
    assert [row.key for row in found.fetch(5, 10, found.count())] == [b"order:0007", b"order:0008"]


def test_a_search_that_fails_says_why() -> None:
    class Broken(FakeDatabase):
        def find(
            self, where: str = "", *, order: str = "", limit: int | None = None, as_of: Any = None
        ) -> Iterator[Any]:
            raise blockdb.Corruption("chain/00000000.chain", 1, "\x1b[2J")

    collection: Any = Broken(orders(3))
    search = Search(collection, "", Plan("index by_x", ""))
    search._run()
    assert search.done
    assert search.progress().startswith("Corruption: chain/00000000.chain")
    assert "\x1b" not in search.progress()
