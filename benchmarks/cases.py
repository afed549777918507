"""What is measured: sessions with one open database each, and the units in which their findings are told."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path

from .stores import Pair, Peer, Store

__all__ = ["CASES", "SESSIONS", "Case", "Data", "Finding", "make_data"]

KEY_BYTES = 16
VALUE_BYTES = 100
BATCH_RECORDS = 1_000
RANGE_RECORDS = 100


@dataclass(frozen=True)
class Finding:
    """So much of a case took so many seconds."""

    case: str
    amount: int
    elapsed_s: float


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    unit: str
    forced: bool = False

    @property
    def more_is_better(self) -> bool:
        """Whether the unit is a rate, and not a time."""
        return self.unit == "k/s"

    def value(self, finding: Finding) -> float:
        """The finding in this case's unit."""
        if self.more_is_better:
            return finding.amount / finding.elapsed_s / 1e3
        return finding.elapsed_s / finding.amount * {"ms": 1e3, "µs": 1e6}[self.unit]


CASES = (
    Case("put", "k/s"),
    Case("put_many(1000)", "k/s"),
    Case("get, from memory", "k/s"),
    Case("get, from tables", "k/s"),
    Case("exists, not there", "k/s"),
    Case("scan all", "k/s"),
    Case("first 100 of a range", "µs"),
    Case("open", "ms"),
    Case("verify", "k/s"),
    Case("put, forced each", "k/s", forced=True),
)


@dataclass(frozen=True)
class Data:
    """What every database is given: the records, and the keys it is asked for."""

    pairs: Sequence[Pair]
    present: Sequence[bytes]
    absent: Sequence[bytes]
    starts: Sequence[bytes]
    forced: Sequence[Pair]


def make_data(records: int, seed: int = 1) -> Data:
    """Random keys and values, the same for the same seed."""
    chance = random.Random(seed)
    pairs = [(chance.randbytes(KEY_BYTES), chance.randbytes(VALUE_BYTES)) for _ in range(records)]
    absent = [chance.randbytes(KEY_BYTES) for _ in range(min(records, 50_000))]
    present = [chance.choice(pairs)[0] for _ in absent]
    return Data(pairs, present, absent, starts=absent[:500], forced=pairs[:1_000])


def write(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Record by record into an empty database, and reads of what is still in memory. Leaves tables behind."""
    with closing(peer.open(directory / "records", False)) as store:
        yield timed("put", len(data.pairs), lambda: starmap(store.put, data.pairs))
        yield timed("get, from memory", len(data.present), lambda: map(store.getter(), data.present))
        store.flush()


def write_batches(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """The same records in batches, into another empty database."""
    batches = [data.pairs[n : n + BATCH_RECORDS] for n in range(0, len(data.pairs), BATCH_RECORDS)]
    with closing(peer.open(directory / "batches", False)) as store:
        yield timed("put_many(1000)", len(data.pairs), lambda: map(store.put_many, batches))


def write_forced(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Fewer records, each on the disk before the next."""
    with closing(peer.open(directory / "forced", True)) as store:
        yield timed("put, forced each", len(data.forced), lambda: starmap(store.put, data.forced))


def read(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Everything that reads from tables, in what `write` left behind."""
    before = time.perf_counter()
    with closing(peer.open(directory / "records", False)) as store:
        yield Finding("open", 1, time.perf_counter() - before)
        check(store, data)
        yield timed("get, from tables", len(data.present), lambda: map(store.getter(), data.present))
        yield timed("exists, not there", len(data.absent), lambda: map(store.exists, data.absent))
        yield timed("scan all", len(data.pairs), store.scan)
        ranges = (store.first(start, RANGE_RECORDS) for start in data.starts)
        yield timed("first 100 of a range", len(data.starts), lambda: map(list, ranges))
        if (verify := store.verify) is not None:
            yield timed("verify", len(data.pairs), lambda: (verify() for _ in range(1)))


SESSIONS: tuple[Callable[[Peer, Path, Data], Iterator[Finding]], ...] = (write, write_batches, read, write_forced)


def check(store: Store, data: Data) -> None:
    """A database that answers wrongly is not compared."""
    get = store.getter()
    assert [get(key) for key, _ in data.pairs[:100]] == [value for _, value in data.pairs[:100]]
    assert not any(map(store.exists, data.absent[:100]))
    assert all(store.exists(key) for key in data.present[:100])
    assert sum(1 for _ in store.scan()) == len(data.pairs)
    assert store.verify is None or store.verify()


def timed(case: str, amount: int, work: Callable[[], Iterable[object]]) -> Finding:
    """How long it takes to draw everything out of `work()`."""
    before = time.perf_counter()
    exhaust(work())
    return Finding(case, amount, time.perf_counter() - before)


def exhaust(iterable: Iterable[object]) -> None:
    """Draw everything out, and keep nothing."""
    deque(iterable, maxlen=0)
