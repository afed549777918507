"""The cache: it gives back what was put in or nothing, and never takes more than it may."""

import sys
import tracemalloc
from pathlib import Path
from random import Random
from threading import Barrier, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

import blockdb
from blockdb.storage.cache import ENTRY_BYTES, Cache, CacheRoom, Key

EDGES = [0, 1, 2, 2 * ENTRY_BYTES - 1, 2 * ENTRY_BYTES, 2 * ENTRY_BYTES + 1]
limits = st.integers(0, 3_000) | st.sampled_from(EDGES)
names = st.tuples(st.integers(0, 5), st.integers(0, 5)) | st.binary(min_size=1, max_size=2)
sizes = st.sampled_from([0, 1]) | st.integers(0, 2_000)


def value_of(name: Key, size: int) -> bytes:
    """What is stored under a name."""
    return Random(repr(name)).randbytes(size)


def kept_bytes(cache: Cache) -> int:
    """What is in it, counted anew, also while others change it."""
    return sum(
        len(key) + len(value) + ENTRY_BYTES for part in (cache.young, cache._old) for key, value in part.copy().items()
    )


def is_kept(value: bytes, limit: int) -> bool | None:
    """Whether a value is small enough for the cache; None where that depends on what its key takes."""
    size = len(value) + ENTRY_BYTES
    return False if size > limit // 2 else True if size + 64 <= limit // 2 else None


@given(limits, st.lists(st.tuples(names, sizes), max_size=120))
def test_it_gives_what_was_put_in_and_keeps_to_its_limit(limit: int, steps: list[tuple[Key, int]]) -> None:
    cache = Cache(CacheRoom(limit))
    stored: dict[Key, bytes] = {}
    answers: list[bool] = []
    for name, size in steps:
        value = stored.setdefault(name, value_of(name, size))
        if cache.get(name) is None:
            cache.put(name, value, cache.epoch)
            kept = cache.get(name)
            assert kept in (value, None)
            assert is_kept(value, limit) in (kept is not None, None)
            answers += [False, kept is not None]
        else:
            assert cache.get(name) == value, "what was found is found again"
            answers += [True, True]
        assert kept_bytes(cache) <= cache.size_bytes <= limit
    assert (cache.hits, cache.misses) == (answers.count(True), answers.count(False))


def test_what_is_used_stays_and_what_is_not_goes() -> None:
    size = 1_000
    cache = Cache(CacheRoom(20 * (size + 20 + ENTRY_BYTES)))
    cache.put(b"used", value_of(b"used", size), cache.epoch)
    cache.put(b"not used", value_of(b"not used", size), cache.epoch)
    for number in range(100):
        cache.put((0, number), value_of((0, number), size), cache.epoch)
        assert cache.get(b"used") == value_of(b"used", size)
    assert cache.get(b"not used") is None
    assert cache.get((0, 99)) == value_of((0, 99), size)
    assert cache.get((0, 0)) is None


def test_nothing_moves_while_what_is_read_fits() -> None:
    cache = Cache(CacheRoom(100 * (10 + ENTRY_BYTES)))
    names = [b"%09d" % number for number in range(70)]
    for name in names:
        cache.put(name, b"1", cache.epoch)
    young = dict(cache.young)
    for _ in range(3):
        assert all(cache.get(name) == b"1" for name in names)
    assert cache.young == young
    assert cache.size_bytes == 70 * (10 + ENTRY_BYTES)


def test_a_value_that_is_empty_is_a_value() -> None:
    cache = Cache(CacheRoom(1_000))
    cache.put(b"key", b"", cache.epoch)
    assert cache.get(b"key") == b""
    assert (cache.hits, cache.misses) == (1, 0)


def test_what_is_too_large_pushes_nothing_out() -> None:
    cache = Cache(CacheRoom(1_000))
    cache.put(b"small", b"1", cache.epoch)
    for size in (500 - ENTRY_BYTES, 1_000, 100_000):
        cache.put(b"large", bytes(size), cache.epoch)
        assert cache.get(b"large") is None
    assert cache.get(b"small") == b"1"
    cache.put(b"not half", bytes(400 - ENTRY_BYTES), cache.epoch)
    assert cache.get(b"not half") == bytes(400 - ENTRY_BYTES)


def test_threads_keep_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    limit, threads, rounds = 20_000, 4, 1_000
    cache = Cache(CacheRoom(limit))
    barrier = Barrier(threads)
    faults: list[str] = []

    def work(seed: int) -> None:
        rng = Random(seed)
        barrier.wait()
        for _ in range(rounds):
            number = rng.randrange(60)
            name, size = (0, number), number * 20
            found = cache.get((name, 0))
            if found is None:
                cache.put((name, 0), value_of(name, size), cache.epoch)
            elif found != value_of(name, size):
                faults.append(f"a wrong value for {name}")
            if kept_bytes(cache) > limit * 1.5:
                faults.append(f"{kept_bytes(cache)} bytes")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        workers = [Thread(target=work, args=(seed,)) for seed in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    assert not faults, faults[:3]
    assert 0.9 * rounds * threads <= cache.hits + cache.misses <= rounds * threads


# ── in a database ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("limit", "packed"), [(0, True), (20_000, True), (20_000, False)])
def test_a_database_serves_the_same_with_any_cache(tmp_path: Path, limit: int, packed: bool) -> None:
    items = {b"key%d" % number: value_of((0, number), number * 30) for number in range(40)}
    path = tmp_path / "db"
    with blockdb.open(path, cache_size_limit=limit, compression_enabled=packed) as db:
        db.put_many(items.items())
        db.compact() if packed else db.flush()
        with blockdb.open(path, cache_size_limit=limit, read_only=True) as reader:
            for handle in (db, reader):
                for _ in range(3):
                    for key, value in items.items():
                        assert handle.get(key) == handle.get(key) == value
                    assert handle.get(b"nothing") is None
                    statistics = handle.stats()
                    assert statistics.cache_bytes <= statistics.cache_size_limit == limit
                assert bool(statistics.cache_hits) == bool(statistics.cache_bytes) == (limit > 0)
                assert statistics.cache_misses


def test_misses_leave_nothing_behind(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"key", b"value")
        db.flush()
        for number in range(1_000):
            assert db.get(b"missing%d" % number) is None
        assert db.stats().cache_bytes == 0


def memory_of(keys: int, key_bytes: int, limit: int) -> int:
    """What a cache takes after so many empty values were put into it."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        cache = Cache(CacheRoom(limit))
        for number in range(keys):
            cache.put(b"%d" % number + bytes(key_bytes), b"", cache.epoch)
        assert cache.size_bytes <= limit
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "key_bytes",
    [16, 60_000],
)
def test_the_limit_is_one_of_memory(key_bytes: int) -> None:
    """About, as it says: a key has up to 64 KiB."""
    assert memory_of(2_000, key_bytes, limit=100_000) < 2 * 100_000
