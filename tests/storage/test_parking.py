"""Parking: what nobody uses gives back its files and its memory, and nobody who uses it again notices."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from threading import Semaphore, Thread

import pytest

import blockdb
from blockdb.audit.auditor import audit
from blockdb.storage import open_files, seals
from blockdb.storage.parking import LEAST_OPEN
from blockdb.storage.reader import Reader
from blockdb.storage.store import Store
from blockdb.storage.view import Range
from tests.storage.doors import StillDoor, TroubledDoor, pairs, until
from tests.storage.many import Collections

COUNT = 3 * LEAST_OPEN


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Collections]:
    collections = Collections(tmp_path / "db", COUNT, TroubledDoor(), open_collections_limit=LEAST_OPEN)
    yield collections
    collections.close()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def everything(reader: Reader) -> list[tuple[bytes, bytes]]:
    reader.refresh()
    return list(reader.scan(Range(), 0, None, False))


def test_of_many_few_are_open_and_all_can_be_used(many: Collections) -> None:
    before = descriptors()
    stores = many.open_all()
    parking = many.commons.parking
    for number in range(5):
        for store in stores:
            store.put(b"%d" % number, b"value")
            assert len(parking) <= LEAST_OPEN
    assert sum(not store.is_parked for store in stores) == LEAST_OPEN
    assert descriptors() - before <= 6 * LEAST_OPEN
    for store in stores:
        assert store.get(b"3") == b"value"
        assert everything(store) == [(b"%d" % number, b"value") for number in range(5)]
        with pytest.raises(blockdb.DuplicateKey):
            store.put(b"4", b"")
        assert store.puts == 5
    many.close()
    report = audit(many.files.root)
    assert report.valid, report.problems


def test_who_is_used_stays_open(many: Collections) -> None:
    used, *others = many.open_all()
    for store in others:
        used.get(b"key")
        store.put(b"key", b"")
    assert not used.is_parked


def test_what_was_begun_comes_to_its_end(many: Collections) -> None:
    store = many.open(many.ids[0])
    store.put_many(pairs(range(1000)))
    store.flush()
    store.put_many(pairs(range(1000, 2000)))
    scan = store.scan(Range(), 0, None, False)
    records = store.history().records(0, 2000)
    begun = list(islice(scan, 5)), list(islice(records, 5))
    until(store.park)
    assert store.is_parked
    assert begun[0] + list(scan) == pairs(range(2000))
    assert [record.key for record in begun[1] + list(records)] == [key for key, _ in pairs(range(2000))]


def test_many_threads_use_more_collections_than_may_be_open(many: Collections) -> None:
    stores = many.open_all()
    faults: list[object] = []

    def work(seed: int) -> None:
        rng = Random(seed)
        try:
            for number in range(60):
                store = rng.choice(stores)
                key = b"%d/%d" % (seed, number)
                store.put(key, key, sync=number % 20 == 0)
                if store.get(key) != key or (key, key) not in everything(store):
                    faults.append(key)
        except BaseException as error:
            faults.append(error)

    threads = [Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults
    assert sum(store.next_sequence for store in stores) == 6 * 60
    many.close()
    report = audit(many.files.root)
    assert report.valid, report.problems


def test_those_at_work_are_not_parked(many: Collections, monkeypatch: pytest.MonkeyPatch) -> None:
    door, store = many.door, many.open(many.ids[0])
    assert isinstance(door, TroubledDoor)
    store.put_many(pairs(range(10)))

    class Locks:
        def check(self, keys: object) -> None:
            pass

    store.use_gate(Locks())
    assert not store.park(), "there are locks of transactions"
    store.use_gate(None)
    with store.writing:
        assert not store.park()
    with store.upkeep.compacting:
        assert not store.park()
    door.failing["create", ".tmp"] = errno.ENOSPC
    with pytest.raises(blockdb.StorageError):
        store.flush()
    assert not store.park(), "a memtable could not be written"
    door.failing.clear()
    until(store.park)
    assert everything(store) == pairs(range(10))
    monkeypatch.setattr(open_files, "FLUSH_RECORDS", 5)
    store.put_many(pairs(range(10, 20)))
    flushes = store.upkeep.flushes
    assert not store.park(), "first its many records are written to a table"
    until(store.park)
    assert store.upkeep.flushes == flushes + 1
    assert everything(store) == pairs(range(20))


def test_a_process_that_seals_ends_before_its_collection_is_parked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seals, "BUSY_BLOCKS", 2)
    many = Collections(tmp_path / "db", 2, blockchain_batch_size=5)
    many.commons.sealers = Semaphore(1)
    store, other = many.open_all()
    for one in (store, other):
        for item in pairs(range(100)):
            one.put(*item)
    assert [one._seals.is_idle for one in (store, other)] == [False, True], "there is one process for all"
    assert not store.park()
    until(store.park)
    assert store.blocks == other.blocks == 20
    for item in pairs(range(100, 200)):
        other.put(*item)
    assert not other._seals.is_idle, "the other one has it now"
    many.close()
    report = audit(many.files.root)
    assert report.valid, report.problems


def test_what_cannot_be_forced_is_not_parked(tmp_path: Path) -> None:
    door = TroubledDoor()
    many = Collections(tmp_path / "db", 1, door)
    store = many.open(many.ids[0])
    store.put(b"key", b"")
    door.failing["force"] = errno.EIO
    assert not store.park()
    door.failing.clear()
    with pytest.raises(blockdb.WritesStopped):
        store.put(b"more", b"")
    with pytest.raises(blockdb.WritesStopped):
        store.close()


def test_what_cannot_be_opened_again_says_so_and_can_be_later(many: Collections) -> None:
    door, store = many.door, many.open(many.ids[0])
    assert isinstance(door, TroubledDoor)
    store.put(b"key", b"value")
    assert store.park()
    before = descriptors()
    for call in ("open_append", "create", "map_read"):
        door.failing[call] = errno.EMFILE
        for use in (lambda: store.get(b"key"), lambda: store.put(b"more", b""), store.flush):
            with pytest.raises(blockdb.StorageError, match="raise the limit of open files"):
                use()
        door.failing.clear()
        assert store.is_parked
    assert descriptors() <= before + 1, "no descriptors are lost"
    assert store.get(b"key") == b"value"
    assert store.put(b"more", b"") == 1


def test_a_parked_collection_can_be_closed_and_is_closed_then(many: Collections) -> None:
    store = many.open(many.ids[0])
    store.put(b"key", b"value")
    assert store.park()
    store.close()
    store.close()
    for use in (lambda: store.get(b"key"), lambda: store.put(b"more", b""), lambda: everything(store)):
        with pytest.raises(blockdb.DatabaseClosed):
            use()


def test_a_killed_writer_leaves_parked_collections_whole(tmp_path: Path) -> None:
    door = StillDoor()
    many = Collections(tmp_path / "db", COUNT, door, open_collections_limit=LEAST_OPEN)
    for store in many.open_all():
        store.put_many(pairs(range(10)))
    door.copy(many.files.root, tmp_path / "killed")
    many.close()
    report = audit(tmp_path / "killed")
    assert report.valid, report.problems
    assert report.records == 10 * COUNT


def test_attachments_are_parked_too_and_see_what_is_new(many: Collections) -> None:
    stores = many.open_all()
    readers = [many.attach(collection_id) for collection_id in many.ids]
    for number in range(3):
        for store, reader in zip(stores, readers, strict=True):
            store.put(b"%d" % number, b"value")
            assert everything(reader) == everything(store)
    assert sum(not reader.is_parked for reader in [*stores, *readers]) <= LEAST_OPEN
    reader = readers[0]
    scan = reader.scan(Range(), 0, None, False)
    assert next(scan) == (b"0", b"value")
    assert reader.park()
    assert len(list(scan)) == 2
    assert reader.figures() == stores[0].figures()
    assert reader.is_parked, "nothing came since"
    stores[0].put(b"3", b"value")
    assert reader.figures() == stores[0].figures()
    reader.close()
    reader.park()
    assert isinstance(stores[0], Store)


def test_a_value_that_was_redacted_is_not_served_after_parking(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", redactable=True) as db, blockdb.open(tmp_path / "db", read_only=True) as reader:
        db.create_collection("other")
        store, attached = (handle["other"]._reader for handle in (db, reader))
        for number in range(3):
            db["other"].put(b"%d" % number, b"secret")
            assert reader["other"].get(b"%d" % number) == b"secret"
            until(store.park)
            assert attached.park()
            if number != 1:
                db["other"].redact(b"%d" % number, reason="it was to go")
            for handle in (db, reader):
                for other in range(number + 1):
                    if other == 1:
                        assert handle["other"].get(b"1") == b"secret"
                        continue
                    with pytest.raises(blockdb.Redacted):
                        handle["other"].get(b"%d" % other)
