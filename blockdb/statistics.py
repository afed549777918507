"""What a database and its server count and time: immutable snapshots of what they do."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from blockdb.nodes import ClusterState

__all__ = [
    "Latency",
    "RequestStatistics",
    "ScrubStatistics",
    "ServerStatistics",
    "Snapshot",
    "Statistics",
    "TableStatistics",
    "TransactionInfo",
    "TransactionStatistics",
]


@dataclass(frozen=True, slots=True)
class TableStatistics:
    """A table on disk. Tier 0 is a flushed memtable; a merged table is one tier above its parts."""

    name: str
    tier: int
    records: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Latency:
    """How long something took, in microseconds. `count` is how many were timed; quantiles are within 7 %."""

    count: int = 0
    p50_us: float = 0.0
    p95_us: float = 0.0
    p99_us: float = 0.0
    max_us: float = 0.0
    sum_us: float = 0.0
    """All of them together, within 7 %."""
    first_bucket: int = field(default=0, repr=False)
    """Which bucket the first number of `buckets` is about. See `bucket_of`."""
    buckets: tuple[int, ...] = field(default=(), repr=False)
    """How many fell into each bucket, from the first to the last that has any."""

    @classmethod
    def of(cls, counts: Sequence[int], max_us: float, first_bucket: int = 0) -> Latency:
        """The distribution of times of which so many fell into each bucket, `first_bucket` and on. O(buckets)."""
        start = next((at for at, times in enumerate(counts) if times), None)
        if start is None:
            return cls()
        end = next(at for at in range(len(counts), 0, -1) if counts[at - 1])
        first, kept = first_bucket + start, tuple(counts[start:end])
        middles = list(_MIDDLES_US[first : first + len(kept)])
        middles[-1] = min(middles[-1], max_us)
        sums = list(accumulate(kept))
        p50, p95, p99 = (middles[bisect_left(sums, share * sums[-1])] for share in (0.5, 0.95, 0.99))
        return cls(sums[-1], p50, p95, p99, max_us, sum(map(mul, kept, middles)), first, kept)

    @classmethod
    def merged(cls, parts: Iterable[Latency]) -> Latency:
        """What was timed in several places, as one distribution."""
        timed = [part for part in parts if part.count]
        if len(timed) < 2:
            return timed[0] if timed else cls()
        first = min(part.first_bucket for part in timed)
        counts = [0] * (max(part.end_bucket for part in timed) - first)
        for part in timed:
            for bucket, times in enumerate(part.buckets, part.first_bucket - first):
                counts[bucket] += times
        return cls.of(counts, max(part.max_us for part in timed), first)

    @property
    def end_bucket(self) -> int:
        """The bucket after the last that has any."""
        return self.first_bucket + len(self.buckets)

    def since(self, before: Latency) -> Latency:
        """What was timed after `before` was told. All of it, if that is not an earlier state of the same."""
        if not before.count:
            return self
        counts = list(self.buckets)
        shift = before.first_bucket - self.first_bucket
        if shift < 0 or before.end_bucket > self.end_bucket:
            return self
        for bucket, times in enumerate(before.buckets, shift):
            counts[bucket] -= times
        if min(counts) < 0:
            return self
        last = max((bucket for bucket, times in enumerate(counts, self.first_bucket) if times), default=0)
        return Latency.of(counts, min(self.max_us, _end_us(last)), self.first_bucket)

    def below(self, bits: Iterable[int]) -> list[int]:
        """How many took less than so many powers of two in nanoseconds (3 or more, growing); exact. O(buckets)."""
        sums = [0, *accumulate(self.buckets)]
        ends = (bucket_of(1 << power) - self.first_bucket for power in bits)
        return [sums[min(max(end, 0), len(self.buckets))] for end in ends]


_STEPS_BITS: Final = 3
_STEPS: Final = 1 << _STEPS_BITS


def bucket_of(elapsed_ns: int) -> int:
    """Which bucket a time belongs to: they grow by an eighth of a power of two, from a nanosecond up. O(1)."""
    if elapsed_ns < _STEPS:
        return max(elapsed_ns, 0)
    shift = elapsed_ns.bit_length() - 1 - _STEPS_BITS
    return ((shift + 1) << _STEPS_BITS) + (elapsed_ns >> shift) - _STEPS


def _start_ns(bucket: int) -> int:
    if bucket < _STEPS:
        return bucket
    return ((bucket & (_STEPS - 1)) + _STEPS) << ((bucket >> _STEPS_BITS) - 1)


def _end_us(bucket: int) -> float:
    return _start_ns(bucket + 1) / 1000


BUCKETS: Final = bucket_of((1 << 64) - 1) + 1
"""How many there are, for all times that a clock may give."""
_MIDDLES_US: Final = tuple(
    bucket / 1000 if bucket < _STEPS else (_start_ns(bucket) + _start_ns(bucket + 1)) / 2000
    for bucket in range(BUCKETS)
)


@dataclass(frozen=True, slots=True)
class TransactionInfo:
    """A transaction that is under way, or has ended."""

    id: int
    """The smaller, the older."""
    age_s: float
    """How long it has taken so far, or took."""
    locks: int
    """How many locks on keys and ranges it holds, or held when it ended."""
    waits_for: tuple[int, ...] = ()
    """Which ones it waits for; none while it does not wait."""
    wanted: str | None = None
    """What it waits for, in words."""
    committing: bool = False
    collections: tuple[str, ...] = ()
    """The names of those that it has read or written."""
    writes: int = 0
    """How many records it is to store, or was."""
    outcome: str = ""
    """How it ended: `committed`, `aborted`, `deadlock` or `timeout`; empty while it is under way."""
    ended_s: float = 0.0
    """How many seconds ago it ended."""


@dataclass(frozen=True, slots=True)
class TransactionStatistics:
    """Transactions since the database was opened, and their locks at this moment."""

    active: int = 0
    waiting: int = 0
    """How many of them wait for a lock."""
    locks: int = 0
    """How many locks they hold together."""
    committed: int = 0
    aborted: int = 0
    """For whatever reason: deadlocks and timeouts are among them."""
    deadlocks: int = 0
    timeouts: int = 0
    waits: int = 0
    """How often somebody had to wait for a lock."""
    wait_latency: Latency = Latency()


@dataclass(frozen=True, slots=True)
class ScrubStatistics:
    """The scrubber: what audits the directory in the background, and what it found."""

    rate_limit: int = 0
    """Bytes a second that it may read; 0 where there is none."""
    running: bool = False
    """Whether a pass is under way."""
    passes: int = 0
    """How many were finished, since the database was made."""
    records_done: int = 0
    records_total: int = 0
    """How far the pass is, or what the last one went through."""
    last_started_ms: int | None = None
    last_finished_ms: int | None = None
    problems: tuple[str, ...] = ()
    """What was found wrong. It is kept until the database is opened anew and a pass finds nothing."""
    failure: str | None = None
    """Why the last pass did not come to its end."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """A collection and its handle at one moment. Counters and times are those of this handle since it was opened."""

    data_dir: str
    read_only: bool
    collection_id: str
    memtable_size_limit: int
    wal_sync_interval_ms: int
    compaction_threshold: int
    blockchain_batch_size: int

    records: int
    data_bytes: int
    """Keys and values."""
    blocks: int
    """Sealed ones; those of a busy writer are sealed a moment after they are full."""
    open_block_records: int
    open_block_bytes: int
    head_hash: bytes
    """Hash of the last sealed block; 32 zero bytes if there is none."""

    memtable_records: int
    """In the one that is being filled."""
    memtable_bytes: int
    """About what all of them take of memory: `memtable_size_limit` at most, or nearly."""
    frozen_memtables: int
    """Memtables that wait to be written to tables."""
    tables: tuple[TableStatistics, ...]
    log_bytes: int
    """The log since the last flush: what recovery would read."""
    chain_bytes: int
    table_bytes: int
    disk_bytes: int

    puts: int
    gets: int
    misses: int
    scans: int
    duplicates: int
    put_latency: Latency
    get_latency: Latency
    force_latency: Latency
    flushes: int
    compactions: int
    forces: int
    stalls: int
    """How often a writer waited for a memtable to be written."""
    flushing: bool
    compacting: bool
    recovery_ms: float
    recovered_records: int
    uptime_s: float
    background_failure: str | None = None
    """Why memtables could not be written, or tables not be merged; None while all goes well."""
    stall_latency: Latency = Latency()
    """How long those waits took."""

    compression_enabled: bool = False
    chain_data_bytes: int = 0
    """The chain before it was packed; `chain_bytes` is what it takes on the disk."""
    other_bytes: int = 0
    """Manifest, mark and metadata; `disk_bytes` is all four parts."""
    bytes_stored: int = 0
    """Keys and values that this handle stored."""
    bytes_written: int = 0
    """What it wrote for them, to log, tables and packed chain files."""

    cache_size_limit: int = 0
    cache_bytes: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    filter_hits: int = 0
    """How often a table was asked for a key that its filter did not rule out, and had it."""
    filter_false_positives: int = 0
    """How often it did not have it."""
    index_bytes: int = 0
    """What the files of indexes take."""
    encrypted: bool = False
    """Whether what holds data is encrypted on the disk."""

    scrub: ScrubStatistics = ScrubStatistics()
    transactions: TransactionStatistics = TransactionStatistics()
    writes_stopped: str | None = None
    """Why no more writes are taken, until the database is opened again; None while they are."""
    partitions: int = 1
    """Over how many partitions its records are spread, in a cluster; the figures are those of all of them."""

    @property
    def write_amplification(self) -> float:
        """Bytes written for each byte stored; 0 while nothing was."""
        return self.bytes_written / self.bytes_stored if self.bytes_stored else 0.0


@dataclass(frozen=True, slots=True)
class RequestStatistics:
    """The requests for one operation that came through one door."""

    operation: str
    door: str
    """`http`, `grpc`."""
    outcomes: Mapping[str, int]
    """How they ended, and how often: `ok`, or the kind of error."""
    latency: Latency

    @property
    def count(self) -> int:
        """How many were answered."""
        return sum(self.outcomes.values())


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """A server at one moment. Counters are those since it was started."""

    started_ms: int = 0
    """Unix time in milliseconds."""
    uptime_s: float = 0.0
    requests: tuple[RequestStatistics, ...] = ()
    in_flight: int = 0
    """Requests that are being answered."""
    connections: int = 0
    connections_accepted: int = 0
    streams: int = 0
    """Answers that go on for as long as somebody reads them: change streams, exports, backups."""
    bytes_received: int = 0
    """Bodies of requests."""
    bytes_sent: int = 0
    """Bodies of answers."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Requests that were turned away before anybody looked what they want, by reason."""
    proposals: Latency = field(default_factory=Latency)
    """In a cluster: how long it took until commands of this node were decided."""

    @property
    def answered(self) -> int:
        """How many requests were answered, however they ended."""
        return sum(requests.count for requests in self.requests)

    @property
    def failed(self) -> int:
        """How many of them were answered with an error."""
        return self.answered - self.ended("ok")

    def ended(self, *outcomes: str) -> int:
        """How many requests ended in one of these ways."""
        return sum(requests.outcomes.get(kind, 0) for requests in self.requests for kind in outcomes)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A database, the disk that it is on, and its server, at one moment."""

    time_ms: int
    """Unix time in milliseconds."""
    collections: Mapping[str, Statistics]
    """By name, those that are or were open in this process, the database's own (`_journal`) among them."""
    collections_total: int
    """How many collections of users there are, open or not."""
    disk_free_bytes: int
    """What is free for somebody who is not the administrator of the machine."""
    disk_size_bytes: int
    server: ServerStatistics | None = None
    certificate_expires_ms: int | None = None
    """Until when the certificate of the server is valid; None where it has none."""
    cluster: ClusterState | None = None
    """None where it is in no cluster."""

    @property
    def database(self) -> Statistics | None:
        """What the default collection tells, and with it all that is told of the database as a whole."""
        return self.collections.get("default")
