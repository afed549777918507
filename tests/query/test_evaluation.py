"""Filters and orders as functions: against a naive evaluation, and against SQLite where both mean the same."""

import json
import sqlite3
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from blockdb.database.queries.search import NO_DOCUMENT, decode_whole
from blockdb.documents.paths import Path
from blockdb.query.evaluation import compiled
from blockdb.query.parser import parse_filter, parse_order
from blockdb.query.plan import full_order
from blockdb.query.text import filter_text
from blockdb.query.tree import KEY, SEQUENCE, Comparison, Not, Term, all_of, any_of
from tests.query.filters import Origin, documents, filters, fits, rank

DOCUMENT = {
    "age": 30,
    "ok": True,
    "none": None,
    "address": {"city": "Oslo", "x": {"y": {"z": {"w": 1}}}},
    "tags": ["vip", 1, None],
    "items": [{"price": 1}, {"price": 5}, {}, 7],
}

TRUE = [
    "age = 30.0 and age >= 30 and age <= 30 and age > -1 and age < 30.5",
    "ok = true and ok != 1 and ok > false",
    "none = null and exists none and none != 0 and none <= null",
    "not exists missing and not missing = null and not missing != 1",
    "address.city = 'Oslo' and address.city matches '^O.l' and address.city starts with 'Os' and exists address",
    "address.x.y.z.w = 1 and not exists address.x.y.z.w.v and not exists age.b",
    "tags contains 'vip' and tags contains null and tags[] != 'vip' and exists tags[]",
    "items[].price > 4 and not items[].price between 2 and 4 and not items contains 5 and items contains 7",
    "age in ('x', 30) and age not in (1, null) and ok in (true) and none in (null)",
    "address ends with 'x' or address != 'x'",
    "_key = 'user:1' and _key starts with 'user' and _key matches 'r:1$' and _key > 'user' and _key != 5",
    "_sequence = 7 and _sequence in (7) and _time >= 1000 and not _time = '1000'",
    "_key between 'user:0' and 'user:2' and _key in ('a', 'user:1') and _key ends with ':1' and exists _key",
]
FALSE = [
    "age = '30'",
    "age > '1' or age < 'z'",
    "ok = 1 or ok in (1) or ok >= 1",
    "none = false or none < null",
    "address = 'Oslo' or tags = 'vip' or tags[] > 'vip'",
    "age between 'a' and 100",
    "tags[][] = 'v' or items[].price.x = 1",
    "_key = 5 or _key < 5 or _key matches '^x' or _key not starts with 'user'",
]


@pytest.mark.parametrize("text", TRUE)
def test_true(text: str) -> None:
    assert run(parse_filter(text), DOCUMENT, Origin(b"user:1", 7, 1000))


@pytest.mark.parametrize("text", [part for text in FALSE for part in text.split(" or ")])
def test_false(text: str) -> None:
    assert not run(parse_filter(text), DOCUMENT, Origin(b"user:1", 7, 1000))


def run(term: Term, document: dict[str, Any], origin: Origin) -> bool:
    ready = compiled(term)
    return ready.test(ready.decode(json.dumps(document).encode()), origin)


origins = st.builds(
    Origin, st.sampled_from([b"k", b"a", b"ab", "é".encode(), b"\xff"]), st.integers(0, 3), st.integers(0, 3)
)


@settings(max_examples=settings.default.max_examples * 3 // 5)
@given(filters(), documents, origins)
@example(parse_filter("_key < '\U0001f600'"), {}, Origin(b"\xff"))
def test_like_a_naive_evaluation(term: Term, document: dict[str, Any], origin: Origin) -> None:
    assert run(term, document, origin) is fits(term, document, origin)


def test_a_great_filter_runs() -> None:
    term = parse_filter(" or ".join(f"f{number} = {number}" for number in range(1_000)))
    assert run(term, {"f999": 999}, Origin())
    nested = Comparison(Path(("a",)), "=", 1)
    for depth in range(32):
        nested = Not(
            all_of([nested, any_of([nested, Comparison(Path(("b", "c", "d")), "<", depth)])]) if depth < 5 else nested
        )  # type: ignore[assignment]
    run(nested, {"a": 1}, Origin())
    run(parse_filter("(" * 32 + "a = 1" + " or b.c.d.e = 1)" * 32), {"a": 1}, Origin())


def test_what_is_no_document_is_told_from_one() -> None:
    ready = compiled(parse_filter("a = 1"))
    for data in (b"", b"[]", b"5", b"{", b'{"a": 1} x', b'{"b": ' + b"[" * 5_000):
        with pytest.raises((msgspec.MsgspecError, RecursionError)):
            ready.decode(data)


@given(documents, st.integers(0, 200), st.integers(0, 3), st.binary(max_size=4))
def test_whatever_a_value_holds_it_is_a_document_or_none(
    document: dict[str, Any], at: int, cut: int, rubbish: bytes
) -> None:
    data = json.dumps(document).encode()
    hurt = data[:at] + rubbish + data[at + cut :]
    term = parse_filter("a = 1 or a.b = 2 or t contains 'a' or o[].a = 1")
    ready = compiled(term)
    with suppress(*NO_DOCUMENT):
        ready.decode(hurt)
    with suppress(*NO_DOCUMENT):
        whole = decode_whole(hurt)
        assert ready.test(ready.decode(hurt), Origin()) is fits(term, whole, Origin())


# ── order ────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=settings.default.max_examples // 2)
@given(
    st.lists(st.tuples(documents, st.sampled_from([b"a", b"ab", b"a\0", b"a\1", b"b", b"\xff"])), max_size=6),
    st.lists(
        st.sampled_from(["a", "a desc", "a.b", "b desc", "_time", "_key", "_key desc"]),
        max_size=3,
        unique_by=lambda t: t.split()[0],
    ),
)
def test_keys_of_the_order_are_ordered_as_values(rows: list[tuple[dict[str, Any], bytes]], steps: list[str]) -> None:
    order = full_order(parse_order(", ".join(steps)) if steps else ())
    ready = compiled(parse_filter(""), order)
    found = []
    for place, (document, key) in enumerate(rows):
        origin = Origin(key, place, place // 2, place)
        found.append((ready.sort_key(ready.decode(json.dumps(document).encode()), origin), document, origin))
    expected = list(found)
    for step in reversed(order):
        expected.sort(key=lambda row: naive_rank(step.path, row[1], row[2]), reverse=step.descending)
    if len({key for _, key in rows}) == len(rows):
        assert [row[2].place for row in sorted(found, key=lambda row: row[0])] == [row[2].place for row in expected]


def naive_rank(path: Path, document: dict[str, Any], origin: Origin) -> Any:
    if path == KEY:
        return origin.key
    if path == SEQUENCE:
        return origin.place
    if str(path) == "_time":
        return origin.time_ms
    return rank((path.values(document) or [...])[0])


# ── SQLite ───────────────────────────────────────────────────────────────────────────────────────────────────────
# What both share: fields with numbers or text in them, or none, compared with such; null is never compared there.

CITIES = ["Oslo", "Bergen", "Tromsø", "x'y", ""]
people = st.fixed_dictionaries(
    {},
    optional={
        "age": st.integers(-3, 3) | st.sampled_from([0.5, 1e10, -2.25]),
        "city": st.sampled_from(CITIES),
        "address": st.fixed_dictionaries({}, optional={"zip": st.integers(0, 2)}),
    },
)
COLUMNS = {"age": "$.age", "city": "$.city", "address.zip": "$.address.zip"}


@st.composite
def shared_filters(draw: st.DrawFn, depth: int = 2) -> tuple[str, str]:
    """A filter, and the same in SQL."""
    if depth and draw(st.booleans()):
        word = draw(st.sampled_from(["and", "or"]))
        left, right = draw(shared_filters(depth - 1)), draw(shared_filters(depth - 1))
        negated = "not " if draw(st.booleans()) else ""
        ours = f"{negated}({left[0]} {word} {right[0]})"
        return ours, f"{negated}coalesce(({left[1]}) {word} ({right[1]}), 0)"
    name = draw(st.sampled_from(sorted(COLUMNS)))
    column = f"json_extract(doc, '{COLUMNS[name]}')"
    is_text = name == "city"
    value = draw(st.sampled_from([city.replace("'", "''") for city in CITIES] if is_text else [-1, 0, 1, 0.5, 2]))
    literal = f"'{value}'" if is_text else str(value)
    form = draw(st.sampled_from([*("=", "!=", "<", "<=", ">", ">="), "in", "between", "exists"]))
    match form:
        case "in":
            return f"{name} in ({literal}, {literal})", f"coalesce({column} in ({literal}, {literal}), 0)"
        case "between":
            return f"{name} between {literal} and {literal}", f"coalesce({column} between {literal} and {literal}, 0)"
        case "exists":
            return f"exists {name}", f"{column} is not null"
    return f"{name} {form} {literal}", f"coalesce({column} {form} {literal}, 0)"


@settings(max_examples=settings.default.max_examples * 3 // 5)
@given(st.lists(people, max_size=8), shared_filters())
def test_like_sqlite(rows: list[dict[str, Any]], pair: tuple[str, str]) -> None:
    ours, sql = pair
    with sqlite3.connect(":memory:") as database:
        database.execute("create table people (id integer primary key, doc text)")
        database.executemany("insert into people values (?, ?)", [(at, json.dumps(row)) for at, row in enumerate(rows)])
        theirs = [at for (at,) in database.execute(f"select id from people where {sql} order by id")]
    database.close()
    ready = compiled(parse_filter(ours))
    found = [at for at, row in enumerate(rows) if ready.test(ready.decode(json.dumps(row).encode()), None)]
    assert found == theirs, filter_text(parse_filter(ours))
