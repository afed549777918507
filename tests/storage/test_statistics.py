from pathlib import Path
from threading import Thread
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

import blockdb
from blockdb.statistics import Latency
from blockdb.storage.statistics import Histogram
from tests.storage.doors import GateDoor, collection_of, open_through, pairs, until

times_ns = st.lists(st.integers(1, 10**12), min_size=1, max_size=200)


@given(times_ns)
def test_quantiles_are_within_seven_percent(times: list[int]) -> None:
    histogram = Histogram()
    for elapsed in times:
        histogram.add(elapsed)
    latency = histogram.snapshot()
    ordered = sorted(times)
    assert latency.count == histogram.count == len(times)
    assert latency.max_us == ordered[-1] / 1000
    for share, found in ((0.50, latency.p50_us), (0.95, latency.p95_us), (0.99, latency.p99_us)):
        exact = next(time for rank, time in enumerate(ordered, 1) if rank >= share * len(ordered)) / 1000
        assert abs(found - exact) <= 0.07 * exact + 0.001
    assert latency.p50_us <= latency.p95_us <= latency.p99_us <= latency.max_us


@given(times_ns, times_ns)
def test_what_was_timed_since_an_earlier_state(first: list[int], second: list[int]) -> None:
    histogram, alone = Histogram(), Histogram()
    for elapsed in first:
        histogram.add(elapsed)
    before = histogram.snapshot()
    for elapsed in second:
        histogram.add(elapsed)
        alone.add(elapsed)
    after, other = histogram.snapshot(), alone.snapshot()
    since = after.since(before)
    assert (since.first_bucket, since.buckets) == (other.first_bucket, other.buckets)
    assert (since.count, since.p99_us) == (len(second), pytest.approx(other.p99_us, rel=0.07, abs=0.001))
    assert Latency.merged((before, other)) == after
    assert after.since(after).count == 0
    assert before.since(after) == before, "an earlier one is not later"
    assert after.sum_us == pytest.approx(sum(first + second) / 1000, rel=0.07)
    assert after.below(range(3, 41)) == [sum(each < 1 << bits for each in first + second) for bits in range(3, 41)]


def test_nothing_was_timed() -> None:
    assert Histogram().snapshot() == Latency(0, 0.0, 0.0, 0.0, 0.0)


def test_times_that_no_clock_should_give_do_no_harm() -> None:
    histogram = Histogram()
    for elapsed in (-5, 0, 2**63 - 1):
        histogram.add(elapsed)
    latency = histogram.snapshot()
    assert latency.count == 3
    assert latency.p50_us == 0
    assert latency.max_us == (2**63 - 1) / 1000


def test_a_snapshot_stays_as_it_was() -> None:
    histogram = Histogram()
    histogram.add(1000)
    before = histogram.snapshot()
    histogram.add(5000)
    assert (before.count, before.max_us) == (1, 1.0)


# ── what a database tells ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small_chain_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb.storage.log.PACKED_SEGMENT_BYTES", 4_000)


def sizes_of(path: Path) -> dict[str, int]:
    """What the parts of the one collection take on the disk."""
    files = collection_of(path)
    chain, tables, everything = (
        sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
        for directory in (files.chain, files.tables, files.root)
    )
    other = everything - chain - tables
    return {"chain_bytes": chain, "table_bytes": tables, "other_bytes": other, "disk_bytes": everything}


def assert_sizes(handle: blockdb.Database) -> None:
    statistics = handle.stats()
    assert {name: getattr(statistics, name) for name in sizes_of(handle.path)} == sizes_of(handle.path)


@pytest.mark.usefixtures("small_chain_files")
def test_bytes_on_the_disk_are_those_of_the_files(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with blockdb.open(path, blockchain_batch_size=10) as db:
        assert_sizes(db)
        db.put_many(pairs(range(300)))
        assert_sizes(db)
        db.flush()
        assert_sizes(db)
        db.put_many(pairs(range(300, 310)))
        db.compact()
        assert_sizes(db)
        assert db.stats().chain_data_bytes == db.stats().chain_bytes
        unpacked = db.stats().chain_bytes
    with blockdb.open(path, compression_enabled=True) as db:
        for key, value in pairs(range(310, 600)):
            db.put(key, value)
        db.compact()
        with blockdb.open(path, read_only=True) as reader:
            for handle in (db, reader):
                assert_sizes(handle)
                statistics = handle.stats()
                assert statistics.chain_data_bytes > unpacked
                assert statistics.chain_bytes < statistics.chain_data_bytes / 2
                assert statistics.compression_enabled == (handle is db)
                assert statistics.log_bytes < 100
    with blockdb.open(path) as db:
        assert_sizes(db)
        assert not db.stats().compression_enabled


@pytest.mark.usefixtures("small_chain_files")
def test_bytes_written_are_log_tables_and_packed_files(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with blockdb.open(path, blockchain_batch_size=10, compression_enabled=True) as db:
        assert (db.stats().bytes_stored, db.stats().write_amplification) == (0, 0)
        stored = written = 0
        for start in (0, 200):
            for key, value in pairs(range(start, start + 200)):
                db.put(key, value)
                stored += len(key) + len(value)
            db.flush()
            until(lambda: not db.stats().compacting)
            assert db.stats().bytes_stored == stored
            assert db.stats().write_amplification == db.stats().bytes_written / stored > 1
            assert db.stats().bytes_written > written + 200 * 20
            written = db.stats().bytes_written
        before = db.stats()
        db.compact()
        after = db.stats()
        assert after.compactions == 1
        packed = after.bytes_written - before.bytes_written - after.table_bytes
        assert 0 < packed <= after.chain_bytes
        headers = 48 * len(list(collection_of(path).chain.iterdir()))
        log = after.chain_data_bytes
        tables = before.table_bytes + after.table_bytes
        in_packed_files = sum(file.stat().st_size for file in collection_of(path).chain.glob("*.zst"))
        assert abs(after.bytes_written - (log + tables + in_packed_files)) <= headers
    with blockdb.open(path, read_only=True) as reader:
        assert (reader.stats().bytes_stored, reader.stats().bytes_written) == (0, 0)
    with blockdb.open(path) as db:
        assert (db.stats().bytes_stored, db.stats().bytes_written, db.stats().write_amplification) == (0, 0, 0)
        db.put(b"one more", b"12")
        assert db.stats().bytes_stored == 10
        assert 10 < db.stats().bytes_written < 100


@pytest.mark.usefixtures("small_chain_files")
def test_the_cache_and_what_it_was_good_for(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", cache_size_limit=100_000) as db:
        db.put_many(pairs(range(100)))
        db.get(b"key00001")
        assert (db.stats().cache_hits, db.stats().cache_misses) == (0, 0), "what is in memory is not looked for there"
        db.flush()
        for key, value in pairs(range(100)):
            assert db.get(key) == value
        first = db.stats()
        assert (first.cache_hits, first.cache_misses) == (0, 100)
        assert 0 < first.cache_bytes <= first.cache_size_limit == 100_000
        for key, _ in pairs(range(100)):
            db.get(key)
        second = db.stats()
        assert (second.cache_hits, second.cache_misses) == (100, 100)
        assert second.cache_bytes <= 2 * first.cache_bytes
        db.get(b"missing")
        assert db.stats().cache_misses == 101


class Everything:
    """A filter that rules nothing out."""

    def __contains__(self, key_hash: int) -> bool:
        return True


def test_filters_that_do_not_rule_out_what_is_not_there(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", cache_size_limit=0) as db:
        for start in (0, 50):
            db.put_many(pairs(range(start, start + 50)))
            db.flush()
        for key, _ in pairs(range(100)):
            assert db.get(key)
        assert db.stats().filter_hits == 100
        wrong = db.stats().filter_false_positives
        assert wrong < 20
        for table in db._reader.view.tables:
            table.filter = Everything()
        for key, _ in pairs(range(100, 130)):
            assert db.get(key) is None
        assert db.stats().filter_false_positives == wrong + 60
        assert db.stats().filter_hits == 100


def test_writers_that_wait_for_a_memtable(tmp_path: Path) -> None:
    door = GateDoor()
    with open_through(door, tmp_path / "db", memtable_size_limit=65_536) as db:
        assert (db.stats().stalls, db.stats().stall_latency) == (0, Latency())
        writer = Thread(target=lambda: [db.put(key, bytes(20_000)) for key, _ in pairs(range(16))])
        writer.start()
        until(lambda: db.stats().stalls)
        assert db.stats().frozen_memtables == 1
        assert db.stats().stall_latency.count == 0, "it is not over"
        waited_us = 5_000
        started = monotonic()
        until(lambda: monotonic() - started > waited_us / 1e6)
        door.gate.set()
        writer.join()
        statistics = db.stats()
        assert statistics.stall_latency.count == statistics.stalls >= 1
        assert statistics.stall_latency.max_us > waited_us / 2
