"""Many threads on one database: one winner for a key, snapshots that stand still, and no deadlock."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from mmap import mmap
from pathlib import Path
from random import Random
from threading import Barrier, BrokenBarrierError, Event, Thread

import pytest

import blockdb
import blockdb.storage.log as log_module
from tests.fault.doors import FaultyDoor
from tests.fault.support import assert_prefix, key_of, open_database, value_of
from tests.tiers import tiers


@pytest.fixture(autouse=True)
def impatient_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def at_once(*works: Callable[[], object]) -> None:
    """Do all of these at the same time; raise the first thing that one of them raises."""
    barrier = Barrier(len(works))
    failures: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            barrier.wait()
            work()
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]


@pytest.mark.parametrize("wal_sync_interval", [0, 1000])
def test_one_winner_for_each_key(tmp_path: Path, wal_sync_interval: int) -> None:
    threads, keys = 8, 150
    winners: list[tuple[bytes, bytes]] = []
    duplicates: list[bytes] = []
    with open_database(tmp_path / "db", wal_sync_interval=wal_sync_interval) as db:

        def put_all(name: int) -> None:
            for number in Random(name).sample(range(keys), keys):
                key, value = key_of(number), b"%d" % name * 500
                try:
                    if number % 3:
                        db.put(key, value)
                    else:
                        db.put_many([(key, value), (key + b"'", value)])
                except blockdb.DuplicateKey:
                    duplicates.append(key)
                else:
                    winners.append((key, value))

        at_once(*(lambda name=name: put_all(name) for name in range(threads)))  # type: ignore[misc]
        assert len(winners) == keys
        assert len(duplicates) == keys * (threads - 1)
        stored = dict(winners)
        assert {key: db.get(key) for key in stored} == stored
        sequences = [record.sequence for record in db.records()]
        assert sequences == list(range(keys + keys // 3))
    with open_database(tmp_path / "db") as db:
        assert {key: db.get(key) for key in stored} == stored
        assert db.verify().valid


@pytest.mark.parametrize("seed", tiers(range(2), range(2, 6)))
def test_close_during_put(tmp_path: Path, seed: int) -> None:
    """Each write is acknowledged and there, or refused as closed and not there."""
    rng = Random(seed)
    db = open_database(tmp_path / "db", wal_sync_interval=rng.choice((0, 1000)))
    acknowledged: list[bytes] = []
    busy = Event()
    most = rng.randrange(20, 400)

    def put(name: int) -> None:
        for number in range(100_000):
            key = b"%d:%d" % (name, number)
            try:
                db.put(key, bytes(200))
            except blockdb.DatabaseClosed:
                return
            acknowledged.append(key)
            if len(acknowledged) >= most:
                busy.set()

    def close() -> None:
        busy.wait()
        db.close()
        db.close()

    def read() -> None:
        while True:
            try:
                assert len(list(db.scan(limit=50))) <= 50
                db.get(b"0:1")
                db.stats()
            except blockdb.DatabaseClosed:
                return

    at_once(lambda: put(0), lambda: put(1), lambda: put(2), close, close, read)
    assert blockdb.verify(tmp_path / "db").valid
    with open_database(tmp_path / "db") as again:
        assert set(again.keys()) == set(acknowledged)
        assert again.verify().valid


@pytest.mark.parametrize("seed", tiers(range(2), range(2, 4)))
def test_flush_and_close_at_the_same_time(tmp_path: Path, seed: int) -> None:
    db = open_database(tmp_path / "db", blockchain_batch_size=2)
    for number in range(200):
        db.put(key_of(number), value_of(number))

    def until_closed(work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            try:
                while True:
                    work()
            except blockdb.DatabaseClosed:
                return

        return run

    at_once(until_closed(db.flush), until_closed(db.compact), db.close, until_closed(db.stats))
    with open_database(tmp_path / "db") as db:
        assert assert_prefix(db, 200) == 200
        assert db.verify().valid


class TogetherDoor(FaultyDoor):
    """Whoever maps a chain file waits for a moment for another one that does."""

    def __init__(self) -> None:
        super().__init__()
        self.together = Barrier(2)

    def map_read(self, path: Path) -> mmap:
        if path.suffix == ".chain":
            try:
                self.together.wait(0.2)
            except BrokenBarrierError:
                self.together.reset()
        return super().map_read(path)


@pytest.mark.torture
def test_two_threads_that_come_to_a_chain_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chain files with one record each, at the same offset: who reads the wrong file finds a record there."""
    monkeypatch.setattr(log_module, "SEGMENT_SOFT_BYTES", 2_000)
    stored = {key_of(number): bytes((number,)) * 3_000 for number in range(6)}
    with open_database(tmp_path / "db", TogetherDoor()) as db:
        for key, value in stored.items():
            db.put(key, value)
        db.flush()

        def read() -> None:
            assert {key: db.get(key) for key in stored} == stored

        at_once(read, read)
        assert dict(db.scan()) == stored


@pytest.mark.parametrize("records", tiers([800], [3_000]))
def test_a_scan_is_a_snapshot(tmp_path: Path, records: int) -> None:
    """What a scan gives is what was there when it began, whatever is written, flushed and merged meanwhile."""
    with open_database(tmp_path / "db", compaction_threshold=2) as db:
        stored: dict[bytes, bytes] = {}
        done = Event()

        def write() -> None:
            for number in range(records):
                db.put(key_of(number), value_of(number))
                stored[key_of(number)] = value_of(number)
            done.set()

        def scan(reverse: bool) -> None:
            while not done.is_set():
                before = dict(stored)
                scanned = list(db.scan(reverse=reverse))
                after = len(stored) + 1
                keys = [key for key, _ in scanned]
                assert keys == sorted(set(keys), reverse=reverse)
                assert len(before) <= len(scanned) <= after
                assert before.items() <= dict(scanned).items()
                numbers = sorted(record.sequence for record in map(db.record, keys[:3]) if record is not None)
                assert all(number < after for number in numbers)

        def half() -> None:
            """A scan that is begun and ended much later."""
            while not done.is_set():
                started, count = db.scan(), len(stored)
                first = [item for item, _ in zip(started, range(5), strict=False)]
                while len(stored) < count + 200 and not done.is_set():
                    db.get(b"nothing")
                scanned = [*first, *started]
                assert len(scanned) <= count + 1
                assert [key for key, _ in scanned] == sorted(key for key, _ in scanned)

        at_once(write, lambda: scan(False), lambda: scan(True), half)
        assert dict(db.scan()) == stored


def test_a_scan_that_is_begun_later_gives_what_was_there(tmp_path: Path) -> None:
    """Keys that come between the call and the first step move the others; the scan minds its range all the same."""
    with open_database(tmp_path / "db") as db:
        db.put_many([(key, b"") for key in (b"b", b"m", b"n", b"x")])
        scans = {
            "from m": (db.scan(start=b"m"), [b"m", b"n", b"x"]),
            "before n": (db.scan(end=b"n"), [b"b", b"m"]),
            "reverse": (db.scan(reverse=True), [b"x", b"n", b"m", b"b"]),
            "reverse from m": (db.scan(start=b"m", reverse=True), [b"x", b"n", b"m"]),
            "reverse before n": (db.scan(end=b"n", reverse=True), [b"m", b"b"]),
            "after one": (db.scan(offset=1), [b"m", b"n", b"x"]),
            "reverse after one": (db.scan(offset=1, reverse=True), [b"n", b"m", b"b"]),
            "two": (db.scan(start=b"c", limit=2), [b"m", b"n"]),
        }
        db.put_many([(key, b"") for key in (b"a", b"aa", b"c", b"mm", b"o", b"z")])
        given = {name: [key for key, _ in scan] for name, (scan, _) in scans.items()}
        assert given == {name: expected for name, (_, expected) in scans.items()}


@pytest.mark.parametrize("writes", tiers([350], [1_400]))
def test_everything_at_once(tmp_path: Path, writes: int) -> None:
    """Flush, compact, verify, stats and reads beside writers: no deadlock, no false alarm, no wrong answer."""
    with open_database(tmp_path / "db", compaction_threshold=2, wal_sync_interval=1) as db:
        done = Event()
        acknowledged = [0, 0]

        def write(name: int) -> None:
            for number in range(writes):
                key = b"%d:%d" % (name, number)
                if number % 7:
                    db.put(key, value_of(number))
                else:
                    db.put_many([(key, value_of(number)), (key + b"'", b"")])
                acknowledged[name] = number + 1
            if all(count == writes for count in acknowledged):
                done.set()

        def again(work: Callable[[], object]) -> Callable[[], None]:
            def run() -> None:
                while not done.is_set():
                    work()

            return run

        def read() -> None:
            rng = Random(1)
            while not done.is_set():
                name = rng.randrange(2)
                number = rng.randrange(acknowledged[name] + 1)
                if number < acknowledged[name]:
                    assert db.get(b"%d:%d" % (name, number)) == value_of(number)
                assert db.get(b"%d:missing" % number) is None

        def history() -> None:
            before = [block.hash for block in db.blocks()]
            assert [block.hash for block in db.blocks(limit=len(before))] == before
            newest = db.stats().records - 1
            if newest >= 0:
                [record] = db.records(newest, 1)
                assert record.sequence == newest
                assert db.record(record.key) == record or db.record(record.key).block is not None  # type: ignore[union-attr]

        def verify() -> None:
            report = db.verify()
            assert report.valid, report.problems[:3]

        at_once(
            lambda: write(0),
            lambda: write(1),
            again(db.flush),
            again(db.compact),
            again(verify),
            again(db.stats),
            again(history),
            read,
        )
        assert db.stats().records == 2 * (writes + writes // 7)
        assert db.verify().valid
