"""Many collections in one database: exact figures, states that cost little, bounded memory and files."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from random import Random
from threading import Thread, active_count
from time import time

import pytest

import blockdb
from blockdb import Database
from blockdb.storage.parking import LEAST_OPEN
from blockdb.types import CollectionStats
from tests.storage.doors import StillDoor, open_through, pairs
from tests.tiers import tiers

COUNT = 3 * LEAST_OPEN


def fill(db: Database, count: int) -> dict[str, CollectionStats]:
    """Make collections, with a number of records each; says what their figures have to be, but for the time."""
    wanted = {}
    for number in range(count):
        name, items = f"c{number:04d}", pairs(range(number % 7))
        db.create_collection(name).put_many(items)
        size = sum(len(key) + len(value) for key, value in items)
        wanted[name] = CollectionStats(len(items), size, 0, 0, len(items))
    return wanted


def check_figures(db: Database, wanted: dict[str, CollectionStats]) -> None:
    found = {info.name: info.stats for info in db.collections() if info.name in wanted}
    assert {name: stats.last_updated for name, stats in found.items() if abs(stats.last_updated - time()) > 600} == {}
    without_time = {name: CollectionStats(*_fields(stats)) for name, stats in found.items()}
    assert without_time == wanted
    totals = db.total_stats()
    assert totals.collections == len(db.collection_names())
    assert totals.documents == sum(stats.document_count for stats in wanted.values()) + db.count()
    assert totals.size_bytes >= sum(stats.total_size_bytes for stats in wanted.values())


def _fields(stats: CollectionStats) -> tuple[int, int, int, int, int]:
    return stats.document_count, stats.total_size_bytes, stats.index_size_bytes, 0, stats.operations_count


def open_count(db: Database) -> int:
    return sum(not reader.is_parked for reader in db._core.catalog.opened())


def test_figures_are_exact_also_after_a_crash_and_of_what_is_not_open(tmp_path: Path) -> None:
    path, door = tmp_path / "db", StillDoor()
    with open_through(door, path, open_collections_limit=LEAST_OPEN) as db:
        wanted = fill(db, COUNT)
        db.put(b"key", b"value")
        check_figures(db, wanted)
        assert open_count(db) <= LEAST_OPEN + 2
        door.copy(path, tmp_path / "killed")
    for place in (path, tmp_path / "killed"):
        with blockdb.open(place, open_collections_limit=LEAST_OPEN) as db:
            check_figures(db, wanted)
            if place == path:
                assert open_count(db) <= 2, "none was opened for that"
            with blockdb.open(place, read_only=True, open_collections_limit=LEAST_OPEN) as reader:
                check_figures(reader, wanted)
                more = pairs(range(100, 103))
                db["c0003"].put_many(more)
                size = wanted["c0003"].total_size_bytes + sum(len(key) + len(value) for key, value in more)
                wanted["c0003"] = CollectionStats(
                    wanted["c0003"].document_count + 3, size, 0, 0, wanted["c0003"].operations_count + 3
                )
                for handle in (db, reader):
                    check_figures(handle, wanted)
        wanted = wanted if place != path else {**wanted, "c0003": CollectionStats(3, _size_of(3), 0, 0, 3)}
        report = blockdb.verify(place)
        assert report.valid, report.problems


def _size_of(count: int) -> int:
    return sum(len(key) + len(value) for key, value in pairs(range(count)))


def test_the_newest_record_says_when_a_collection_was_updated(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        users = db.create_collection("users")
        assert users.collection_stats().last_updated == users.describe().created_at
        users.put(b"key", b"value")
        users.flush()
        record = users.record(b"key")
        assert record is not None
        assert users.collection_stats().last_updated == record.time_ms // 1000
        assert db.total_stats() == (2, 1, 8)


def test_a_checkpoint_opens_what_was_written_alone(tmp_path: Path) -> None:
    path, door = tmp_path / "db", StillDoor()
    with open_through(door, path, open_collections_limit=LEAST_OPEN) as db:
        fill(db, COUNT)
        first = db.checkpoint()
        assert db.checkpoint() == first
    with open_through(door, path, open_collections_limit=LEAST_OPEN) as db:
        assert db.checkpoint() == first, "nothing was written"
        assert open_count(db) <= 2
        db["c0005"].put(b"new", b"")
        assert db.checkpoint() != first
        assert open_count(db) <= 3
        assert db["c0005"].prove(b"new").index == 5
        assert len(db.check_anchors()) == 0
    report = blockdb.verify(path)
    assert report.valid, report.problems


def test_transactions_and_indexes_go_over_more_collections_than_may_be_open(tmp_path: Path) -> None:
    path, rounds = tmp_path / "db", 40
    with open_through(StillDoor(), path, open_collections_limit=LEAST_OPEN) as db:
        names = [f"c{number}" for number in range(COUNT)]
        for name in names:
            db.create_collection(name).create_index("sum", ["sum"], unique=True)
        faults: list[object] = []

        def work(seed: int) -> None:
            rng = Random(seed)
            try:
                for number in range(rounds):
                    first, second = rng.sample(names, 2)
                    sum_ = seed * rounds + number
                    with db.transaction() as tx:
                        for name in (first, second):
                            tx.put(b"%d" % sum_, {"sum": sum_}, collection=name)
                    db[first].put(b"plain %d" % sum_, {"sum": -1 - sum_})
                    if [found.key for found in db[second].find("sum = :sum", {"sum": sum_})] != [b"%d" % sum_]:
                        faults.append((second, sum_))
            except BaseException as error:
                faults.append(error)

        workers = [Thread(target=work, args=(seed,)) for seed in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not faults, faults[:3]
        assert db.total_stats().documents == 3 * 3 * rounds
        first = next(name for name in names if db[name].count())
        key, value = next(db[first].scan())
        with pytest.raises(blockdb.UniqueViolation):
            db[first].put(b"again " + key, value)
    report = blockdb.verify(path)
    assert report.valid, report.problems


@pytest.mark.parametrize("count", tiers([40], [1000]))
def test_a_thousand_collections_take_little_more_than_one(tmp_path: Path, count: int) -> None:
    limit = 16
    gc.collect()
    descriptors, threads = len(os.listdir("/proc/self/fd")), active_count()
    with open_through(StillDoor(), tmp_path / "db", open_collections_limit=limit) as db:
        handles = [db.create_collection(f"c{number}") for number in range(count)]
        faults: list[object] = []

        def work(seed: int) -> None:
            rng = Random(seed)
            for number in range(2 * count):
                try:
                    handle, key = rng.choice(handles), b"%d/%d" % (seed, number)
                    handle.put(key, b"value")
                    if handle.get(key) != b"value":
                        faults.append(key)
                except BaseException as error:
                    faults.append(error)

        workers = [Thread(target=work, args=(seed,)) for seed in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not faults, faults[:3]
        assert db.total_stats().documents == 3 * 2 * count
        assert open_count(db) <= limit + 2
        assert len(os.listdir("/proc/self/fd")) - descriptors <= 8 * (limit + 2)
        assert active_count() - threads <= 4
        db.checkpoint()
        before = resident_mib()
        for handle in handles:
            assert handle.count() == len(list(handle.keys()))
        assert resident_mib() - before < 64, "what was opened goes again"
    report = blockdb.verify(tmp_path / "db")
    assert report.valid, report.problems


def resident_mib() -> float:
    """What this process takes of memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2
