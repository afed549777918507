"""Reads that go back to a moment: held against the prefix of what was stored."""

import random
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import blockdb
from blockdb import AsOf, Record

BLOCK = 7


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[blockdb.Database, list[Record]]]:
    """A database with tables of both tiers, seals that stand late, batches, a memtable, and times that differ."""
    chance = random.Random(11)
    clock = accumulate(chance.choice((0, 0, 1, 5)) for _ in range(10_000))
    keys = chance.sample(range(100_000), 400)
    path = tmp_path_factory.mktemp("past") / "db"
    with pytest.MonkeyPatch.context() as patch, blockdb.open(path, blockchain_batch_size=BLOCK) as db:
        patch.setattr("blockdb.storage.surroundings.time_ns", lambda: (1_000_000 + next(clock)) * 1_000_000)
        for number, key in enumerate(keys[:300]):
            db.put(b"%d" % key, b"v%d" % key)
            if number in (40, 41, 90, 200):
                db.flush()
            if number == 150:
                db.compact()
        db.put_many([(b"%d" % key, b"") for key in keys[300:340]])
        for key in keys[340:]:
            db.put(b"%d" % key, b"v")
        yield db, list(db.records())


Past = tuple[blockdb.Database, list[Record]]
Moment = Callable[[list[Record], int], tuple[AsOf, list[Record]]]


def of_sequence(records: list[Record], number: int) -> tuple[AsOf, list[Record]]:
    return AsOf(sequence=number), records[: number + 1]


def of_block(records: list[Record], number: int) -> tuple[AsOf, list[Record]]:
    block = number * (len(records) // BLOCK) // len(records)
    return AsOf(block=block), records[: (block + 1) * BLOCK]


def of_time(records: list[Record], number: int) -> tuple[AsOf, list[Record]]:
    time_ms = records[number].time_ms + number % 3 - 1
    return AsOf(time_ms=time_ms), [record for record in records if record.time_ms <= time_ms]


@given(
    st.sampled_from((of_sequence, of_block, of_time)),
    st.integers(0, 399),
    st.fixed_dictionaries(
        {},
        optional={
            "prefix": st.sampled_from((b"", b"1", b"99", b"x")),
            "start": st.sampled_from((b"3", b"45")),
            "end": st.sampled_from((b"44", b"8")),
            "limit": st.integers(0, 40),
            "offset": st.integers(0, 120),
            "reverse": st.booleans(),
        },
    ),
)
def test_a_scan_of_the_past_is_the_scan_of_what_was_there(
    past: Past, moment: Moment, number: int, arguments: dict[str, Any]
) -> None:
    db, records = past
    as_of, seen = moment(records, number)
    start, end = arguments.get("start", b""), arguments.get("end", b"\xff")
    inside = sorted(
        ((r.key, r.value) for r in seen if r.key.startswith(arguments.get("prefix", b"")) and start <= r.key < end),
        reverse=arguments.get("reverse", False),
    )
    offset, limit = arguments.get("offset", 0), arguments.get("limit", len(records))
    expected = inside[offset : offset + limit]
    assert list(db.scan(**arguments, as_of=as_of)) == expected
    assert list(db.keys(**arguments, as_of=as_of)) == [key for key, _ in expected]


@given(st.sampled_from((of_sequence, of_block, of_time)), st.integers(0, 399), st.integers(0, 399))
def test_a_key_is_found_from_its_moment_on(past: Past, moment: Moment, number: int, other: int) -> None:
    db, records = past
    as_of, seen = moment(records, number)
    wanted = records[other]
    assert db.get(wanted.key, as_of=as_of) == (wanted.value if other < len(seen) else None)
    assert db.get(b"never stored", as_of=as_of) is None


def test_the_past_is_the_same_for_a_reader_beside_the_writer(past: Past) -> None:
    db, records = past
    with blockdb.open(db.path, read_only=True) as reader:
        for number in range(0, len(records), 23):
            assert list(reader.scan(as_of=AsOf(sequence=number))) == list(db.scan(as_of=AsOf(sequence=number)))


def test_before_everything_and_after_everything(past: Past) -> None:
    db, records = past
    assert list(db.scan(as_of=AsOf(time_ms=0))) == []
    assert len(list(db.scan(as_of=AsOf(time_ms=1 << 60)))) == len(records)


def test_what_was_written_since_is_not_seen(past: Past) -> None:
    db, records = past
    newest = AsOf(sequence=len(records) - 1)
    scan = db.scan(as_of=newest)
    db.put(b"0 later", b"")
    assert len(list(scan)) == len(list(db.scan(as_of=newest))) == len(records)
    assert db.get(b"0 later", as_of=newest) is None


@pytest.mark.parametrize(
    ("as_of", "error", "words"),
    [
        (AsOf(block=10_000), blockdb.BlockNotFound, "no sealed block 10000"),
        (AsOf(sequence=10_000), blockdb.InvalidData, "no record 10000"),
    ],
)
def test_a_moment_that_has_not_come(past: Past, as_of: AsOf, error: type[Exception], words: str) -> None:
    db, _ = past
    with pytest.raises(error, match=words):
        db.get(b"1", as_of=as_of)
    with pytest.raises(error, match=words):
        db.scan(as_of=as_of)


@pytest.mark.parametrize("given", [{}, {"block": 1, "sequence": 2}, {"block": -1}, {"time_ms": 1.5}, {"block": True}])
def test_a_moment_that_is_none(given: dict[str, Any]) -> None:
    with pytest.raises(blockdb.InvalidData, match="as_of"):
        AsOf(**given)
