"""What a database counts and times: immutable snapshots of what it does."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Latency",
    "ScrubStatistics",
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


@dataclass(frozen=True, slots=True)
class TransactionInfo:
    """A transaction that is under way."""

    id: int
    """The smaller, the older."""
    age_s: float
    locks: int
    """How many locks on keys and ranges it holds."""
    waits_for: tuple[int, ...] = ()
    """Which ones it waits for; none while it does not wait."""
    wanted: str | None = None
    """What it waits for, in words."""
    committing: bool = False


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

    @property
    def write_amplification(self) -> float:
        """Bytes written for each byte stored; 0 while nothing was."""
        return self.bytes_written / self.bytes_stored if self.bytes_stored else 0.0
