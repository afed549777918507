"""Records that expire: reads do not show them, the chain keeps them. Held against a list with times."""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import blockdb
import blockdb.storage.log as log_module
from blockdb import AsOf, Record
from blockdb.storage.view import Range

BLOCK = 7
TTL_MS = 100
RECORDS = 400


class Clock:
    """The only clock: of the writers and of what expires."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms * 1_000_000


@pytest.fixture(scope="module")
def clock() -> Iterator[Clock]:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("blockdb.storage.surroundings.time_ns", clock)
        patch.setattr("blockdb.storage.expiry.time_ns", clock)
        patch.setattr(log_module, "SEGMENT_SOFT_BYTES", 4096)
        patch.setattr(log_module, "PACKED_SEGMENT_BYTES", 4096)
        yield clock


Past = tuple[blockdb.Database, list[Record], Clock]


@pytest.fixture(
    scope="module",
    params=[pytest.param(False, id="plain", marks=pytest.mark.torture), pytest.param(True, id="packed")],
)
def past(clock: Clock, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Past]:
    """A database with tables of both tiers, batches, several chain files, a memtable, and times that differ."""
    chance = random.Random(11)
    keys = [b"%d" % key for key in chance.sample(range(100_000), RECORDS)]
    path = tmp_path_factory.mktemp("past") / "db"
    with blockdb.open(path, blockchain_batch_size=BLOCK, compression_enabled=request.param) as db:
        for number, key in enumerate(keys[:300]):
            clock.ms += chance.choice((0, 0, 1, 5))
            db.put(key, b"v" + key)
            if number in (40, 41, 90, 200):
                db.flush()
            if number == 150:
                db.compact()
        db.put_many([(key, b"") for key in keys[300:340]])
        for key in keys[340:]:
            clock.ms += chance.choice((0, 0, 1, 5))
            db.put(key, b"v")
        yield db, list(db.records()), clock


def reader_of(db: blockdb.Database) -> Any:
    return db._reader


def living(records: list[Record], now_ms: int) -> dict[bytes, bytes]:
    return {record.key: record.value for record in records if record.time_ms >= now_ms - TTL_MS}


scans = st.fixed_dictionaries(
    {},
    optional={
        "prefix": st.sampled_from((b"", b"1", b"99", b"x")),
        "start": st.sampled_from((b"3", b"45")),
        "end": st.sampled_from((b"44", b"8")),
        "limit": st.integers(0, 40),
        "offset": st.integers(0, 120),
        "reverse": st.booleans(),
    },
)


def expected_of(living: dict[bytes, bytes], arguments: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]]]:
    """How many are in the range, and the page of them."""
    start, end, prefix = arguments.get("start", b""), arguments.get("end", b"\xff"), arguments.get("prefix", b"")
    inside = sorted(
        (item for item in living.items() if item[0].startswith(prefix) and start <= item[0] < end),
        reverse=arguments.get("reverse", False),
    )
    offset = arguments.get("offset", 0)
    return len(inside), inside[offset : offset + arguments.get("limit", RECORDS)]


@given(st.integers(-3, 500), scans, st.integers(0, RECORDS - 1))
def test_reads_show_what_has_not_expired(past: Past, ago_ms: int, arguments: dict[str, Any], number: int) -> None:
    db, records, clock = past
    clock.ms = records[-1].time_ms + TTL_MS - ago_ms
    reader = reader_of(db)
    reader.ttl_ms = TTL_MS
    there = living(records, clock.ms)
    count, page = expected_of(there, arguments)
    assert list(db.scan(**arguments)) == page
    assert list(db.keys(**arguments)) == [key for key, _ in page]
    assert db.count(**{name: arguments.get(name) for name in ("prefix", "start", "end")}) == count
    record = records[number]
    assert db.get(record.key) == there.get(record.key)
    assert db.exists(record.key) == (record.key in there)
    assert db.record(record.key) == (record if record.key in there else None)
    assert reader.has_expired(record.key) == (record.key not in there)


@given(st.integers(0, RECORDS - 1), scans, st.sampled_from(("sequence", "block", "time_ms")))
def test_a_read_as_of_a_moment_hides_what_had_expired_by_then(
    past: Past, number: int, arguments: dict[str, Any], moment: str
) -> None:
    db, records, clock = past
    clock.ms = records[-1].time_ms + 10 * TTL_MS  # all of them by now
    reader_of(db).ttl_ms = TTL_MS
    at_ms, seen = records[number].time_ms, records[: number + 1]
    as_of = AsOf(sequence=number)
    if moment == "time_ms":
        as_of, seen = AsOf(time_ms=at_ms), [record for record in records if record.time_ms <= at_ms]
    elif moment == "block":
        block = min(number // BLOCK, len(records) // BLOCK - 1)
        as_of, seen = AsOf(block=block), records[: (block + 1) * BLOCK]
        at_ms = seen[-1].time_ms
    there = living(seen, at_ms)
    assert list(db.scan(**arguments, as_of=as_of)) == expected_of(there, arguments)[1]
    for record in records[max(number - 60, 0) : number + 20 : 4]:
        assert db.get(record.key, as_of=as_of) == there.get(record.key)


def test_a_future_moment_is_now(past: Past) -> None:
    db, records, clock = past
    clock.ms = records[-1].time_ms + TTL_MS // 2
    reader_of(db).ttl_ms = TTL_MS
    assert dict(db.scan(as_of=AsOf(time_ms=1 << 60))) == living(records, clock.ms) == dict(db.scan()) != {}


def test_the_chain_keeps_what_has_expired(past: Past) -> None:
    db, records, clock = past
    clock.ms = records[-1].time_ms + TTL_MS + 1
    reader_of(db).ttl_ms = TTL_MS
    assert list(db.scan()) == []
    assert db.count() == 0
    assert list(db.records()) == records
    assert [record for number in range(db.stats().blocks + 1) for record in db.block_records(number)] == records
    assert db.prove(records[3].key).index == 3
    assert db.verify().valid


def test_without_a_time_to_live_everything_is_shown_again(past: Past) -> None:
    db, records, clock = past
    clock.ms = records[-1].time_ms + TTL_MS + 1
    reader_of(db).ttl_ms = TTL_MS
    assert db.get(records[0].key) is None
    reader_of(db).ttl_ms = None
    assert reader_of(db).ttl_ms is None
    assert db.get(records[0].key) == records[0].value
    assert len(list(db.scan())) == db.count() == len(records)


def test_who_reads_beside_the_writer_sees_the_same(past: Past) -> None:
    db, records, clock = past
    with blockdb.open(db.path, read_only=True) as beside:
        for handle in (db, beside):
            reader_of(handle).ttl_ms = TTL_MS
        for at in records[::20]:
            clock.ms = at.time_ms + TTL_MS
            assert dict(beside.scan()) == dict(db.scan()) == living(records, clock.ms)


def test_the_horizon_moves_on_record_by_record_each_of_them_once(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    db, records, clock = past
    reader = reader_of(db)
    walked = 0
    walk = reader.chain.records

    def counting(start: int, stop: int) -> Iterator[Any]:
        nonlocal walked
        for step in walk(start, stop):
            walked += 1
            yield step

    monkeypatch.setattr(reader.chain, "records", counting)
    clock.ms = records[0].time_ms
    reader.ttl_ms = TTL_MS
    reads = 0
    while clock.ms <= records[-1].time_ms + TTL_MS + 5:
        for _ in range(3):
            assert reader.expired().records == len(records) - len(living(records, clock.ms))
            reads += 1
        clock.ms += 1
    moves = len({record.time_ms for record in records})
    assert walked <= len(records) + moves + BLOCK
    assert reads > 2 * moves


def test_a_horizon_that_has_far_to_go_does_not_walk_all_the_way(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    db, records, clock = past
    reader = reader_of(db)
    monkeypatch.setattr("blockdb.storage.expiry.STEPS", 5)
    clock.ms = records[20].time_ms + TTL_MS
    reader.ttl_ms = TTL_MS
    assert list(islice(db.scan(), 1))
    walked = []
    walk = reader.chain.records
    monkeypatch.setattr(reader.chain, "records", lambda *places: (walked.append(0) or step for step in walk(*places)))
    clock.ms = records[350].time_ms + TTL_MS
    assert dict(db.scan()) == living(records, clock.ms)
    assert len(walked) <= 5 + BLOCK + 1


@pytest.fixture
def db(clock: Clock, tmp_path: Path) -> Iterator[blockdb.Database]:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=BLOCK) as db:
        reader_of(db).ttl_ms = TTL_MS
        yield db


@pytest.mark.parametrize("flushed", [False, True])
def test_a_key_whose_record_has_expired_is_not_stored_again(db: blockdb.Database, clock: Clock, flushed: bool) -> None:
    db.put(b"a", b"1")
    if flushed:
        db.flush()
    with pytest.raises(blockdb.DuplicateKey, match="'a' already exists") as still:
        db.put(b"a", b"2")
    clock.ms += TTL_MS + 1
    for put in (db.put, lambda *item: db.put(*item, sync=True), lambda *item: db.put_many([(b"b", b""), item])):
        with pytest.raises(blockdb.DuplicateKey, match="'a' has expired, but the chain keeps it") as expired:
            put(b"a", b"2")
        assert expired.value.expired
    assert not still.value.expired
    assert db.get(b"a") is None
    assert db.stats().records == 1


def test_records_that_come_when_all_before_have_expired(db: blockdb.Database, clock: Clock) -> None:
    """Also where seals and the end of a chain file lie between them."""
    for number in range(60):
        db.put(b"%d" % number, bytes(300))
        assert list(db.keys()) == [b"%d" % number]
        if number % 9 == 0:
            db.flush()
        clock.ms += TTL_MS + 1
        assert list(db.scan()) == []
        assert db.count() == 0
    assert db.stats().records == 60


def test_a_clock_that_is_set_back_brings_nothing_back(db: blockdb.Database, clock: Clock) -> None:
    db.put(b"old", b"")
    clock.ms += TTL_MS + 1
    db.put(b"new", b"")
    assert list(db.keys()) == [b"new"]
    clock.ms -= TTL_MS
    assert list(db.keys()) == [b"new"]
    db.put(b"newer", b"")
    assert list(db.keys()) == [b"new", b"newer"]
    clock.ms += 2 * TTL_MS + 1
    assert list(db.keys()) == []


def test_what_was_redacted_expires_too(clock: Clock, tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", redactable=True) as db:
        reader_of(db).ttl_ms = TTL_MS
        db.put(b"a", b"1")
        db.redact(b"a", reason="asked")
        with pytest.raises(blockdb.Redacted):
            db.get(b"a")
        clock.ms += TTL_MS + 1
        assert db.get(b"a") is None


def test_a_scan_is_of_the_moment_of_its_call(db: blockdb.Database, clock: Clock) -> None:
    db.put_many([(b"%d" % number, b"") for number in range(100)])
    scan = db.scan()
    clock.ms += TTL_MS + 1
    assert len(list(scan)) == 100


@given(st.lists(st.integers(0, 200), min_size=1, max_size=30), st.integers(0, 200))
@settings(max_examples=30)
def test_counts_of_a_memtable_of_which_a_part_has_expired(
    clock: Clock, tmp_path_factory: pytest.TempPathFactory, pauses: list[int], wait: int
) -> None:
    with blockdb.open(tmp_path_factory.mktemp("count") / "db") as db:
        reader_of(db).ttl_ms = TTL_MS
        for number, pause in enumerate(pauses):
            db.put(b"%d" % (number * 7 % 30), b"")
            clock.ms += pause
        clock.ms += wait
        there = living(list(db.records()), clock.ms)
        assert db.count() == len(there) == reader_of(db).view.count(Range(), reader_of(db).expired())
        assert db.count(start=b"1", end=b"2") == sum(b"1" <= key < b"2" for key in there)
