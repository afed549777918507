"""Writing: one record at a time, in batches, forced to disk, and the longest that a writer is kept waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import starmap
from pathlib import Path
from threading import Barrier
from typing import Final

from .data import Data, Pair, batches, varied
from .lines import Finding, Goal, Line, Session, exhaust, takers, timed
from .prepared import records_path, scratch
from .stores import Peer, Setup, Store

__all__ = ["SESSIONS"]

THREADS: Final = 64
FORCED_ALONE: Final = 2_000
MEMTABLES: Final = 16
"""How many memtables the pass fills whose every put is timed, so that tables are written and merged meanwhile."""

PUT: Final = Line("put", "k/s", (Goal(1.3, ("RocksDB",)),))
PUT_MANY: Final = Line("put_many(1000)", "k/s", (Goal(1.5, ("RocksDB", "LMDB", "LMDB plain")),))
PUT_MANY_VARIED: Final = Line("put_many(1000), varied sizes", "k/s", PUT_MANY.goals)
FORCED_1: Final = Line("put forced each, 1 thread", "k/s", (Goal(1.1, ("SQLite",)),))
FORCED_64: Final = Line(
    f"put forced each, {THREADS} threads", "k/s", (Goal(1.05, ("RocksDB", "LevelDB", "LevelDB unchecked")),)
)
P99: Final = Line("p99 of a put", "µs", (Goal(1, ("RocksDB",)),))
PAUSE: Final = Line("worst pause of a put", "ms", (Goal(50),))


def put(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Record by record into an empty database. Leaves tables behind for those who read."""
    with closing(peer.open(records_path(peer, directory), Setup())) as store:
        yield timed(PUT, len(data.pairs), lambda: starmap(store.put, data.pairs))
        store.flush()


def put_timed(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Each put timed by itself, with memtables so small that sealing, flushing and compacting go on beside it."""
    setup = Setup(memtable_records=len(data.pairs) // MEMTABLES)
    with scratch(directory) as path, closing(peer.open(path, setup)) as store:
        taken_ns = sorted(latencies_ns(store, data.pairs))
    yield Finding(P99, taken_ns[len(taken_ns) * 99 // 100] / 1e3)
    yield Finding(PAUSE, taken_ns[-1] / 1e6)


def latencies_ns(store: Store, pairs: Sequence[Pair]) -> list[int]:
    """How long each put took."""
    put, clock, taken_ns = store.put, time.perf_counter_ns, []
    for key, value in pairs:
        before = clock()
        put(key, value)
        taken_ns.append(clock() - before)
    return taken_ns


def put_many(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """The same records in batches."""
    yield _put_batches(PUT_MANY, peer, directory, data.pairs)


def put_many_varied(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Records in batches whose sizes differ."""
    yield _put_batches(PUT_MANY_VARIED, peer, directory, varied(data.pairs))


def _put_batches(line: Line, peer: Peer, directory: Path, pairs: Sequence[Pair]) -> Finding:
    parts = list(batches(pairs))
    with scratch(directory) as path, closing(peer.open(path, Setup())) as store:
        return timed(line, len(pairs), lambda: map(store.put_many, parts))


def put_forced(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Fewer records, each on the disk before the next."""
    pairs = data.forced[:FORCED_ALONE]
    with scratch(directory) as path, closing(peer.open(path, Setup(forced=True))) as store:
        yield timed(FORCED_1, len(pairs), lambda: starmap(store.put, pairs))


def put_forced_by_threads(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Each record on the disk before the thread that wrote it goes on; threads may share a force."""
    ready = Barrier(THREADS + 1)

    def write(part: Sequence[Pair]) -> None:
        ready.wait()
        exhaust(starmap(store.put, part))

    with (
        scratch(directory) as path,
        closing(peer.open(path, Setup(forced=True))) as store,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        writers = [pool.submit(write, data.forced[n::THREADS]) for n in range(THREADS)]
        ready.wait()
        yield timed(FORCED_64, len(data.forced), lambda: (writer.result() for writer in writers))


SESSIONS: Final = (
    Session((PUT,), takers(put, "BlockDB", "RocksDB", "LMDB", "SQLite")),
    Session((PUT_MANY,), takers(put_many, "BlockDB", "RocksDB", "LMDB", "LMDB plain")),
    Session((PUT_MANY_VARIED,), takers(put_many_varied, "BlockDB", "RocksDB", "LMDB", "LMDB plain")),
    Session((FORCED_1,), takers(put_forced, "BlockDB", "SQLite", "RocksDB", "LevelDB", "LMDB")),
    Session((FORCED_64,), takers(put_forced_by_threads, "BlockDB", "RocksDB", "LevelDB", "LevelDB unchecked")),
    Session((P99, PAUSE), takers(put_timed, "BlockDB", "RocksDB")),
)
