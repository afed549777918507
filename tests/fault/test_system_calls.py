"""Every system call of a database's life fails once, and from then on: a typed error, no wrong answer, nothing lost."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from random import Random

import pytest

import blockdb
import blockdb.storage.log as log_module
from tests.fault.doors import KINDS, FaultyDoor, ShortDoor
from tests.fault.support import (
    Truth,
    assert_prefix,
    assert_whole,
    bounded,
    copy_of,
    items,
    key_of,
    one,
    open_database,
    value_of,
)
from tests.tally import FAILING_CALLS, tally
from tests.tiers import tiers

ERRORS = (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EINTR)
SEGMENT_BYTES = 2_000
LARGE = 20_000


@pytest.fixture(autouse=True)
def many_chain_files(monkeypatch: pytest.MonkeyPatch) -> None:
    assert log_module.SEGMENT_SOFT_BYTES
    monkeypatch.setattr(log_module, "SEGMENT_SOFT_BYTES", SEGMENT_BYTES)
    monkeypatch.setattr(log_module, "PACKED_SEGMENT_BYTES", SEGMENT_BYTES)
    monkeypatch.setattr("blockdb.format.packed.CHUNK_BYTES", 300)


@pytest.fixture
def thread_failures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What threads of the database died of, which should be nothing."""
    failures: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(threading, "excepthook", lambda failure: failures.append(repr(failure.exc_value)))
        yield failures


class Life:
    """A scripted life of a database: each step succeeds or raises a BlockDBError, whatever the door does."""

    def __init__(self, path: Path, door: FaultyDoor, *, packing: bool = False) -> None:
        self.path = path
        self.packing = packing
        self.door = door
        self.db: blockdb.Database | None = None
        self.issued = 0
        self.stored: dict[bytes, bytes] = {}
        self.batches: list[tuple[bytes, ...]] = []
        self.errors: list[blockdb.BlockDBError] = []

    def run(self) -> None:
        for _ in range(2):
            self._step(self._open)
            for step in (self._puts, self._batch, self._flush, self._puts, self._fill, self._batch, self._compact):
                self._step(step)
            self._read()
            self._step(self._close)

    def _step(self, step: Callable[[], None]) -> None:
        with suppress(_NotOpen):
            try:
                step()
            except blockdb.BlockDBError as error:
                self.errors.append(error)

    def _open(self) -> None:
        if self.db is None:
            self.db = open_database(
                self.path,
                self.door,
                wal_sync_interval=0,
                compaction_threshold=2,
                blockchain_batch_size=4,
                compression_enabled=self.packing,
            )

    @property
    def _opened(self) -> blockdb.Database:
        if self.db is None:
            raise _NotOpen
        return self.db

    def _put(self, size: int) -> None:
        self.issued += 1
        key, value = key_of(self.issued), value_of(self.issued, size)
        self._opened.put(key, value)
        self.stored[key] = value

    def _puts(self) -> None:
        for size in (0, 10, 30, 100, 7):
            self._step(lambda size=size: self._put(size))

    def _fill(self) -> None:
        """Fill several memtables, so that writers wait for the tables."""
        for _ in range(14):
            self._step(lambda: self._put(LARGE))

    def _batch(self) -> None:
        first, self.issued = self.issued + 1, self.issued + 7
        batch = items(first, 7)
        self.batches.append(tuple(key for key, _ in batch))
        self._opened.put_many(batch)
        self.stored |= dict(batch)

    def _flush(self) -> None:
        self._opened.flush()

    def _compact(self) -> None:
        self._opened.compact()

    def _read(self) -> None:
        """Reads go on: what was acknowledged is served."""
        if self.db is None:
            return
        for key, value in self.stored.items():
            try:
                assert self.db.get(key) == value
            except blockdb.StorageError:
                assert self.door.kind in ("map", "size"), "only what a read itself asks for keeps it from going on"

    def _close(self) -> None:
        db, self.db = self._opened, None
        db.close()

    def check(self) -> None:
        """With a working door, everything acknowledged is there."""
        with open_database(self.path, blockchain_batch_size=4) as db:
            found = dict(db.scan())
            assert {key: found.get(key) for key in self.stored} == self.stored
            for batch in self.batches:
                assert len({key in found for key in batch}) == 1, "a part of a batch"
            report = db.verify()
            assert report.valid, report.problems[:3]
        report = blockdb.verify(self.path)
        assert report.valid, report.problems[:3]


class _NotOpen(Exception):
    """The database could not be opened, so nothing is done with it."""


def calls_of_a_life(path: Path, kind: str, *, packing: bool = False) -> dict[str, int]:
    """How many there are of each kind, where those of this one are going to fail."""
    door = FaultyDoor(kind, at=-1)
    life = Life(path, door, packing=packing)
    life.run()
    life.check()
    assert not life.errors
    return dict(life.door.calls)


def live_with(path: Path, kind: str, at: int, error: int, lasting: bool, *, packing: bool = False) -> bool:
    """Whether the fault came up at all; threads of the database make the number of calls vary a little."""
    life = Life(path, FaultyDoor(kind, at, error, lasting=lasting), packing=packing)
    name = f"{kind} number {at} fails with {errno.errorcode[error]}{' from then on' if lasting else ''}"
    try:
        bounded(life.run)
        life.door.heal()
        bounded(life.check)
    except BaseException as failure:
        failure.add_note(name)
        raise
    tally(FAILING_CALLS, life.door.failed > 0)
    return life.door.failed > 0


def faults_of(calls: dict[str, int], kind: str, most: int, seed: int) -> Iterator[tuple[int, int, bool]]:
    """Which calls of a kind fail how: all of them, or a sample that is as large as `most`."""
    every = [(at, error, lasting) for at in range(calls.get(kind, 0)) for error in ERRORS for lasting in (False, True)]
    yield from every if len(every) <= most else Random(seed).sample(every, most)


QUICK_FAULTS = 2
TORTURE_FAULTS = 100


DAILY = ["write", "force", "map", "create", "rename"]


@pytest.mark.parametrize("kind", tiers(DAILY, [kind for kind in KINDS if kind not in DAILY]))
def test_a_call_fails(tmp_path: Path, kind: str) -> None:
    calls = calls_of_a_life(tmp_path / "clean", kind)
    assert calls[kind]
    came_up = [
        live_with(tmp_path / f"db{number}", kind, *fault)
        for number, fault in enumerate(faults_of(calls, kind, QUICK_FAULTS, seed=len(kind)))
    ]
    assert any(came_up)


@pytest.mark.torture
@pytest.mark.parametrize("kind", KINDS)
def test_every_call_fails(tmp_path: Path, kind: str) -> None:
    calls = calls_of_a_life(tmp_path / "clean", kind)
    came_up = [
        live_with(tmp_path / f"db{number}", kind, *fault)
        for number, fault in enumerate(faults_of(calls, kind, TORTURE_FAULTS, seed=1))
    ]
    assert sum(came_up) > len(came_up) // 2


PACKING_KINDS = [
    *("list", "map", "rename", "remove"),
    *(
        pytest.param(kind, marks=pytest.mark.torture)
        for kind in ("write", "force", "open", "size", "create", "directory")
    ),
]


@pytest.mark.parametrize("kind", PACKING_KINDS)
def test_each_call_of_packing_fails_once(tmp_path: Path, kind: str, thread_failures: list[str]) -> None:
    """Nothing is lost, what was left behind is cleaned up, and the next one packs."""
    with open_database(tmp_path / "original", blockchain_batch_size=4) as db:
        db.put_many(items(0, 60))
    for at in count():
        path = copy_of(tmp_path / "original", tmp_path / "db")
        stored, came_up = pack_with(path, kind, at)
        assert not thread_failures
        with open_database(path, compression_enabled=True) as db:
            assert assert_prefix(db, stored) == stored
            db.compact()
            names = sorted(file.name[8:] for file in path.glob("collections/*/chain/*"))
            assert names == [".chain"] + [".chain.zst"] * (len(names) - 1)
            assert len(names) > 1
            assert_prefix(db, stored)
        if not came_up:
            break
        tally(FAILING_CALLS)
    assert at, "there is no such call"


def pack_with(path: Path, kind: str, at: int) -> tuple[int, bool]:
    """Pack, while a call fails, and then again. Returns how many records there are, and whether the fault came up."""
    door = FaultyDoor()
    door.has_windows = kind != "write"
    with open_database(path, door, compression_enabled=True) as db, suppress(blockdb.WritesStopped):
        door.kind, door.at, door.error = kind, door.calls[kind] + at, errno.EMFILE
        with suppress(blockdb.StorageError):
            db.compact()
        door.heal()
        assert_prefix(db, 60)
        stored = 60
        with suppress(blockdb.WritesStopped):
            db.put(*items(60, 1)[0])
            stored = 61
            db.compact()
        assert assert_prefix(db, stored) == stored
        db.close()  # may say once more that writing stopped
    return stored, bool(door.failed)


@pytest.mark.torture
@pytest.mark.parametrize("kind", PACKING_KINDS)
def test_every_call_fails_in_a_life_that_packs(tmp_path: Path, kind: str, thread_failures: list[str]) -> None:
    calls = calls_of_a_life(tmp_path / "clean", kind, packing=True)
    came_up = [
        live_with(tmp_path / f"db{number}", kind, *fault, packing=True)
        for number, fault in enumerate(faults_of(calls, kind, TORTURE_FAULTS, seed=2))
    ]
    assert sum(came_up) > len(came_up) // 2
    assert not thread_failures


def test_a_failed_force_stops_writing_for_good(tmp_path: Path) -> None:
    door = FaultyDoor()
    db = open_database(tmp_path / "db", door, wal_sync_interval=0)
    db.put(b"before", b"1")
    door.fail_from_now("force", errno.EIO, lasting=False)
    with pytest.raises(blockdb.WritesStopped):
        db.put(b"during", b"2")
    tables = len(db.stats().tables)
    for write in (lambda: db.put(b"after", b"3"), lambda: db.put_many([(b"after", b"3")]), db.flush, db.compact):
        with pytest.raises(blockdb.WritesStopped):
            write()
    assert db.get(b"before") == b"1"
    assert db.get(b"after") is None
    assert len(db.stats().tables) == tables
    with pytest.raises(blockdb.WritesStopped):
        db.close()
    assert b"closed." not in one(tmp_path / "db", "collections/*/log.mark").read_bytes(), "a lie about what is forced"
    with open_database(tmp_path / "db") as db:
        assert db.get(b"before") == b"1"
        db.put(b"after", b"4")
        assert db.verify().valid


def test_writers_do_not_wait_for_ever_for_a_table_that_cannot_be_opened(tmp_path: Path) -> None:
    door = FaultyDoor()
    db = open_database(tmp_path / "db", door)
    stored = []

    def fill() -> None:
        for number in range(100):
            db.put(key_of(number), bytes(LARGE))
            stored.append(key_of(number))

    def fail_and_go_on() -> None:
        door.fail_from_now("map", errno.EMFILE)
        with pytest.raises(blockdb.StorageError):
            fill()
        door.heal()
        db.put(b"after", b"")
        db.close()

    bounded(fail_and_go_on)
    with open_database(tmp_path / "db") as again:
        assert all(again.get(key) == bytes(LARGE) for key in stored)
        assert again.verify().valid


@pytest.mark.parametrize("kind", ["open", "directory"])
def test_a_chain_file_that_could_not_be_begun(tmp_path: Path, kind: str) -> None:
    """The new file is there already when the next call fails; closing then must leave what can be opened."""
    door = FaultyDoor()
    db = open_database(tmp_path / "db", door)
    number = 0
    while db.stats().chain_data_bytes < SEGMENT_BYTES:
        db.put(key_of(number), value_of(number))
        number += 1
    door.fail_from_now(kind, errno.EMFILE)
    with pytest.raises(blockdb.StorageError):
        db.put(key_of(number), value_of(number))
    door.heal()
    db.close()
    assert blockdb.verify(tmp_path / "db").problems == ()
    with open_database(tmp_path / "db") as db:
        assert_prefix(db, number)
        db.put(key_of(number), value_of(number))
        assert db.verify().valid


def test_short_writes_go_on(tmp_path: Path) -> None:
    rng = Random(5)
    with open_database(tmp_path / "db", ShortDoor(lambda size: rng.randrange(1, size + 1))) as db:
        for number in range(0, 60, 3):
            db.put(*items(number, 1)[0])
            db.put_many(items(number + 1, 2))
        db.flush()
        assert_prefix(db, 60)
    with open_database(tmp_path / "db") as db:
        assert_prefix(db, 60)
        assert db.verify().valid


@pytest.mark.parametrize("seed", tiers(range(3), range(3, 8)))
def test_a_disk_that_is_full_in_the_middle_of_a_write(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    door = ShortDoor(lambda size: size)
    issued, batches, failed = 0, [], 0
    with open_database(tmp_path / "db", door) as db:
        for _ in range(60):
            door.room = rng.randrange(2_000) if rng.random() < 0.3 else None
            count = rng.randrange(1, 9)
            try:
                db.put_many(items(issued, count))
            except blockdb.StorageError:
                failed += 1
            else:
                batches.append(range(issued, issued + count))
                issued += count
        door.room = None
        assert_prefix(db, issued)
    assert failed
    with open_database(tmp_path / "db") as db:
        assert assert_prefix(db, issued) == issued
        assert_whole(batches, issued)
        assert db.verify().valid


def test_a_write_that_cannot_be_taken_back_stops_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "SEGMENT_SOFT_BYTES", 1 << 20)  # so that it is the write itself that fails
    door = ShortDoor(lambda size: size)
    db = open_database(tmp_path / "db", door)
    db.put_many(items(0, 20))
    door.room = 30
    door.fail_from_now("truncate", errno.EIO)
    with pytest.raises(blockdb.StorageError):
        db.put_many(items(20, 20))
    door.room = None
    door.heal()
    with pytest.raises(blockdb.WritesStopped):
        db.put_many(items(20, 20))
    assert_prefix(db, 20)
    with suppress(blockdb.WritesStopped):
        db.close()
    with open_database(tmp_path / "db") as db:
        assert assert_prefix(db, 20) == 20
        db.put_many(items(20, 20))
        assert db.verify().valid


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a file system is not allowed here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        db = open_database(disk / "db")
        stored: list[int] = []

        def fill() -> None:
            for number in range(10_000):
                db.put(key_of(number), value_of(number))
                stored.append(number)

        def refused() -> None:
            with pytest.raises(blockdb.StorageError):
                fill()

        bounded(refused)
        assert stored
        assert all(db.get(key_of(number)) == value_of(number) for number in stored)
        with suppress(blockdb.StorageError):
            db.close()
        with open_database(disk / "db", read_only=True) as reader:
            assert_prefix(reader, len(stored))
        with suppress(blockdb.StorageError):
            open_database(disk / "db").close()
        subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
        with open_database(disk / "db") as db:
            assert_prefix(db, len(stored))
            db.put(b"more", bytes(LARGE))
            db.flush()
            assert db.verify().valid


def test_no_descriptors_left(tmp_path: Path) -> None:
    """With the process's real limit: what is open goes on, what cannot be opened is a typed error."""
    with open_database(tmp_path / "db") as db:
        db.put_many(items(0, 100))
        truth = Truth(db)
        taken: list[int] = []
        with suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        try:
            with pytest.raises(blockdb.StorageError):
                open_database(tmp_path / "db", read_only=True)
            assert truth.lies_of(db) == []
            assert all(db.get(key) == value for key, value in truth.items.items())
            with suppress(blockdb.StorageError):
                db.flush()
        finally:
            for descriptor in taken:
                os.close(descriptor)
        db.put(b"after", b"")
        db.flush()
        assert db.verify().valid
