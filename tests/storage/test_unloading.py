"""What a writer's look-ups leave of mapped tables in memory: little, while nobody reads."""

from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.format.buffer import Buffer
from blockdb.lsm.bloom import key_hash
from blockdb.lsm.table import Table
from blockdb.storage import unloading, upkeep
from blockdb.storage.door import Door
from blockdb.storage.unloading import MISSES, STEPS
from tests.fault.support import copy_of
from tests.storage.doors import StillDoor, open_through, until

SMAPS = Path("/proc/self/smaps")
SETTINGS: dict[str, Any] = {"memtable_size_limit": 2 * 1024**2, "compaction_threshold": 100}
BATCH_RECORDS = 4_000
"""Enough for a memtable of half that limit."""


class WatchedDoor(Door):
    """The real system, and how many bytes of mapped files were given back."""

    def __init__(self) -> None:
        self.unloaded: list[int] = []

    def unload(self, buffer: Buffer) -> None:
        super().unload(buffer)
        self.unloaded.append(len(buffer))


def batch(number: int) -> list[tuple[bytes, bytes]]:
    return [(b"%016d" % (number * BATCH_RECORDS + n), b"value") for n in range(BATCH_RECORDS)]


def resident_bytes(directory: Path) -> int:
    """How much of the tables below a directory is in this process's memory."""
    found, is_table = 0, False
    for line in SMAPS.read_text().splitlines():
        fields = line.split()
        if not fields[0].endswith(":"):
            is_table = str(directory) in line and line.endswith(".sst")
        elif is_table and fields[0] == "Rss:":
            found += int(fields[1]) * 1024
    return found


def miss(db: blockdb.Database) -> None:
    """Look a new key up in each table as a writer does whose filters let it through."""
    for table in db._store.view.tables:
        assert table.find(b"missing", key_hash(b"missing")) is None


@pytest.mark.skipif(not SMAPS.exists(), reason="the system does not tell what is resident")
def test_what_is_resident_of_tables_does_not_grow_with_them(tmp_path: Path) -> None:
    with open_through(Door(), tmp_path / "db", **SETTINGS) as db:
        for number in range(12):
            db.put_many(batch(number))
            db.flush()
            miss(db)
        tables = sum(len(table.buffer) for table in db._store.view.tables)
        until(lambda: db._store.view.filter is not None)  # made beside the writer, from all tables
        db.put_many(batch(12))
        db.flush()
        assert len(db._store.view.tables) >= 12
        until(lambda: resident_bytes(tmp_path) < tables // 8)
        assert all(map(db.exists, (key for number in range(13) for key, _ in batch(number))))
        assert resident_bytes(tmp_path) > tables // 8, "what is read comes back"


def test_look_ups_that_find_nothing_have_tables_given_back_unless_somebody_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "WORTHWHILE_TABLES", 100)  # no filter over all is made meanwhile, which gives back too
    door = WatchedDoor()
    with open_through(door, tmp_path / "db", **SETTINGS) as db:
        db.put_many(batch(0))
        db.flush()
        door.unloaded.clear()
        for _ in range(MISSES):
            assert not door.unloaded
            miss(db)
        assert len(door.unloaded) == 1
        for read in (lambda: db.get(b"any"), lambda: db.exists(b"any"), lambda: list(db.scan(limit=10))):
            read()
            for _ in range(2 * MISSES):
                miss(db)
            assert len(door.unloaded) == 1, "a reader's tables stay in memory"
            db.put(b"key %d" % id(read), b"")
            db.flush()
            assert len(door.unloaded) == 1, "it has read since the flush before"
            for _ in range(MISSES):
                miss(db)
            assert len(door.unloaded) > 1, "but not since this one"
            del door.unloaded[1:]


def test_a_walk_through_a_table_gives_it_back_on_the_way_and_at_its_end(tmp_path: Path) -> None:
    door = WatchedDoor()
    with open_through(door, tmp_path / "db", **SETTINGS) as db:
        db.put_many(batch(0))
        db.flush()
        door.unloaded.clear()
        [table] = db._store.view.tables
        steps = iter([None] * (2 * STEPS))
        walked = db._store.upkeep.unloading.along(table, steps)
        assert sum(1 for _ in walked) == 2 * STEPS
        assert len(door.unloaded) == 3


def test_look_ups_of_recovery_may_find_nothing_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unloading, "MISSES", 1)
    monkeypatch.setattr(Table, "first_of", lambda table, keys, _: table.find(b"missing", key_hash(b"missing")))
    door = StillDoor()
    db = open_through(door, tmp_path / "db", **SETTINGS)
    db.put_many(batch(0))
    db.flush()
    db.put_many(batch(1)[:10])
    door.copy(tmp_path / "db", tmp_path / "killed")
    db.close()
    with blockdb.open(tmp_path / "killed", **SETTINGS) as again:
        assert again.count() == BATCH_RECORDS + 10


def test_a_collection_that_is_parked_is_not_opened_for_that(tmp_path: Path) -> None:
    with open_through(WatchedDoor(), tmp_path / "db", **SETTINGS) as db:
        db.put_many(batch(0))
        db.flush()
        store, tables = db._store, db._store.view.tables
        until(store.park)
        for _ in range(MISSES):
            assert tables[0].find(b"missing", key_hash(b"missing")) is None
        assert store.is_parked


def test_a_log_whose_keys_filters_let_through_is_recovered(tmp_path: Path) -> None:
    """While a collection is opened, look-ups that find nothing come before anything else of it is there."""
    with open_through(Door(), tmp_path / "db", **SETTINGS) as db:
        db.put_many(batch(0))
        db.flush()
        [table] = db._store.view.tables
        let_through = (key for n in count() if key_hash(key := b"new %d" % n) in table.filter)
        db.put_many([(key, b"") for key in islice(let_through, 2 * MISSES)])
        killed = copy_of(tmp_path / "db", tmp_path / "killed")
    with open_through(Door(), killed, **SETTINGS) as db:
        assert db.count() == BATCH_RECORDS + 2 * MISSES
        assert db.verify().valid
