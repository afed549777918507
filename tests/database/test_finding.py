"""Queries: each answer is what a naive search gives, whatever the way it came by, page by page too."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import blockdb
from blockdb import AsOf, InvalidData, QueryError, Record
from blockdb.documents.paths import Path as FieldPath
from blockdb.query.parser import parse_filter
from blockdb.query.text import filter_text
from blockdb.query.tree import Term
from tests.database.finding import RECORDS, filled, make_index, naive_find
from tests.query.filters import filters

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
READERS = ["writer", "attached", "redacted", "packed", "indexed", "indexed, attached", "indexed, redacted"]
INDEXES = ["a", "a.b", "b, a", "c, a sparse", "t[]", "t[], a", "a, o[].a", "b sparse", "o[] sparse"]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, blockdb.Database]]:
    path = tmp_path_factory.mktemp("found")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("blockdb.storage.log.SEGMENT_SOFT_BYTES", 4096)
        patch.setattr("blockdb.storage.log.PACKED_SEGMENT_BYTES", 4096)
        packed = filled(path / "packed", compression_enabled=True)
    with packed, filled(path / "db") as writer, filled(path / "redacted", redactable=True) as redacted:
        redacted.redact_many([record.key for record in redacted.records() if record.sequence % 9 == 4], reason="asked")
        with indexed(path, False) as one, indexed(path, True) as other, contextlib.ExitStack() as beside:
            attached, also = (beside.enter_context(blockdb.open(db.path, read_only=True)) for db in (writer, one))
            yield {
                "indexed": one,
                "indexed, attached": also,
                "indexed, redacted": other,
                "writer": writer,
                "attached": attached,
                "redacted": redacted,
                "packed": packed,
            }


def indexed(path: Path, redactable: bool) -> blockdb.Database:
    """A database of documents alone, with indexes that were there before them, and others that came later."""
    db = filled(path / f"indexed-{redactable}", only_documents=True, before=INDEXES[:4], redactable=redactable)
    for fields in INDEXES[4:-1]:
        make_index(db, fields)
    db.flush()
    make_index(db, INDEXES[-1])
    db.put_many([(b"new:%d" % at, b'{"a": %d, "t": [1, "a"], "b": "a"}' % at) for at in range(3)])
    if redactable:
        db.redact_many([record.key for record in db.records() if record.sequence % 9 == 4], reason="asked")
    return db


Databases = dict[str, blockdb.Database]


def found(db: blockdb.Database, *args: Any, **options: Any) -> list[tuple[bytes, dict[str, Any]]]:
    return [(document.key, document.value) for document in db.find(*args, **options)]


as_ofs = st.none() | st.builds(AsOf, sequence=st.integers(0, RECORDS - 1)) | st.builds(AsOf, block=st.integers(0, 30))


def seen(records: list[Record], as_of: AsOf | None) -> list[Record]:
    if as_of is None:
        return records
    last = as_of.sequence if as_of.sequence is not None else (as_of.block or 0) * 7 + 6
    return records[: last + 1]


FIELDS = ["a", "b", "c", "a.b", "t[]", "o[]", "o[].a", "_key", "_sequence", "_time"]
some_filters = filters() | filters(st.sampled_from(FIELDS).map(FieldPath.parse))


@settings(max_examples=settings.default.max_examples // 2)
@given(
    st.sampled_from(READERS),
    some_filters,
    st.sampled_from(ORDERS),
    as_ofs,
    st.none() | st.integers(0, 30),
    st.integers(0, 9),
)
def test_like_a_naive_search(
    databases: Databases, reader: str, term: Term, order: str, as_of: AsOf | None, limit: int | None, offset: int
) -> None:
    db, where = databases[reader], filter_text(term)
    expected = naive_find(seen(list(db.records()), as_of), term, order)
    stop = None if limit is None else offset + limit
    assert found(db, where, order=order, limit=limit, offset=offset, as_of=as_of) == expected[offset:stop]
    assert db.count(where=where, as_of=as_of) == len(expected)


@settings(max_examples=settings.default.max_examples // 5)
@given(st.sampled_from(READERS), some_filters, st.sampled_from(ORDERS), st.integers(1, 200))
def test_pages_together_are_the_whole(databases: Databases, reader: str, term: Term, order: str, size: int) -> None:
    db, where = databases[reader], filter_text(term)
    pages: list[tuple[bytes, dict[str, Any]]] = []
    cursor = None
    whole = found(db, where, order=order)
    for _ in range(len(whole) // size + 1):
        page = db.find(where, order=order, limit=size, after=cursor)
        pages += [(document.key, document.value) for document in page]
        cursor = page.cursor
    assert (pages, cursor) == (whole, None)


@pytest.mark.parametrize("order", ["", "_sequence desc", "_key", "a"])
def test_what_has_expired_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    with filled(tmp_path / "db") as db:
        records = list(db.records())
        middle = records[RECORDS // 2].time_ms
        monkeypatch.setattr("blockdb.storage.expiry.time_ns", lambda: (middle + 50) * 1_000_000)
        db._reader.ttl_ms = 50
        left = [record for record in records if record.time_ms >= middle]
        term = parse_filter("exists a")
        assert 0 < len(left) < RECORDS
        assert found(db, "exists a", order=order) == naive_find(left, term, order)
        assert found(db, "exists a and _key > 'a'", order=order) == [
            row for row in naive_find(left, term, order) if row[0] > b"a"
        ]


def test_a_document_knows_its_place(databases: Databases) -> None:
    db = databases["writer"]
    records = {record.key: record for record in db.records()}
    for order in ("", "_key", "a"):
        for document in db.find(order=order, limit=50):
            record = records[document.key]
            assert (document.sequence, document.time_ms) == (record.sequence, record.time_ms)
            assert db.document(document.key) == document
    assert db.document(b"nobody") is None
    assert db.document(next(record.key for record in records.values() if record.value == b"5")) is None


def test_fields(databases: Databases) -> None:
    db = databases["writer"]
    rows = zip(db.find("exists a.b"), db.find("exists a.b", fields=["a.b", "_key"]), strict=True)
    assert all(few.value == {"a": {"b": whole.value["a"]["b"]}} for whole, few in rows)


def test_a_snapshot_is_of_the_call(tmp_path: Path) -> None:
    with filled(tmp_path / "db") as db:
        for order in ("", "_key desc", "a"):
            expected = found(db, order=order)
            results = db.find(order=order)
            first = next(results)
            db.put(b"zz" + order.encode(), b'{"a": null}')
            db.flush()
            assert [(first.key, first.value), *((document.key, document.value) for document in results)] == expected


def test_a_cursor_outlives_the_handle_but_fits_its_query_alone(tmp_path: Path) -> None:
    with filled(tmp_path / "db") as db:
        whole = found(db, "a > :x", {"x": 0}, order="b")
        page = db.find("a > :x", {"x": 0}, order="b", limit=10)
        assert page.cursor is None
        first = [(document.key, document.value) for document in page]
        cursor = page.cursor
    with blockdb.open(tmp_path / "db") as db:
        assert first + found(db, "a > :x", {"x": 0}, order="b", after=cursor) == whole
        for change in ({"order": "a"}, {"parameters": {"x": 1}}, {"where": "a >= :x"}, {"as_of": AsOf(sequence=9)}):
            query: dict[str, Any] = {"where": "a > :x", "parameters": {"x": 0}, "order": "b", **change}
            with pytest.raises(InvalidData, match="no cursor of this query"):
                db.find(**query, after=cursor)
    for odd in ("", "x", "äöü", "AAAA", 5, b"abc"):
        with blockdb.open(tmp_path / "db") as db, pytest.raises(InvalidData, match="no cursor of this query"):
            db.find(after=odd)  # type: ignore[arg-type]


def test_a_cursor_at_a_redacted_document_is_told(tmp_path: Path) -> None:
    with filled(tmp_path / "db", redactable=True) as db:
        pages = {order: db.find("exists a", order=order, limit=5) for order in ("", "_key", "a")}
        stands = {order: list(page)[-1].key for order, page in pages.items()}
        expected = {order: found(db, "exists a", order=order) for order in pages}
        db.redact_many(set(stands.values()), reason="asked")
        left = set(stands.values())
        for order in ("", "_key"):
            rest = found(db, "exists a", order=order, after=pages[order].cursor)
            assert rest == [row for row in expected[order][5:] if row[0] not in left]
        with pytest.raises(InvalidData, match="was redacted"):
            found(db, "exists a", order="a", after=pages["a"].cursor)


def test_what_cannot_be_asked(databases: Databases) -> None:
    db = databases["writer"]
    with pytest.raises(QueryError) as caught:
        db.find("age >= and x")
    assert caught.value.position == 7
    with pytest.raises(QueryError, match="an order needs one"):
        db.find(order="t[]")
    for options in ({"limit": -1}, {"offset": -1}, {"limit": True}):
        with pytest.raises(InvalidData, match="from 0 up"):
            db.find(**options)  # type: ignore[arg-type]
    for options in (
        *({"where": 5}, {"where": None}, {"where": ["a"]}, {"where": b"a = 1"}, {"order": ["a"]}, {"order": None}),
        *({"parameters": [1]}, {"fields": 5}, {"fields": [5]}, {"fields": b"a"}, {"fields": {"a": 1}}, {"fields": ""}),
    ):
        with pytest.raises(InvalidData):
            db.find(**options)  # type: ignore[arg-type]
    with pytest.raises(InvalidData, match="it chooses the keys too"):
        db.count(where="a = 1", prefix=b"a")
    with pytest.raises(InvalidData, match="belong to a filter"):
        db.count(parameters={})
    with pytest.raises(blockdb.BlockNotFound):
        db.find(as_of=AsOf(block=99_999))


def test_a_sort_has_a_limit(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    db = databases["writer"]
    monkeypatch.setattr("blockdb.database.queries.search.MAX_SORT_BYTES", 10_000)
    with pytest.raises(InvalidData, match="Sorting by a desc would take more than"):
        list(db.find(order="a desc"))
    assert len(list(db.find(order="a desc", limit=20))) == 20
    assert len(list(db.find("a = 1", order="b"))) > 2
    with pytest.raises(InvalidData, match="Set a limit of up to 10,000"):
        list(db.find(order="a", limit=10_001))


def test_explain_names_the_index(databases: Databases) -> None:
    db = databases["indexed"]
    lookups = {info.name: info.lookups for info in db.indexes()}
    told = db.explain("b = 1 and a > 0", order="a", limit=2)
    assert (told.access, told.ranges) == ("index b_a", ("b = 1 and a > 0",))
    assert (told.residual, told.sort) == ("", "by the index b_a")
    assert {info.name: info.lookups for info in db.indexes()} == {**lookups, "b_a": lookups["b_a"] + 1}
    assert db.explain("b = 1 or t contains 'a'").access == "index b_s or index t"
    assert db.explain("x = 1").access == "all records"
    db.create_index("by_city", ["city"])
    assert db.explain("citty = 1").notes == ("No index and no schema has a field `citty`; did you mean `city`?",)
    db.drop_index("by_city")


def test_an_index_that_comes_or_goes_changes_no_page(tmp_path: Path) -> None:
    with filled(tmp_path / "db", only_documents=True) as db:
        whole = found(db, "a != 5", order="a, b")
        pages, cursor = [], None
        for change in (lambda: make_index(db, "a, b"), lambda: db.drop_index("a_b"), lambda: make_index(db, "a")):
            page = db.find("a != 5", order="a, b", limit=20, after=cursor)
            pages += [(document.key, document.value) for document in page]
            cursor = page.cursor
            change()
        assert pages + found(db, "a != 5", order="a, b", after=cursor) == whole


def test_what_several_entries_lead_to_is_given_once(databases: Databases) -> None:
    db = databases["indexed"]
    for where in ("b = 'a' or t contains 'a' or a > 0", "t[] >= 0", "t[] in (1, 'a')"):
        expected = naive_find(list(db.records()), parse_filter(where), "")
        assert db.explain(where).access.startswith("index")
        assert found(db, where) == expected != []
        assert db.count(where=where) == len(expected)


def test_a_search_of_the_past_ends_with_its_moment(databases: Databases) -> None:
    db = databases["writer"]
    records = list(db.records())
    for sequence in range(3, 60, 2):
        expected = naive_find(records[: sequence + 1], parse_filter(""), "")
        assert found(db, as_of=AsOf(sequence=sequence)) == expected
        assert found(db, order="_time desc", as_of=AsOf(sequence=sequence)) == expected[::-1]
    records = list(databases["indexed"].records())
    for where in ("a = 1", "b in (1, 'a')", "a > 0"):
        assert databases["indexed"].explain(where).residual == ""
        for sequence in range(0, len(records), 40):
            count = databases["indexed"].count(where=where, as_of=AsOf(sequence=sequence))
            assert count == len(naive_find(records[: sequence + 1], parse_filter(where), ""))


def test_many_keys(databases: Databases) -> None:
    db = databases["writer"]
    keys = [record.key for record in db.records() if db.document(record.key) and record.key.isascii()]
    given = {"k": [*keys[::3], b"none", b""]}
    for order in ("", "_key desc"):
        expected = [row for row in found(db, order=order) if row[0] in given["k"]]
        assert found(db, "_key in :k", given, order=order) == expected
    assert db.explain("_key in :k", given).access == "keys"


def test_a_lookup_gives_what_a_search_gives(databases: Databases) -> None:
    for reader in ("indexed", "indexed, attached", "indexed, redacted"):
        db = databases[reader]
        for value in [None, True, 0, 1, 1.0, 0.5, "a", "é", 2**70]:
            for where in ("a = :x", "b = :x and a = 1", "t contains :x"):
                looked_up = found(db, where, {"x": value})
                assert looked_up == found(db, f"{where} or not exists _key", {"x": value})
                assert looked_up[1:3] == found(db, where, {"x": value}, offset=1, limit=2)
                page = db.find(where, {"x": value}, limit=1)
                first = [(document.key, document.value) for document in page]
                assert first + (found(db, where, {"x": value}, after=page.cursor) if first else []) == looked_up
        for odd in ({}, {"x": [1]}, {"x": float("nan")}, {"x": "\ud800"}, {"x": 1, "y": 2}):
            with pytest.raises(InvalidData):
                db.find("a = :x", odd)


def test_explain(databases: Databases) -> None:
    told = databases["redacted"].explain("_key starts with 'a' and a = :x", {"x": 1}, order="b", limit=3)
    assert (told.filter, told.order) == ("_key starts with 'a' and a = 1", "b, _sequence")
    assert (told.access, told.ranges, told.residual) == ("keys", ("from 'a' before 'b'",), "a = 1")
    assert told.sort == "in memory, by b, _sequence"
    assert told.returned == 3
    assert told.touched == told.estimated
    everything = databases["redacted"].explain()
    assert (everything.touched, everything.estimated, everything.sort) == (RECORDS, None, "as stored")
    assert everything.left_out == 6 - sum(at * 20 % 9 == 4 for at in range(6))
    assert everything.redacted == len([at for at in range(RECORDS) if at % 9 == 4])
    assert everything.returned == RECORDS - everything.left_out - everything.redacted
    assert databases["writer"].explain("a = 1", limit=1).touched < RECORDS
