"""Ranges and scans, held against a sorted list; and snapshots beside a writer."""

import random
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import blockdb
from blockdb.lsm.key_filter import KeyFilter
from blockdb.lsm.memtable import Memtable
from blockdb.storage.view import Range, View
from blockdb.types import REDACTED
from tests.lsm.test_table import build_table
from tests.storage.doors import pairs

# Few letters, the highest byte among them: prefixes of each other, and the end of all keys.
keys = st.text("a\u00fe\u00ff", max_size=4).map(lambda text: text.encode("latin-1"))
bounds = st.none() | keys


def in_range(key: bytes, prefix: bytes | None, start: bytes | None, end: bytes | None) -> bool:
    return key.startswith(prefix or b"") and (start is None or key >= start) and (end is None or key < end)


@given(keys, bounds, bounds, bounds)
@example(b"\xff\xff", b"\xff", None, None)
@example(b"b", b"a\xff", None, None)
@example(b"a\xff", b"a\xff", None, None)
def test_a_range_has_the_keys_that_its_words_say(
    key: bytes, prefix: bytes | None, start: bytes | None, end: bytes | None
) -> None:
    range_ = Range.of(prefix, start, end)
    inside = (range_.start is None or key >= range_.start) and (range_.stop is None or key < range_.stop)
    assert inside == in_range(key, prefix, start, end)


# ── single keys, wherever they are ───────────────────────────────────────────────────────────────────────────────

dictionaries = st.dictionaries(st.binary(min_size=1, max_size=3), st.binary(max_size=3), max_size=40)


def memtable_of(items: dict[bytes, bytes], first_sequence: int) -> Memtable:
    memtable = Memtable(first_sequence, 0, first_sequence)
    for place, (key, value) in enumerate(items.items(), first_sequence):
        memtable.append(key, value, place)
    return memtable


@given(
    st.lists(dictionaries, min_size=1, max_size=3),
    st.lists(dictionaries, max_size=4),
    st.booleans(),
    st.sets(st.binary(min_size=1, max_size=3), max_size=20),
)
def test_every_key_of_memtables_and_tables_is_found_and_no_other(
    memories: list[dict[bytes, bytes]], files: list[dict[bytes, bytes]], is_filtered: bool, others: set[bytes]
) -> None:
    """With one memtable or several, with and without tables, with one filter over them and with those of each."""
    stored: dict[bytes, bytes] = {}
    for part in (*memories, *files):  # a key is stored once
        for key in stored.keys() & part:
            del part[key]
        stored.update(part)
    recent = {key: value for part in memories for key, value in part.items()}
    filter_ = KeyFilter(100) if is_filtered else None
    tables = tuple(build_table(part)[0] for part in files)
    for table in tables if filter_ is not None else ():
        for _ in filter_.add(table):
            pass
    view = View(tuple(memtable_of(part, 1000 * n) for n, part in enumerate(memories)), tables, filter_)
    for key in {*stored, *others}:
        assert view.has(key) is (key in stored)
        assert view.recent(key) == recent.get(key)
        assert view.first_stored([key], {key: None}) == (key if key in stored else None)
        found = view.find(key)
        assert (found and found[1]) == stored.get(key)
    newest = memories[0]
    if newest:
        key = min(newest)
        view.memtables[0].redact(key)
        assert view.recent(key) is REDACTED
        assert view.has(key)


# ── one database with tables of several sizes, and records in memory ─────────────────────────────────────────────


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[blockdb.Database, dict[bytes, bytes]]]:
    chance = random.Random(7)
    alphabet = [b"a", b"b", b"\xfe", b"\xff"]
    everything = {b"".join(chance.choices(alphabet, k=chance.randint(1, 6))): b"%d" % n for n in range(1500)}
    items = list(everything.items())
    with blockdb.open(tmp_path_factory.mktemp("view") / "db", compaction_threshold=100) as db:
        assert len(items) > 600
        for stop in (400, 420, 421, 520):
            db.put_many(items[db.count() : stop])
            db.flush()
        db.put_many(items[520:])
        assert len(db.stats().tables) == 4
        assert db.stats().memtable_records > 50
        yield db, everything


scans = st.fixed_dictionaries(
    {},
    optional={
        "prefix": bounds,
        "start": bounds,
        "end": bounds,
        "limit": st.none() | st.integers(0, 60),
        "offset": st.integers(0, 500),
        "reverse": st.booleans(),
    },
)

Model = tuple[blockdb.Database, dict[bytes, bytes]]


@given(scans)
@example({})
@example({"reverse": True})
@example({"prefix": b""})
@example({"prefix": b"\xff", "reverse": True, "offset": 3, "limit": 5})
@example({"prefix": b"\xff\xff", "end": b"\xff\xff\xff"})
@example({"start": b"b", "end": b"a"})
@example({"start": b"b", "end": b"a", "reverse": True, "offset": 2})
@example({"offset": 10_000})
@example({"offset": 10_000, "reverse": True})
@example({"limit": 0})
def test_scans_are_those_of_a_sorted_list(model: Model, arguments: dict[str, Any]) -> None:
    db, everything = model
    about = {name: arguments.get(name) for name in ("prefix", "start", "end")}
    inside = sorted(
        (item for item in everything.items() if in_range(item[0], **about)), reverse=arguments.get("reverse", False)
    )
    offset, limit = arguments.get("offset", 0), arguments.get("limit")
    expected = inside[offset:] if limit is None else inside[offset : offset + limit]
    assert list(db.scan(**arguments)) == expected
    assert list(db.keys(**arguments)) == [key for key, _ in expected]
    assert db.count(**about) == len(inside)


@given(st.data())
def test_every_key_is_found_and_no_other(model: Model, data: st.DataObject) -> None:
    db, everything = model
    key = data.draw(st.sampled_from(sorted(everything)) | keys.filter(bool))
    assert db.get(key) == everything.get(key)
    assert db.exists(key) == (key in db) == (key in everything)
    record = db.record(key)
    assert (record and (record.key, record.value)) == ((key, everything[key]) if key in everything else None)


@given(st.integers(0, 1000), st.none() | st.integers(0, 300))
def test_records_come_in_commit_order_from_anywhere(model: Model, first: int, limit: int | None) -> None:
    db, everything = model
    expected = list(enumerate(everything.items()))[first:][: 10_000 if limit is None else limit]
    found = [(record.sequence, (record.key, record.value)) for record in db.records(first, limit)]
    assert found == expected


# ── snapshots ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def db(tmp_path: Path) -> Iterator[blockdb.Database]:
    with blockdb.open(tmp_path / "db") as db:
        yield db


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"start": b"m"}, [b"m", b"n"]),
        ({"prefix": b"m"}, [b"m"]),
        ({"end": b"m", "reverse": True}, [b"l"]),
        ({"offset": 1}, [b"m", b"n"]),
        ({"offset": 1, "reverse": True}, [b"m", b"l"]),
        ({"start": b"m", "limit": 1}, [b"m"]),
        ({"reverse": True}, [b"n", b"m", b"l"]),
    ],
    ids=str,
)
def test_a_scan_is_of_the_moment_of_the_call_not_of_its_first_step(
    db: blockdb.Database, arguments: dict[str, Any], expected: list[bytes]
) -> None:
    for key in (b"l", b"m", b"n"):
        db.put(key, b"")
    scan = db.scan(**arguments)
    for key in (b"a", b"lm", b"mm", b"z"):
        db.put(key, b"")
    assert [key for key, _ in scan] == expected


Disturbance = Callable[[blockdb.Database, int], object]


@pytest.mark.parametrize(
    "disturb",
    [
        lambda db, n: db.put(b"key%05d.5" % (n * 37 % 2000), b""),
        lambda db, n: db.put_many([(b"%d before" % n, b""), (b"z%d after" % n, b"")]),
        lambda db, n: (db.put(b"key%05d.5" % (n * 37 % 2000), b""), db.flush()) if n % 20 == 0 else None,
        lambda db, n: (db.put(b"between%d" % n, b""), db.compact()) if n % 50 == 0 else None,
    ],
    ids=["puts", "batches", "flushes", "compactions"],
)
@pytest.mark.parametrize(
    "reverse", [pytest.param(False, id="up", marks=pytest.mark.torture), pytest.param(True, id="down")]
)
def test_a_scan_sees_nothing_of_what_comes_while_it_goes_on(
    db: blockdb.Database, disturb: Disturbance, reverse: bool
) -> None:
    db.put_many(pairs(range(0, 1500, 3)))
    db.flush()
    db.put_many(pairs(range(1, 1500, 3)))
    scan = db.scan(prefix=b"key", reverse=reverse)
    found = []
    for number, item in enumerate(scan):
        found.append(item)
        if number % 5 == 0:
            disturb(db, number)
    everything = pairs(number for number in range(1500) if number % 3 != 2)
    assert found == sorted(everything, reverse=reverse)


def test_scans_are_consistent_beside_a_writer(db: blockdb.Database) -> None:
    """Batches are seen whole or not at all, and in every scan at least what was in the one before."""
    done, wrong = Event(), list[str]()

    def scan() -> None:
        last = 0
        while not done.is_set():
            count = sum(1 for _ in db.scan())
            if count % 10 or count < last:
                wrong.append(f"{count} after {last}")
            last = count

    scanner = Thread(target=scan)
    scanner.start()
    for number in range(150):
        db.put_many([(b"%03d.%d" % (number * 7 % 150, part), b"") for part in range(10)])
        if number % 40 == 39:
            db.flush()
    done.set()
    scanner.join()
    assert wrong == []


def test_a_scan_that_was_begun_survives_the_close_of_nothing_but_itself(db: blockdb.Database) -> None:
    db.put_many(pairs(range(100)))
    first, second = db.scan(), db.scan(reverse=True)
    assert list(islice(first, 3)) == pairs(range(3))
    assert next(second) == pairs([99])[0]
    assert list(first) == pairs(range(3, 100))
    assert next(second) == pairs([98])[0]
