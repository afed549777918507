"""The reading half of the interface: values, records, blocks, statistics."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import blockdb
from tests.storage.doors import pairs


def test_what_is_not_there(db: blockdb.Database) -> None:
    assert db.get(b"key") is None
    assert not db.exists(b"key")
    assert b"key" not in db
    assert db.record(b"key") is None
    for read in (db.scan, db.keys, db.records, db.blocks):
        assert not list(read())
    assert db.block_records(0) == []
    assert db.block_leaves(0) == []
    assert db.count() == 0


def test_an_empty_value_is_there(db: blockdb.Database) -> None:
    db.put(b"key", b"")
    assert db.get(b"key") == b""
    assert db.exists(b"key")
    assert b"key" in db
    db.flush()
    assert db.get(b"key") == b""


def test_a_record_tells_its_place_time_and_block(db: blockdb.Database) -> None:
    before = time.time_ns() // 1_000_000
    db.put_many(pairs(range(5)))
    after = time.time_ns() // 1_000_000
    for number, (key, value) in enumerate(pairs(range(5))):
        record = db.record(key)
        assert record is not None
        assert before <= record.time_ms <= after
        assert record == blockdb.Record(number, key, value, record.time_ms, 0 if number < 4 else None)
    assert list(db.records()) == [db.record(key) for key, _ in pairs(range(5))]


@pytest.mark.parametrize("flushed", [False, True], ids=["memory", "tables"])
def test_blocks_are_listed_up_and_down(db: blockdb.Database, flushed: bool) -> None:
    db.put_many(pairs(range(22)))
    if flushed:
        db.flush()
        db.put(b"more", b"")
    numbers: Callable[..., list[int]] = lambda *args, **kwargs: [b.number for b in db.blocks(*args, **kwargs)]  # noqa: E731
    assert numbers() == [0, 1, 2, 3, 4]
    assert numbers(2) == [2, 3, 4]
    assert numbers(1, 2) == [1, 2]
    assert numbers(limit=2) == [0, 1]
    assert numbers(5) == numbers(limit=0) == numbers(99) == []
    assert numbers(reverse=True) == [4, 3, 2, 1, 0]
    assert numbers(reverse=True, limit=2) == [4, 3]
    assert numbers(3, reverse=True) == [3, 2, 1, 0]
    assert numbers(3, 2, reverse=True) == [3, 2]
    assert numbers(99, 1, reverse=True) == [4]


def test_a_block_tells_what_it_covers(db: blockdb.Database) -> None:
    db.put_many(pairs(range(10)))
    first, second = db.blocks()
    assert (second.number, second.first_sequence, second.count) == (1, 4, 4)
    assert (second.last_sequence, second.size) == (7, 8)
    assert second.previous_hash == first.hash != first.previous_hash == bytes(32)
    assert second.data_bytes == sum(len(key) + len(value) for key, value in pairs(range(4, 8)))
    records = db.block_records(1)
    assert [record.sequence for record in records] == [4, 5, 6, 7]
    assert (second.first_time_ms, second.last_time_ms) == (records[0].time_ms, records[-1].time_ms)
    assert len(second.signature) == 64
    assert db.block(1) == second
    assert [record.sequence for record in db.block_records(2)] == [8, 9]
    assert len(db.block_leaves(1)) == 4
    assert len(db.public_key) == 32


@pytest.mark.parametrize("number", [-1, 2, 3, 1_000_000])
def test_there_is_no_such_block(db: blockdb.Database, number: int) -> None:
    db.put_many(pairs(range(10)))
    reads: list[Callable[[int], object]] = [db.block]
    if number != 2:  # the open one
        reads += [db.block_records, db.block_leaves]
    for read in reads:
        with pytest.raises(blockdb.BlockNotFound, match=f"no sealed block {number}: there are 2, counted from 0"):
            read(number)


@pytest.mark.parametrize(
    "arguments", [{"offset": -1}, {"limit": -1}, {"prefix": "a"}, {"start": 5}, {"end": bytearray(b"x")}], ids=str
)
def test_a_scan_says_what_is_wrong_with_its_arguments(db: blockdb.Database, arguments: dict[str, Any]) -> None:
    for read in (db.scan, db.keys):
        with pytest.raises(blockdb.InvalidData):
            read(**arguments)


def test_a_count_says_what_is_wrong_with_its_arguments(db: blockdb.Database) -> None:
    wrong: Any = "text"
    with pytest.raises(blockdb.InvalidData, match="prefix, start and end are bytes, not str"):
        db.count(prefix=wrong)


@pytest.mark.parametrize("limit", [-1, -5])
def test_a_negative_limit_is_refused_everywhere(db: blockdb.Database, limit: int) -> None:
    db.put_many(pairs(range(10)))
    for read in (db.records, db.blocks):
        with pytest.raises(blockdb.InvalidData):
            list(read(0, limit))


def test_statistics_count_what_was_done(db: blockdb.Database) -> None:
    db.put_many(pairs(range(6)))
    db.put(*pairs([6])[0])
    db.get(b"key00003")
    db.get(b"missing")
    list(db.scan())
    statistics = db.stats()
    data_bytes = sum(len(key) + len(value) for key, value in pairs(range(7)))
    assert (statistics.records, statistics.data_bytes, statistics.puts) == (7, data_bytes, 7)
    assert (statistics.blocks, statistics.open_block_records) == (1, 3)
    assert statistics.head_hash == db.block(0).hash
    assert (statistics.gets, statistics.misses, statistics.scans) == (2, 1, 1)
    assert (statistics.memtable_records, statistics.tables) == (7, ())
    assert statistics.memtable_bytes > data_bytes
    assert statistics.data_dir == str(db.path)
    assert statistics.log_bytes > data_bytes
    assert statistics.chain_bytes >= statistics.log_bytes
    db.flush()
    flushed = db.stats()
    [table] = flushed.tables
    assert (table.tier, table.records, flushed.memtable_records, flushed.flushes) == (0, 7, 0, 1)
    assert flushed.table_bytes == table.size_bytes > 0
    on_disk = sum(path.stat().st_size for path in (db.path / "collections").rglob("*") if path.is_file())
    assert flushed.disk_bytes == flushed.chain_bytes + flushed.table_bytes + flushed.other_bytes == on_disk
    assert flushed.chain_data_bytes == flushed.chain_bytes
    assert flushed.bytes_stored == data_bytes
    assert flushed.bytes_written > data_bytes
    assert flushed.write_amplification == flushed.bytes_written / data_bytes
    assert flushed.log_bytes < statistics.log_bytes
    assert statistics.records == 7, "a snapshot stays as it was"


def test_the_settings_are_told(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "memtable_size_limit": 100_000,
        "wal_sync_interval": 5,
        "compaction_threshold": 3,
        "blockchain_batch_size": 9,
    }
    with blockdb.open(tmp_path / "db", **settings) as db:
        statistics = db.stats()
    assert (statistics.memtable_size_limit, statistics.wal_sync_interval_ms) == (100_000, 5)
    assert (statistics.compaction_threshold, statistics.blockchain_batch_size) == (3, 9)
    with blockdb.open(tmp_path / "db", blockchain_batch_size=50) as db:
        assert db.stats().blockchain_batch_size == 9, "fixed when the collection was made"


def test_verification_tells_how_far_it_is_and_can_be_stopped(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=100) as db:
        db.put_many(pairs(range(5_000)))
        db.flush()
        told: list[blockdb.Progress] = []
        report = db.verify(told.append)
        assert (report.valid, report.records, report.blocks, report.cancelled) == (True, 5_000, 50, False)
        assert report.elapsed_ms > 0
        assert [progress.records_done for progress in told] == sorted(progress.records_done for progress in told)
        assert len(told) > 2
        assert told[-1] == blockdb.Progress(5_000, 5_000, 50)
        report = db.verify(cancel=lambda: True)
        assert (report.valid, report.cancelled, report.problems) == (False, True, ())
        assert report.records < 5_000


def test_a_problem_is_one_line() -> None:
    problem = blockdb.Problem("chain/0", 7, 3, 12, b"\xff\nkey", "it is damaged")
    assert str(problem) == r"chain/0 at byte 7, block 3, record 12, key b'\xff\nkey': it is damaged"
    assert str(blockdb.Problem("LOCK", None, None, None, None, "no")) == "LOCK: no"


@pytest.mark.parametrize("read_only", [False, True])
def test_verification_holds_what_is_in_memory_against_the_chain(tmp_path: Path, read_only: bool) -> None:
    with blockdb.open(tmp_path / "db") as writer:
        writer.put_many([(b"a", b"1"), (b"b", b"2")])
        with blockdb.open(tmp_path / "db", read_only=read_only) if read_only else writer as db:
            db._reader.view.memtables[0].index[b"b"] = b"3"
            report = db.verify()
            assert not report.valid
            [problem] = report.problems
            assert (problem.key, problem.sequence) == (b"b", 1)
            assert "memory" in problem.what
