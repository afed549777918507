"""Tables written in the background: when the system has no room for them, and when it is slow."""

import errno
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from threading import Thread, active_count
from typing import Any

import pytest

import blockdb
from blockdb.format import mark as mark_format
from blockdb.format import segment
from blockdb.lsm import tiers
from blockdb.lsm.key_filter import KeyFilter
from blockdb.lsm.memtable import RECORD_OVERHEAD_BYTES
from blockdb.storage import log as log_module
from blockdb.storage import manifest as manifests
from blockdb.storage import store as store_module
from blockdb.storage import upkeep as upkeep_module
from blockdb.storage.door import Door
from blockdb.storage.upkeep import Upkeep
from tests.storage.doors import GateDoor, TroubledDoor, collection_of, open_through, pairs, until, written

SMALL: dict[str, Any] = {"memtable_size_limit": 65_536, "blockchain_batch_size": 50}
FULL = 65_536 // (RECORD_OVERHEAD_BYTES + 22) // 2
"""About how many of our records fill a memtable."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep_module, "RETRY_S", 0.01)


def check_whole(path: Path, records: int) -> None:
    with blockdb.open(path) as db:
        assert db.count() == db.stats().records == records
        assert list(db.scan()) == pairs(range(records))
        report = db.verify()
        assert report.valid, report.problems


# ── no room ──────────────────────────────────────────────────────────────────────────────────────────────────────


def fill_until_refused(db: blockdb.Database) -> tuple[int, blockdb.StorageError]:
    for number, (key, value) in enumerate(pairs(range(10 * FULL))):
        try:
            db.put(key, value)
        except blockdb.StorageError as error:
            return number, error
    raise AssertionError("memory is not bounded")


@pytest.mark.parametrize(
    ("call", "suffix"),
    [("create", ".tmp"), ("rename", ".sst"), ("map_read", ".sst"), ("create", "manifest.toml.tmp")],
)
@pytest.mark.timeout(300)
def test_a_flush_that_fails_stops_writers_only_when_memory_is_full_and_is_tried_again(
    call: str, suffix: str, tmp_path: Path
) -> None:
    door = TroubledDoor()
    db = open_through(door, tmp_path / "db", **SMALL)
    door.failing[call, suffix] = errno.ENOSPC
    stored, error = fill_until_refused(db)
    assert type(error) is blockdb.StorageError
    assert "free some space" in str(error)
    assert stored > FULL, "writing went on while there was room in memory"
    assert list(db.scan()) == pairs(range(stored)), "what was acknowledged can still be read"
    assert db.stats().frozen_memtables == 1
    door.copy(db.path, tmp_path / "killed")
    door.failing.clear()
    until(lambda: db.stats().frozen_memtables == 0)
    more = pairs(range(stored, stored + FULL))
    for key, value in more:
        db.put(key, value)
    db.flush()
    assert db.stats().flushes >= 2
    db.close()
    check_whole(tmp_path / "db", stored + FULL)
    check_whole(tmp_path / "killed", stored)


def test_an_explicit_flush_that_fails_says_so_and_loses_nothing(tmp_path: Path) -> None:
    door = TroubledDoor()
    db = open_through(door, tmp_path / "db", **SMALL)
    db.put_many(pairs(range(10)))
    door.failing["create", ".tmp"] = errno.ENOSPC
    with pytest.raises(blockdb.StorageError, match=r"writing a table failed: .*free some space"):
        db.flush()
    assert db.get(b"key00003") == b"value3"
    db.put(*pairs([10])[0])
    door.failing.clear()
    db.flush()
    assert [table.records for table in db.stats().tables] == [10, 1]
    db.close()
    check_whole(tmp_path / "db", 11)


def test_a_close_whose_flush_fails_says_so_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "FLUSH_RECORDS", 5)
    door = TroubledDoor()
    db = open_through(door, tmp_path / "db", **SMALL)
    db.put_many(pairs(range(10)))
    door.failing["create", ".tmp"] = errno.ENOSPC
    with pytest.raises(blockdb.StorageError):
        db.close()
    db.close()
    check_whole(tmp_path / "db", 10)


def test_no_thread_stays_behind_a_close(tmp_path: Path) -> None:
    before = active_count()
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"key", b"")
        assert active_count() > before
    assert active_count() == before


# ── no room for the log ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_put_that_the_log_does_not_take_leaves_no_trace(tmp_path: Path) -> None:
    door = TroubledDoor()
    with open_through(door, tmp_path / "db", **SMALL) as db:
        db.put_many(pairs(range(5)))
        door.failing["write"] = errno.ENOSPC
        for _ in range(3):
            with pytest.raises(blockdb.StorageError, match="writing to the log failed"):
                db.put(*pairs([5])[0])
            with pytest.raises(blockdb.StorageError, match="writing to the log failed"):
                db.put_many(pairs([5, 6]))
        assert db.count() == db.stats().records == 5
        assert db.get(b"key00005") is None
        door.failing.clear()
        assert db.put(*pairs([5])[0]) == 5
    check_whole(tmp_path / "db", 6)


def test_a_seal_that_the_log_does_not_take_is_written_before_the_next_record(tmp_path: Path) -> None:
    door = TroubledDoor()
    with open_through(door, tmp_path / "db", memtable_size_limit=65_536, blockchain_batch_size=5) as db:
        db.put_many(pairs(range(4)))
        writes = 0

        def only_the_record(call: str, path: Path | None = None) -> None:
            nonlocal writes
            writes += call == "write"
            if call == "write" and writes > 1:
                raise OSError(errno.ENOSPC, "no room")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(door, "_pass", only_the_record)
            assert db.put(*pairs([4])[0]) == 4, "the record is stored: its seal is no part of it"
            assert db.stats().blocks == 0
            with pytest.raises(blockdb.StorageError):
                db.put(*pairs([5])[0])
            with pytest.raises(blockdb.StorageError):
                db.flush()
            door.copy(db.path, tmp_path / "killed")
        assert db.put(*pairs([5])[0]) == 5
        assert db.stats().blocks == 1
    check_whole(tmp_path / "db", 6)
    check_whole(tmp_path / "killed", 5)


def test_after_a_failed_force_the_handle_reads_but_does_not_write(tmp_path: Path) -> None:
    door = TroubledDoor()
    db = open_through(door, tmp_path / "db", wal_sync_interval=0)
    db.put(b"before", b"1")
    door.failing["force"] = errno.EIO
    with pytest.raises(blockdb.WritesStopped):
        db.put(b"unsure", b"2")
    door.failing.clear()
    for write in (lambda: db.put(b"after", b"3"), lambda: db.put_many([(b"after", b"3")]), db.flush, db.compact):
        with pytest.raises(blockdb.WritesStopped, match="open the database again"):
            write()
    assert db.get(b"before") == b"1"
    assert db.get(b"after") is None
    with pytest.raises(blockdb.WritesStopped):
        db.close()
    with blockdb.open(tmp_path / "db") as again:
        assert list(again.keys()) == [b"before", b"unsure"]
        assert again.verify().valid


def test_a_force_that_fails_in_the_background_stops_the_next_write(tmp_path: Path) -> None:
    door = TroubledDoor()
    db = open_through(door, tmp_path / "db", wal_sync_interval=1)
    door.failing["force"] = errno.EIO
    db.put(b"key", b"")

    def refused() -> bool:
        try:
            db.put_many([])
            db.put(b"key", b"")
        except blockdb.DuplicateKey:
            return False
        except blockdb.WritesStopped:
            return True
        return False

    number = 0

    def next_write_is_refused() -> bool:
        nonlocal number
        number += 1
        try:
            db.put(b"%d" % number, b"")
        except blockdb.WritesStopped:
            return True
        return False

    until(next_write_is_refused)
    with pytest.raises(blockdb.WritesStopped):
        db.close()


def test_each_write_is_forced_when_that_was_asked_for(tmp_path: Path) -> None:
    door = TroubledDoor()
    with open_through(door, tmp_path / "db", wal_sync_interval=3_600_000) as db:
        before = db.stats().forces
        db.put(b"a", b"")
        assert db.stats().forces == before
        db.put(b"b", b"", sync=True)
        db.put_many([(b"c", b""), (b"d", b"")], sync=True)
        assert db.stats().forces == before + 2
    with open_through(door, tmp_path / "db", wal_sync_interval=0) as db:
        db.put(b"e", b"")
        db.put_many([(b"f", b"")])
        assert db.stats().forces == 2
        assert db.stats().force_latency.count == 2


# ── a slow system ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[GateDoor, blockdb.Database]]:
    door = GateDoor()
    with open_through(door, tmp_path / "db", **SMALL) as db:
        yield door, db
        door.gate.set()


def test_a_writer_slows_down_before_it_has_to_stop(
    slow: tuple[GateDoor, blockdb.Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_module, "PAUSE_S", 0.001)
    door, db = slow
    paused_at: list[int] = []
    wait = Upkeep._wait

    def noted(upkeep: Upkeep, timeout_s: float | None = None) -> None:
        paused_at.append(db.stats().records)
        wait(upkeep, timeout_s)

    monkeypatch.setattr(Upkeep, "_wait", noted)
    writer = Thread(target=lambda: [db.put(key, value) for key, value in pairs(range(3 * FULL))])
    writer.start()
    until(lambda: db.stats().stalls > upkeep_module.PAUSES // 2 and paused_at[-1] >= 2 * FULL)
    steps = [later - sooner for sooner, later in pairwise(paused_at)]
    assert 1.7 * FULL < paused_at[0] < 1.9 * FULL, "not while there is much room left"
    assert len(steps) <= upkeep_module.PAUSES + 1
    assert max(steps) < FULL // 8
    door.gate.set()
    writer.join()
    assert db.count() == 3 * FULL


@pytest.fixture
def sudden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers wait at the end of their memtable alone."""
    monkeypatch.setattr(Upkeep, "_slow_down", lambda upkeep: None)


@pytest.mark.usefixtures("sudden")
def test_a_writer_waits_while_too_much_is_in_memory(slow: tuple[GateDoor, blockdb.Database]) -> None:
    door, db = slow
    writer = Thread(target=lambda: [db.put(key, value) for key, value in pairs(range(5 * FULL))])
    writer.start()
    until(lambda: db.stats().stalls == 1)
    stored = db.stats().records
    assert db.stats().frozen_memtables == 1
    assert 2 * FULL <= stored < 3 * FULL
    assert list(db.scan()) == pairs(range(stored)), "readers do not wait"
    assert writer.is_alive()
    door.gate.set()
    writer.join()
    assert db.count() == 5 * FULL


@pytest.mark.usefixtures("sudden")
def test_a_writer_that_waits_is_let_go_when_the_database_is_closed(
    slow: tuple[GateDoor, blockdb.Database],
) -> None:
    door, db = slow
    refusals: list[Exception] = []

    def write() -> None:
        try:
            for key, value in pairs(range(5 * FULL)):
                db.put(key, value)
        except blockdb.BlockDBError as error:
            refusals.append(error)

    writer = Thread(target=write)
    writer.start()
    until(lambda: db.stats().stalls == 1)
    stored = db.stats().records
    closer = Thread(target=db.close)
    closer.start()
    writer.join(20)
    assert not writer.is_alive()
    assert [type(error) for error in refusals] == [blockdb.DatabaseClosed]
    door.gate.set()
    closer.join()
    check_whole(db.path, stored)


def test_reads_find_everything_while_a_table_is_being_written(slow: tuple[GateDoor, blockdb.Database]) -> None:
    door, db = slow
    db.put_many(pairs(range(10)))
    flusher = Thread(target=db.flush)
    flusher.start()
    assert door.waiting.wait(20)
    db.put_many(pairs(range(10, 20)))
    assert (db.stats().frozen_memtables, db.stats().flushing) == (1, True)
    assert list(db.scan()) == pairs(range(20))
    with pytest.raises(blockdb.DuplicateKey):
        db.put(b"key00003", b"")
    with pytest.raises(blockdb.DuplicateKey):
        db.put_many(pairs([100, 4]))
    door.gate.set()
    flusher.join()
    assert (db.stats().frozen_memtables, db.stats().flushing) == (0, False)
    assert list(db.scan()) == pairs(range(20))


# ── compaction ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_tables_are_merged_in_the_background_and_the_old_ones_removed(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", compaction_threshold=2, blockchain_batch_size=3) as db:
        files = collection_of(db.path)
        for number in range(8):
            db.put_many(pairs(range(10 * number, 10 * number + 10)))
            db.flush()
        until(lambda: tiers.choose(db.stats().tables, 2) is None)
        tables = db.stats().tables
        assert sum(table.records for table in tables) == 80
        assert len({table.tier for table in tables}) == len(tables) < 8, "no two of one tier are left"
        assert 1 <= db.stats().compactions <= 7
        until(lambda: sorted(path.name for path in files.tables.iterdir()) == sorted(table.name for table in tables))
    check_whole(tmp_path / "db", 80)


def fill_memtable(db: blockdb.Database) -> None:
    """Write until one more memtable is in a table, as a busy writer does."""
    before, first = db.stats().flushes, db.count()
    for key, value in pairs(range(first, first + 1_000)):
        db.put(key, value)
        statistics = db.stats()
        if statistics.frozen_memtables or statistics.flushes > before:
            break
    until(lambda: db.stats().flushes > before)


def test_while_a_writer_is_busy_twice_as_many_tables_are_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_module, "QUIET_S", 3600.0)
    with blockdb.open(tmp_path / "db", compaction_threshold=2, memtable_size_limit=65_536) as db:
        for _ in range(3):
            fill_memtable(db)
        until(lambda: db._store.upkeep._merger.due is not None)  # it was looked, and is to be looked again
        assert (db.stats().compactions, [table.tier for table in db.stats().tables]) == (0, [0, 0, 0])
        fill_memtable(db)
        until(lambda: db.stats().compactions)
        assert [table.tier for table in db.stats().tables] == [1]
        fill_memtable(db)
        db.put(b"one more", b"")
        db.flush()  # whoever asks for that is done with writing
        until(lambda: db.stats().compactions == 3)
        assert [table.tier for table in db.stats().tables] == [2]


def test_once_it_is_quiet_they_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep_module, "QUIET_S", 0.2)
    with blockdb.open(tmp_path / "db", compaction_threshold=2, memtable_size_limit=65_536) as db:
        for _ in range(2):
            fill_memtable(db)
        until(lambda: db.stats().compactions)


@pytest.mark.parametrize(
    ("call", "suffix"), [("create", ".tmp"), ("rename", ".sst"), ("map_read", ".sst"), ("remove", ".sst")]
)
def test_a_merge_that_fails_changes_nothing_and_a_later_one_succeeds(call: str, suffix: str, tmp_path: Path) -> None:
    door = TroubledDoor()
    with open_through(door, tmp_path / "db") as db:
        for number in range(3):
            db.put_many(pairs(range(10 * number, 10 * number + 10)))
            db.flush()
        door.failing[call, suffix] = errno.ENOSPC
        if call == "remove":  # what is left over is removed when the database is opened again
            db.compact()
        else:
            with pytest.raises(blockdb.StorageError):
                db.compact()
            assert list(db.scan()) == pairs(range(30))
            door.failing.clear()
            db.compact()
        assert list(db.scan()) == pairs(range(30))
        assert any(table.tier for table in db.stats().tables)
    check_whole(tmp_path / "db", 30)
    assert len(list(collection_of(db.path).tables.iterdir())) == 1


# ── chain files ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_writer_goes_through_many_chain_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "SEGMENT_SOFT_BYTES", 1_000)
    with blockdb.open(tmp_path / "db", blockchain_batch_size=7) as db:
        with blockdb.open(tmp_path / "db", read_only=True) as reader:
            for number in range(0, 100, 5):
                db.put_many(pairs(range(number, number + 3)))
                for key, value in pairs(range(number + 3, number + 5)):
                    db.put(key, value)
                if number % 30 == 0:
                    db.flush()
                assert list(reader.scan()) == pairs(range(number + 5))
        files = len(list(collection_of(db.path).chain.iterdir()))
        assert files > 5
        assert db.stats().chain_bytes == sum(len(written(db.path, number)) for number in range(files))
        assert [record.value for record in db.records(33, 5)] == [value for _, value in pairs(range(33, 38))]
        assert [record.sequence for record in db.block_records(14)] == [98, 99]
    check_whole(tmp_path / "db", 100)


def test_a_merge_that_fails_in_the_background_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise blockdb.StorageError("merging tables failed: the disk is full.")

    with blockdb.open(tmp_path / "db", compaction_threshold=2) as db:
        assert db.stats().background_failure is None
        with monkeypatch.context() as patch:
            patch.setattr("blockdb.storage.maintenance.Tables.merge", refuse)
            for key, value in pairs(range(2)):
                db.put(key, value)
                db.flush()
            until(lambda: db.stats().background_failure == "merging tables failed: the disk is full.")
        assert dict(db.scan()) == dict(pairs(range(2)))
        db.put(b"more", b"")
        db.flush()
        until(lambda: db.stats().background_failure is None)
        assert any(table.tier for table in db.stats().tables)


def test_a_table_points_at_nothing_that_is_not_forced(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", memtable_size_limit=65_536, wal_sync_interval=3_600_000) as db:
        for number in range(70):
            db.put(b"%d" % number, bytes(1000))
        until(lambda: db.stats().tables)
        files = collection_of(tmp_path / "db")
        manifest = manifests.load(Door(), files.manifest, files.root.name)
        assert mark_format.decode(files.mark.read_bytes()).forced >= manifest.flushed_place > segment.HEADER_BYTES


class SealsRefused(TroubledDoor):
    """A system that has no room for seals."""

    refusing = True

    def write(self, descriptor: int, data: Any) -> int:
        if self.refusing and bytes(data[4:5]) == b"S":
            raise OSError(errno.ENOSPC, "no room")
        return super().write(descriptor, data)


def test_a_memtable_whose_seal_waits_is_not_flushed_before_it(tmp_path: Path) -> None:
    """One record fills the block and the memtable, and the log does not take the seal."""
    door = SealsRefused()
    with open_through(door, tmp_path / "db", memtable_size_limit=65_536, blockchain_batch_size=2) as db:
        for number in range(2):
            db.put(b"%d" % number, bytes(40_000))
        db._store.upkeep.flush()  # type: ignore[union-attr]
        door.copy(db.path, tmp_path / "killed")
        door.refusing = False
        db.flush()
    for path in (tmp_path / "killed", tmp_path / "db"):
        with blockdb.open(path) as db:
            assert db.put(b"2", b"") == 2
            assert db.put(b"3", b"") == 3
            assert db.stats().blocks == 2
            report = db.verify()
            assert report.valid, report.problems


def test_several_seals_that_wait_are_all_written_in_order(tmp_path: Path) -> None:
    door = SealsRefused()
    with open_through(door, tmp_path / "db", blockchain_batch_size=4) as db:
        db.put_many(pairs(range(14)))
        assert db.stats().blocks == 0
        door.refusing = False
        db.put(b"more", b"")
        assert db.stats().blocks == 3
        report = db.verify()
        assert report.valid, report.problems


def test_the_log_is_forced_as_often_as_was_asked_for(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", wal_sync_interval=100) as db:
        db.put(b"key", b"")
        files = collection_of(tmp_path / "db")

        def is_forced() -> bool:
            mark = mark_format.decode(files.mark.read_bytes())
            return mark.forced == mark.written

        until(is_forced)


def test_a_table_that_the_filter_over_all_does_not_have_is_asked(tmp_path: Path) -> None:
    """The filter takes four times the keys that it began with; then there is none until another one is made."""
    with blockdb.open(tmp_path / "db", compaction_threshold=1000) as db:
        for start in (0, 3000, 6000):
            db.put_many(pairs(range(start, start + 3000)))
            db.flush()
        until(lambda: db._reader.view.filter)
        db.put_many(pairs(range(9000, 46_000)))
        db.flush()
        for key, value in pairs(range(0, 46_000, 99)):
            assert db.get(key) == value


def test_a_busy_writer_asks_one_filter_which_is_made_anew_where_it_is_crowded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_module, "BUSY_RECORDS", 2000)
    monkeypatch.setattr(upkeep_module, "BUSY_KEYS", 0)

    def capacity() -> int:
        filter_ = db._reader.view.filter
        return filter_.capacity if filter_ is not None and filter_.records == db.count() else 0

    with blockdb.open(tmp_path / "db", compaction_threshold=1000) as db:
        for stop, expected in ((1000, 0), (2000, 4000), (4000, 4000), (5000, 10_000)):
            db.put_many(pairs(range(db.count(), stop)))
            db.flush()
            until(lambda expected=expected: capacity() == expected)
            for key, _ in pairs(range(0, stop, 97)):
                with pytest.raises(blockdb.DuplicateKey):
                    db.put_many([(b"new", b""), (key, b"")])
            assert not db.exists(b"new")


def test_a_filter_that_comes_while_a_table_is_written_gets_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [KeyFilter(1000)]
    has_room_for = KeyFilter.has_room_for

    def meanwhile(filter_: KeyFilter, records: int) -> bool:
        if others:
            for table in db._reader.view.tables:
                deque(others[0].add(table), maxlen=0)
            db._reader.see(db._reader.view.filtered(others.pop()))
        return has_room_for(filter_, records)

    with blockdb.open(tmp_path / "db", compaction_threshold=1000) as db:
        for start in (0, 100, 200):
            db.put_many(pairs(range(start, start + 100)))
            db.flush()
        until(lambda: db._reader.view.filter)
        monkeypatch.setattr(KeyFilter, "has_room_for", meanwhile)
        db.put_many(pairs(range(300, 400)))
        db.flush()
        assert not others
        filter_ = db._reader.view.filter
        assert filter_ is not None, "there is no need to make one anew"
        assert (filter_.records, filter_.capacity) == (400, 1000)
        for key, value in pairs(range(400)):
            assert db.get(key) == value


def test_the_first_filter_of_a_busy_writer_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep_module, "BUSY_RECORDS", 2000)
    with blockdb.open(tmp_path / "db", compaction_threshold=1000) as db:
        db.put_many(pairs(range(2000)))
        db.flush()
        until(lambda: db._reader.view.filter)
        assert db._reader.view.filter.capacity == upkeep_module.BUSY_KEYS


def test_blocks_of_a_memtable_that_is_being_written_are_found(tmp_path: Path) -> None:
    door = GateDoor()
    with open_through(door, tmp_path / "db", blockchain_batch_size=4) as db:
        db.put_many(pairs(range(10)))
        flushing = Thread(target=db.flush)
        flushing.start()
        assert door.waiting.wait(20)
        db.put_many(pairs(range(10, 20)))
        try:
            assert [block.number for block in db.blocks()] == [0, 1, 2, 3, 4]
            found = [record.key for number in range(5) for record in db.block_records(number)]
            assert found == [key for key, _ in pairs(range(20))]
        finally:
            door.gate.set()
            flushing.join()
