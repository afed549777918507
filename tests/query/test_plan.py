"""Plans: which way is taken, and that each gives what looking at all records gives."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.documents.paths import Path
from blockdb.format.ordered import MISSING, Bound, encode_all, span, text_span
from blockdb.query.access import Index, IndexRanges, KeyRange, KeyRanges, Source, Window
from blockdb.query.constraints import ValueRange
from blockdb.query.parser import parse_filter, parse_order
from blockdb.query.plan import Plan, full_order, make_plan
from blockdb.query.tree import ALL, KEY, SEQUENCE, Term, all_of
from tests.query.filters import Origin, documents, filters, fits, leaves, rank


def index(text: str) -> Index:
    """`city, age unique sparse`: an index called by_city_age."""
    fields, *words = text.replace(", ", ",").split(" ")
    paths = tuple(map(Path.parse, fields.split(",")))
    return Index("by_" + "_".join(map(str, paths)), paths, "unique" in words, "sparse" in words)


def planned(where: str, order: str = "", *indexes: str, **options: Any) -> Plan:
    return make_plan(parse_filter(where), parse_order(order) if order else (), [*map(index, indexes)], **options)


CHOICES = [
    # filter, order, indexes; access, ranges, residual, sort
    ("age = 3", "", ["age"], "index by_age", ("age = 3",), "", "as stored"),
    ("age = 3 and city = 'x'", "", ["age"], "index by_age", ("age = 3",), "city = 'x'", "as stored"),
    ("age = 3 and city = 'x'", "", ["age", "city, age"], "index by_city_age", ("city = 'x' and age = 3",), "",
     "as stored"),
    ("age > 3 and age < 9", "", ["age"], "index by_age", ("age > 3 and age < 9",), "", "as stored"),
    ("age > 3 and age >= 5 and age != 7", "", ["age"], "index by_age", ("age >= 5",), "age != 7", "as stored"),
    ("age > 3 and age < 'x'", "", ["age"], "index by_age", ("age > 3",), "age < 'x'", "as stored"),
    ("city in ('x', 'y') and age >= 1", "", ["city, age"], "index by_city_age",
     ("city = 'x' and age >= 1", "city = 'y' and age >= 1"), "", "as stored"),
    ("name starts with 'A'", "", ["name"], "index by_name", ("name starts with 'A'",), "", "as stored"),
    ("age between 1 and 2", "age", ["age"], "index by_age", ("age >= 1 and age <= 2",), "", "by the index by_age"),
    ("tags contains 'x' and tags contains 'y'", "", ["tags[]"], "index by_tags[]", ("tags[] = 'x'",),
     "tags contains 'y'", "as stored"),
    ("t[] > 1 and t[] < 5", "", ["t[]"], "index by_t[]", ("t[] > 1",), "t[] < 5", "as stored"),
    ("city = 'x'", "age desc", ["city, age"], "index by_city_age", ("city = 'x'",), "", "by the index by_city_age"),
    ("city = 'x'", "name", ["city"], "index by_city", ("city = 'x'",), "", "in memory, by name, _sequence"),
    ("", "age", ["age"], "index by_age", ("all",), "", "by the index by_age"),
    ("", "age, name desc", ["age, name"], "all records", (), "", "in memory, by age, name desc, _sequence desc"),
    ("", "age", ["age sparse"], "all records", (), "", "in memory, by age, _sequence"),
    ("x = 1 and exists age", "age", ["age sparse"], "all records", (), "x = 1 and exists age",
     "in memory, by age, _sequence"),
    ("age = 3 or city = 'x'", "", ["age", "city"], "index by_age or index by_city", ("age = 3", "city = 'x'"),
     "age = 3 or city = 'x'", "as stored"),
    ("age = 3 or city = 'x'", "", ["age"], "all records", (), "age = 3 or city = 'x'", "as stored"),
    ("city = 'x'", "", ["city, age sparse"], "all records", (), "city = 'x'", "as stored"),
    ("city = 'x' and exists age", "", ["city, age sparse"], "index by_city_age", ("city = 'x'",), "exists age",
     "as stored"),
    ("not age = 3", "", ["age"], "all records", (), "not age = 3", "as stored"),
    ("age != 3", "", ["age"], "all records", (), "age != 3", "as stored"),
    ("_key = 'a'", "", [], "keys", ("_key = 'a'",), "", "as stored"),
    ("_key in ('b', 'a')", "_key", [], "keys", ("_key = 'a'", "_key = 'b'"), "", "by the keys"),
    ("_key starts with 'u:' and x = 1", "", [], "keys", ("from 'u:' before 'u;'",), "x = 1", "as stored"),
    ("_key > 'a'", "_key desc", [], "keys", ("from 'a\0' on",), "", "by the keys"),
    ("_key < 5", "", [], "keys", (), "", "as stored"),
    ("", "_key", [], "keys", ("from '' on",), "", "by the keys"),
    ("_sequence >= 5 and _sequence < 9.5", "", [], "all records", ("_sequence >= 5 and _sequence < 10",), "",
     "as stored"),
    ("_sequence > 3 and _sequence <= 9", "", [], "all records", ("_sequence >= 4 and _sequence < 10",), "",
     "as stored"),
    ("_time > 5 and x = 1", "x", ["x"], "index by_x", ("x = 1", "_time >= 6"), "", "by the index by_x"),
    ("_sequence in (3, 5, 'x')", "", [], "all records", ("_sequence >= 3 and _sequence < 6",),
     "_sequence in (3, 5, 'x')", "as stored"),
    ("_sequence = 'x' or _time = true", "", [], "all records", (), "_sequence = 'x' or _time = true", "as stored"),
    ("_time < true", "", [], "all records", ("_time < 0",), "", "as stored"),
    ("x = 1", "_time desc", [], "all records", (), "x = 1", "as stored"),
    ("x = 1", "", [], "all records", (), "x = 1", "as stored"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "order", "indexes", "access", "ranges", "residual", "sort"), CHOICES)
def test_choice(
    where: str, order: str, indexes: list[str], access: str, ranges: tuple[str, ...], residual: str, sort: str
) -> None:
    plan = planned(where, order, *indexes)
    assert (plan.access(), plan.ranges(), plan.residual_text(), plan.sort()) == (access, ranges, residual, sort)


def test_the_index_with_the_fewest_entries_is_taken() -> None:
    def estimate(source: Source) -> int:
        return {"index by_age": 500, "index by_city": 20}[str(source)]

    plan = planned("age = 3 and city = 'x'", "", "age", "city", estimate=estimate, total=100_000)
    assert plan.access() == "index by_city"


def test_an_index_is_not_taken_where_reading_all_records_is_quicker() -> None:
    def estimate(source: Source) -> int:
        return 60_000

    assert planned("age > 3", "", "age", estimate=estimate, total=100_000).access() == "all records"
    assert planned("age > 3", "age", "age", estimate=estimate, total=100_000).access() == "all records"
    assert planned("age > 3", "age", "age", estimate=estimate, total=100_000, limited=True).access() == "index by_age"


def test_long_lists_are_looked_through() -> None:
    plan = planned(f"a in ({', '.join(map(str, range(10_001)))})", "", "a")
    assert plan.access() == "all records"


# ── a model of indexes ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Row:
    document: dict[str, Any]
    origin: Origin


def entries_of(index: Index, row: Row) -> list[bytes]:
    values = [path.values(row.document) or [MISSING] for path in index.fields]
    if index.sparse and any(MISSING in found for found in values):
        return []
    place = b"" if index.unique else row.origin.place.to_bytes(8, "big")
    return [encode_all(combination) + place for combination in product(*values)]


def given_by(source: Source, rows: list[Row], reverse: bool) -> list[Row]:
    """What a source gives, in its order."""
    if isinstance(source, KeyRanges):
        found = [row for row in rows if any(is_within(row.origin.key, range_) for range_ in source.ranges)]
        return sorted(found, key=lambda row: row.origin.key, reverse=reverse)
    if isinstance(source, IndexRanges):
        everything = sorted(
            ((entry, row) for row in rows for entry in entries_of(source.index, row)), key=lambda x: x[0]
        )
        spans = [span_of(range_) for range_ in source.ranges]
        found = [row for start, stop in spans for entry, row in everything if start <= entry < stop]
        return found[::-1] if reverse else found
    raise AssertionError(source)


def is_inside(origin: Origin, window: Window) -> bool:
    after = window.first <= origin.sequence and window.first_ms <= origin.time_ms
    before = (
        window.stop is None or origin.sequence < window.stop,
        window.stop_ms is None or origin.time_ms < window.stop_ms,
    )
    return after and all(before)


def is_within(key: bytes, range_: KeyRange) -> bool:
    return key >= range_.start and (range_.stop is None or key < range_.stop)


def span_of(range_: ValueRange) -> tuple[bytes, bytes]:
    if range_.beginning is not None:
        return text_span(range_.equal, range_.beginning)
    low, high = (None if bound is None else Bound(*bound) for bound in (range_.low, range_.high))
    return span(range_.equal, low, high)


def run(plan: Plan, rows: list[Row]) -> list[int]:
    """The places of what a plan gives, in order."""
    reverse = plan.reverse and plan.is_sorted
    found = [row for source in plan.sources for row in given_by(source, rows, reverse)]
    if not plan.sources:
        found = rows[:: -1 if reverse else 1]
    found = [row for row in found if is_inside(row.origin, plan.window)]
    places = list(dict.fromkeys(row.origin.place for row in found if fits(plan.residual, row.document, row.origin)))
    return places if plan.is_sorted else sort(plan, [rows[place] for place in places])


def sort(plan: Plan, rows: list[Row]) -> list[int]:
    for step in reversed(plan.order):
        rows.sort(key=lambda row: value_of(step.path, row), reverse=step.descending)
    return [row.origin.place for row in rows]


def value_of(path: Path, row: Row) -> Any:
    if path in (KEY, SEQUENCE):
        return row.origin.key if path == KEY else row.origin.place
    return row.origin.time_ms if str(path) == "_time" else rank((path.values(row.document) or [...])[0])


INDEXES = ["a", "a.b", "b,a", "b,a.b sparse", "t[]", "t[],a", "a,o[].a,o[].t[]", "a sparse", "t[] sparse", "in"]
ORDERS = [
    "",
    "a",
    "a desc",
    "b, a",
    "b desc, a desc",
    "a.b, b",
    "_key",
    "_key desc",
    "_time",
    "_sequence desc",
    "in, _key",
]


def indexable() -> st.SearchStrategy[Term]:
    """Filters on fields that are in indexes, which chance alone would seldom write."""
    return filters(st.sampled_from(["a", "b", "a.b", "t[]", "o[].a", "_key", "_sequence", "_time"]).map(Path.parse))


rows_of = st.lists(documents, max_size=8).map(
    lambda found: [Row(row, Origin(b"%d" % (at * 7 % 10), at, at // 2, at)) for at, row in enumerate(found)]
)
small = leaves(st.sampled_from(["a", "b", "t[]"]).map(Path.parse))


def check(rows: list[Row], term: Term, order: str, indexes: list[str], options: dict[str, Any]) -> None:
    steps = parse_order(order) if order else ()
    expected = run(make_plan(ALL, steps, ()), list(rows))
    kept = {row.origin.place for row in rows if fits(term, row.document, row.origin)}
    plan = make_plan(term, steps, [*map(index, indexes)], **options)
    assert plan.order == full_order(steps)
    assert run(plan, rows) == [place for place in expected if place in kept], plan


@settings(max_examples=settings.default.max_examples // 2)
@given(
    rows_of,
    indexable() | small,
    st.sampled_from(ORDERS),
    st.lists(st.sampled_from(INDEXES), max_size=4, unique=True),
    st.fixed_dictionaries({"limited": st.booleans()}),
)
def test_every_plan_gives_what_all_records_give(
    rows: list[Row], term: Term, order: str, indexes: list[str], options: dict[str, Any]
) -> None:
    check(rows, term, order, indexes, options)


@settings(max_examples=settings.default.max_examples // 3)
@given(rows_of, small, small, st.sampled_from(ORDERS), st.sampled_from(INDEXES))
def test_every_way_of_one_index(rows: list[Row], left: Term, right: Term, order: str, name: str) -> None:
    check(rows, all_of([left, right]), order, [name], {})
