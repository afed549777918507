"""Many collections side by side: one set of threads, one cache, one memory for memtables; and each for itself."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread, active_count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import blockdb
from blockdb.audit.auditor import audit
from blockdb.config import from_settings
from blockdb.database.database import Database
from blockdb.lsm.memtable import RECORD_OVERHEAD_BYTES, Memtable
from blockdb.storage import upkeep as upkeep_module
from blockdb.storage.cache import ENTRY_BYTES, Cache, CacheRoom
from blockdb.storage.commons import Means
from blockdb.storage.memory import PARTS, MemtableBudget
from blockdb.storage.store import Store
from blockdb.storage.view import Range
from tests.storage.doors import PATIENCE_S, StillDoor, pairs, until
from tests.storage.many import Collections

LIMIT = 256 * 1024
COUNT = 12


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep_module, "RETRY_S", 0.01)


# ── the memory for memtables ─────────────────────────────────────────────────────────────────────────────────────


class FakeTenant:
    """A collection that has nothing but memtables, which are as large as they say."""

    def __init__(self) -> None:
        self.active = Memtable(0, 0, 0)
        self.frozen_bytes = 0
        self.is_failing = False
        self.is_relieved = False

    @property
    def memtables(self) -> tuple[Memtable, ...]:
        frozen = Memtable(0, 0, 0)
        frozen.size_bytes = self.frozen_bytes
        return (self.active, frozen) if self.frozen_bytes else (self.active,)

    def relieve(self) -> None:
        self.is_relieved = True

    def freeze(self) -> None:
        self.frozen_bytes += self.active.size_bytes
        self.active = Memtable(0, 0, 0)
        self.is_relieved = False


def write(budget: MemtableBudget, tenant: FakeTenant, size: int) -> None:
    """Write a record as a collection does, with a flush that never takes longer than until the next write."""
    if tenant.frozen_bytes and not tenant.is_failing:
        tenant.frozen_bytes = 0
    tenant.active.size_bytes += size
    if tenant.active.size_bytes >= tenant.active.allowed_bytes:
        budget.ask(tenant)
        if tenant.active.size_bytes >= tenant.active.allowed_bytes and not tenant.frozen_bytes:
            tenant.freeze()


class FreezingTenant(FakeTenant):
    """One whose memtable is frozen whenever somebody has looked at it."""

    @property
    def memtables(self) -> tuple[Memtable, ...]:
        found = super().memtables
        if not self.frozen_bytes:
            self.freeze()
        return found


def test_a_memtable_that_is_frozen_meanwhile_counts_once() -> None:
    budget, tenant = MemtableBudget(LIMIT), FreezingTenant()
    budget.ask(tenant)
    tenant.active.size_bytes, tenant.frozen_bytes = 1000, 0
    assert budget.used_bytes == 1000
    assert budget.used_bytes == 1000


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(1, 400)), max_size=400), st.sets(st.integers(0, 19)))
def test_memtables_together_keep_to_the_limit(writes: list[tuple[int, int]], failing: set[int]) -> None:
    limit = 16 * 1024
    budget = MemtableBudget(limit)
    tenants = [FakeTenant() for _ in range(20)]
    for number, size in writes * 3:
        tenant = tenants[number]
        tenant.is_failing = number in failing
        if tenant.is_failing and tenant.frozen_bytes and tenant.active.size_bytes >= limit // 2:
            continue  # its writer is refused
        write(budget, tenant, size)
        for other in tenants:
            if other.is_relieved:
                other.freeze()
        healthy = sum(t.active.size_bytes + t.frozen_bytes for t in tenants if not t.is_failing)
        assert healthy <= limit + limit // PARTS + len(tenants) * 400


def test_one_collection_alone_fills_half_of_the_limit_and_then_waits() -> None:
    budget = MemtableBudget(LIMIT)
    tenant, questions = FakeTenant(), 0
    while not tenant.frozen_bytes:
        before = tenant.active.allowed_bytes
        write(budget, tenant, 100)
        questions += tenant.active.allowed_bytes != before
    assert LIMIT // 2 <= tenant.frozen_bytes < LIMIT // 2 + 100
    assert questions < 5, "few questions for many writes"
    assert budget.used_bytes == tenant.frozen_bytes
    budget.leave(tenant)
    assert budget.used_bytes == 0


def test_the_largest_memtables_go_where_memory_runs_low() -> None:
    budget = MemtableBudget(LIMIT)
    large, small, failing, writer = (FakeTenant() for _ in range(4))
    failing.is_failing = True
    for tenant, size in ((large, LIMIT // 3), (small, 100), (failing, LIMIT * 2 // 5)):
        tenant.active.size_bytes = size
        budget.ask(tenant)
        tenant.is_relieved = False
    while not large.is_relieved:
        write(budget, writer, 100)
        assert not writer.frozen_bytes
    assert (small.is_relieved, failing.is_relieved) == (False, False)


def test_what_memtables_do_not_use_is_given_to_others() -> None:
    budget = MemtableBudget(LIMIT)
    *idle, writer = (FakeTenant() for _ in range(4))
    for tenant in idle:
        tenant.active.size_bytes = LIMIT // 8
        budget.ask(tenant)
        assert tenant.active.allowed_bytes == LIMIT // 4
    while writer.active.size_bytes < LIMIT // 3:
        write(budget, writer, 100)
        assert not writer.frozen_bytes
    assert {tenant.active.allowed_bytes for tenant in idle} == {LIMIT // 8}


# ── the cache ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_caches_in_one_room_keep_to_one_limit_and_are_kept_apart() -> None:
    size = 100
    room = CacheRoom(40 * (size + 3 + ENTRY_BYTES))
    caches = [Cache(room) for _ in range(5)]
    for number in range(100):
        for cache in caches:
            cache.put(b"%03d" % number, bytes([caches.index(cache)]) * size, cache.epoch)
            assert sum(cache.size_bytes for cache in caches) <= room.limit_bytes
    assert {cache.get(b"099") for cache in caches} == {bytes([n]) * size for n in range(5)}
    assert caches[0].get(b"000") is None


def test_what_one_collection_does_not_read_gives_way_to_what_others_do() -> None:
    room = CacheRoom(10_000)
    idle, busy = Cache(room), Cache(room)
    idle.put(b"key", b"value", idle.epoch)
    for number in range(1000):
        busy.put(b"%d" % number, b"value", busy.epoch)
    assert idle.get(b"key") is None
    assert idle.size_bytes == 0
    assert busy.size_bytes > room.limit_bytes // 3


def test_a_redaction_in_one_collection_leaves_the_caches_of_the_others() -> None:
    room = CacheRoom(10_000)
    redacted, other = Cache(room), Cache(room)
    epoch = redacted.epoch
    for cache in (redacted, other):
        cache.put(b"key", b"value", cache.epoch)
    redacted.clear()
    assert (redacted.get(b"key"), other.get(b"key")) == (None, b"value")
    redacted.put(b"key", b"value", epoch)
    assert redacted.get(b"key") is None, "it was read before"
    other.clear()
    assert room.young_bytes == 0


# ── collections ──────────────────────────────────────────────────────────────────────────────────────────────────


class DoorOfMany(StillDoor):
    """A system that refuses, or holds up, the tables of some collections."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.slow: set[str] = set()
        self.waiting, self.gate = Event(), Event()

    def create(self, path: Path, data: bytes) -> None:
        if ".sst" in path.name:
            if path.parts[-3] in self.refused:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            if path.parts[-3] in self.slow:
                self.waiting.set()
                assert self.gate.wait(PATIENCE_S)
        super().create(path, data)


@pytest.fixture
def many(tmp_path: Path) -> Iterator[tuple[Collections, DoorOfMany, list[Store]]]:
    door = DoorOfMany()
    collections = Collections(tmp_path / "db", COUNT, door, memtable_size_limit=LIMIT, blockchain_batch_size=50)
    stores = collections.open_all()
    yield collections, door, stores
    door.refused.clear()
    door.gate.set()
    for store in stores:
        store.close()


@pytest.mark.torture
def test_many_writers_share_threads_and_memory(many: tuple[Collections, DoorOfMany, list[Store]]) -> None:
    collections, _, stores = many
    before = active_count()
    wanted = [pairs(range(number, number + 300 + 100 * number)) for number in range(COUNT)]
    peaks: list[int] = []

    def work(store: Store, items: list[tuple[bytes, bytes]]) -> None:
        for key, value in items:
            store.put(key, value)
            peaks.append(collections.commons.memtables.used_bytes)

    writers = [Thread(target=work, args=arguments) for arguments in zip(stores, wanted, strict=True)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    passed_by = 2 * COUNT * (RECORD_OVERHEAD_BYTES + 20)  # each memtable takes one record more than it was allowed
    assert max(peaks) <= LIMIT + LIMIT // PARTS + passed_by
    assert active_count() - before <= 4
    assert sum(store.upkeep.flushes for store in stores) > 2
    for store, items in zip(stores, wanted, strict=True):
        assert list(store.scan(Range(), 0, None, False)) == sorted(items)
        store.close()
    assert active_count() == before
    for collection_id, items in zip(collections.ids, wanted, strict=True):
        store = collections.open(collection_id)
        assert store.next_sequence == len(items)
        store.close()
    report = audit(collections.files.root)
    assert report.valid, report.problems


def fill(store: Store, numbers: range) -> int:
    """Write until it is refused; says how many records were taken."""
    for number, (key, value) in enumerate(pairs(numbers)):
        try:
            store.put(key, value)
        except blockdb.StorageError:
            return number
    return len(numbers)


@pytest.mark.torture
def test_a_flush_that_fails_is_told_to_its_own_writer_alone(many: tuple[Collections, DoorOfMany, list[Store]]) -> None:
    _, door, stores = many
    bad, *good = stores
    door.refused.add(bad.metadata.id)
    stored = fill(bad, range(10_000))
    assert 500 < stored < 10_000
    for store in good[:4]:
        assert fill(store, range(2_000)) == 2_000
    assert bad.upkeep.failure is not None
    assert all(store.upkeep.failure is None for store in good)
    assert any(store.upkeep.flushes for store in good)
    with pytest.raises(blockdb.StorageError):
        bad.flush()
    door.refused.clear()
    until(lambda: bad.upkeep.failure is None)
    assert fill(bad, range(10_000, 12_000)) == 2_000


def test_a_slow_flush_or_merge_holds_nobody_else_up(many: tuple[Collections, DoorOfMany, list[Store]]) -> None:
    _, door, stores = many
    slow, quick, closing = stores[:3]
    for number in range(4):
        slow.put_many(pairs(range(number * 10, number * 10 + 10)))
        if number < 3:
            slow.flush()
    until(lambda: not slow.upkeep.compacting.locked())
    door.slow.add(slow.metadata.id)
    merging = Thread(target=slow.flush)
    merging.start()
    assert door.waiting.wait(PATIENCE_S)
    assert fill(closing, range(100)) == 100
    assert fill(quick, range(3_000)) == 3_000
    quick.flush()
    closing.close()
    assert slow.upkeep.flushing.locked()
    door.gate.set()
    merging.join(PATIENCE_S)
    until(lambda: slow.upkeep.compactions == 1)


def test_an_idle_memtable_is_flushed_for_the_others_sake(many: tuple[Collections, DoorOfMany, list[Store]]) -> None:
    _, _, stores = many
    idle, *busy = stores
    fill(idle, range(LIMIT // 2 // 222))
    assert idle.upkeep.flushes == 0
    for store in busy:
        fill(store, range(100))
    until(lambda: idle.upkeep.flushes == 1)
    assert idle.view.memtables[0].size_bytes == 0
    assert [value for _, value in idle.scan(Range(), 0, None, False)][:2] == [b"value0", b"value1"]


def test_closing_while_others_go_on_and_while_one_waits(many: tuple[Collections, DoorOfMany, list[Store]]) -> None:
    _, door, stores = many
    waiting, *others = stores
    door.slow.add(waiting.metadata.id)
    ended: list[str] = []

    def write() -> None:
        with suppress(blockdb.DatabaseClosed):
            fill(waiting, range(100_000))
        ended.append("writer")

    writer = Thread(target=write)
    writer.start()
    until(lambda: waiting.upkeep.stalls)
    for store in others[:5]:
        fill(store, range(50))
        store.close()
    assert not ended
    closer = Thread(target=waiting.close)
    closer.start()
    writer.join(PATIENCE_S)
    assert ended == ["writer"]
    assert fill(others[-1], range(2_000)) == 2_000
    door.gate.set()
    closer.join(PATIENCE_S)


def test_what_is_not_forced_is_forced_in_time_and_then_no_thread_wakes_up(tmp_path: Path) -> None:
    class CountingDoor(StillDoor):
        forced = 0

        def force(self, descriptor: Any) -> None:
            self.forced += 1

    door = CountingDoor()
    collections = Collections(tmp_path / "db", 3, door, wal_sync_interval=5)
    stores = collections.open_all()
    for number in range(3):
        for store in stores:
            store.put(b"%d" % number, b"")
        until(lambda: all(store._log.is_forced for store in stores))
    until(lambda: not collections.commons.forcing._due)
    before = door.forced
    stores[1].put(b"more", b"")
    until(lambda: stores[1]._log.is_forced)
    assert door.forced == before + 1
    reader = collections.attach(collections.ids[0])
    assert reader.get(b"0") == b""
    reader.close()
    for store in stores:
        store.close()


# ── several databases ────────────────────────────────────────────────────────────────────────────────────────────


def test_databases_may_share_memory_and_threads(tmp_path: Path) -> None:
    configs = [
        from_settings({"data_dir": str(tmp_path / name), "memtable_size_limit": LIMIT, "cache_size_limit": 1 << 20})
        for name in ("one", "other")
    ]
    means = Means(configs[0])
    threads = active_count()
    one, other = (Database(config, read_only=False, create=True, means=means) for config in configs)
    with one, other:
        for db in (one, other):
            db.put_many(pairs(range(LIMIT // 8 // 400)))  # so little that none is flushed for room
        both_bytes = means.memtables.used_bytes
        assert one._core.catalog._commons.flushing is other._core.catalog._commons.flushing
        one.close()
        assert 0 < means.memtables.used_bytes < both_bytes, "both count, and what is closed leaves"
        other.put(b"later", b"")
        other.flush()
        assert other.get(b"later") == b""
    assert active_count() == threads
