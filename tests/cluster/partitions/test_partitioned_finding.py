"""Queries over several partitions: each answer is what a naive search over all records gives, page by page too."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import blockdb
from blockdb import AsOf, InvalidData, QueryError
from blockdb.cluster.partitions.collection import PartitionedCollection
from blockdb.query.parser import parse_fields, parse_filter
from blockdb.query.projection import projection
from blockdb.query.text import filter_text
from blockdb.query.tree import SEQUENCE, Term
from tests.cluster.partitions.spread import spread
from tests.database.finding import naive_find, some_values
from tests.query.filters import filters, leaves

ORDERS = [
    "",
    "a",
    "a desc, b",
    "a.b desc",
    "_key",
    "_key desc",
    "_time",
    "_time desc",
    "_sequence desc",
    "b, _key desc",
]
COUNTS = [1, 2, 5]


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, PartitionedCollection]]:
    chance = random.Random(7)
    path = tmp_path_factory.mktemp("found")
    made = {}
    with spread(path / "1", 1) as one, spread(path / "2", 2) as two, spread(path / "5", 5) as five:
        for count, collection in zip(COUNTS, (one, two, five), strict=True):
            for number, value in enumerate(some_values(chance, count == 2)[:120]):
                collection.put(b"%d" % number, value)
            made[count] = collection
        two.create_index("a", ["a"])
        yield made


def in_full(order: str) -> str:
    """What decides between equals is the number, also where the time was asked for last."""
    if not order or "_key" in order or "_sequence" in order:
        return order
    return f"{order}, _sequence{' desc' * order.endswith('desc')}"


def found_of(results: blockdb.Results) -> list[tuple[bytes, dict[str, Any]]]:
    return [(document.key, document.value) for document in results]


def check(collection: PartitionedCollection, term: Term, order: str, limit: int | None, offset: int) -> None:
    wanted = naive_find(list(collection.records()), term, in_full(order))
    where = filter_text(term)
    end = None if limit is None else offset + limit
    assert found_of(collection.find(where, order=order, limit=limit, offset=offset)) == wanted[offset:end]
    assert collection.count(where=where) == len(wanted)
    told = collection.explain(where, order=order, limit=limit, offset=offset)
    assert told.returned == len(wanted[offset:end])


bounded = st.builds(
    lambda path, operator, value: parse_filter(f"{path} {operator} {value}"),
    st.just("_sequence"),
    st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
    st.integers(-3, 200) | st.sampled_from([0.5, 17.0, 17.5]),
)
numbers = bounded | leaves(st.just(SEQUENCE))


@settings(max_examples=40)
@given(
    st.sampled_from(COUNTS),
    filters() | numbers,
    st.sampled_from(ORDERS),
    st.none() | st.integers(0, 30),
    st.integers(0, 12),
)
def test_what_is_found_is_what_a_naive_search_finds(
    collections: dict[int, PartitionedCollection], count: int, term: Term, order: str, limit: int | None, offset: int
) -> None:
    check(collections[count], term, order, limit, offset)


@settings(max_examples=20)
@given(st.sampled_from(COUNTS), st.sampled_from(ORDERS), st.integers(1, 17), st.integers(0, 5))
def test_pages_have_everything_once(
    collections: dict[int, PartitionedCollection], count: int, order: str, size: int, offset: int
) -> None:
    collection = collections[count]
    wanted = found_of(collection.find("exists a", order=order))[offset:]
    pages, cursor = [], None
    while True:
        page = collection.find("exists a", order=order, limit=size, offset=0 if cursor else offset, after=cursor)
        pages += found_of(page)
        cursor = page.cursor
        if cursor is None or len(pages) >= len(wanted):
            break
    assert pages == wanted


@pytest.mark.parametrize("order", ORDERS)
def test_a_page_may_end_anywhere(collections: dict[int, PartitionedCollection], order: str) -> None:
    """A cursor leads on behind the last document that was taken, though more were fetched."""
    collection = collections[5]
    wanted = found_of(collection.find(order=order))
    for taken in (1, 2, 7, len(wanted) - 1):
        results = collection.find(order=order)
        for _ in range(taken):
            next(results)
        assert found_of(collection.find(order=order, after=results.cursor)) == wanted[taken:]


def test_a_cursor_is_none_before_the_first_and_after_the_last(collections: dict[int, PartitionedCollection]) -> None:
    results = collections[5].find("exists a")
    assert results.cursor is None
    for _ in results:
        assert results.cursor is not None
    assert results.cursor is None


@pytest.mark.parametrize("fields", ["a", "b", "a.b", ["o[].a", "_key"]])
def test_fields_are_those_that_were_asked_for(collections: dict[int, PartitionedCollection], fields: Any) -> None:
    project = projection(parse_fields(fields))
    for order in ("", "a desc", "c, a.b"):
        whole = found_of(collections[5].find("exists a", order=order))
        found = found_of(collections[5].find("exists a", order=order, fields=fields))
        assert found == [(key, project(value)) for key, value in whole]


def test_later_pages_are_of_the_moment_of_the_first(tmp_path: Path) -> None:
    with spread(tmp_path, 3) as collection:
        for number in range(20):
            collection.put(b"%d" % number, {"n": number})
        first = collection.find(order="n", limit=5)
        assert [document.value["n"] for document in first] == [0, 1, 2, 3, 4]
        collection.put_many([(b"new %d" % number, {"n": number + 0.5}) for number in range(20)])
        rest = collection.find(order="n", after=first.cursor)
        assert [document.value["n"] for document in rest] == list(range(5, 20))


def test_documents_tell_their_numbers(collections: dict[int, PartitionedCollection]) -> None:
    collection = collections[5]
    by_number = {record.sequence: record.key for record in collection.records()}
    for document in collection.find("exists a"):
        assert by_number[document.sequence] == document.key
        assert collection.document(document.key) == document


@pytest.mark.parametrize("bad", ["a b", "a = ", "_sequence ="])
def test_what_is_wrong_in_a_query_is_said(tmp_path: Path, bad: str) -> None:
    with spread(tmp_path, 3) as collection:
        for ask in (collection.find, collection.explain, lambda text: collection.count(where=text)):
            with pytest.raises(QueryError):
                ask(bad)
        with pytest.raises(QueryError):
            collection.find(order="a,")


def test_cursors_of_others_are_refused(collections: dict[int, PartitionedCollection]) -> None:
    results = collections[5].find("exists a", limit=30)
    for _ in results:
        pass
    cursor = results.cursor
    for collection, where in ((collections[2], "exists a"), (collections[5], "exists b")):
        with pytest.raises(InvalidData, match="cursor"):
            list(collection.find(where, after=cursor))
    with pytest.raises(InvalidData, match="cursor"):
        collections[5].find(after="x")
    with pytest.raises(InvalidData, match="same moment"):
        collections[5].find("exists a", after=cursor, as_of=AsOf(sequence=0))
