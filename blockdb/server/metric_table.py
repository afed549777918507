"""Which metric says what: the names that monitoring sees, each with its meaning and where its value comes from. Pure.

Names follow the conventions of Prometheus: base units, plural things without a suffix, counters end in `_total`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

from blockdb.nodes import ClusterState, NodeState, PartitionState
from blockdb.statistics import Latency, ServerStatistics, Snapshot, Statistics

__all__ = ["CLUSTER", "COLLECTION", "DATABASE", "HISTOGRAMS", "NODE", "PARTITION", "SERVER", "WHOLE", "Metric", "Timed"]

T = TypeVar("T")


class Metric(NamedTuple, Generic[T]):
    """A number. It is a counter if its name ends in `_total`, else a gauge."""

    name: str
    help: str
    value: Callable[[T], float | None]
    """None: there is no such number at this moment."""
    adds_up: bool = True
    """Whether those of several collections can be told as one sum."""

    @property
    def is_counter(self) -> bool:
        """Whether it only ever grows, until the process ends."""
        return self.name.endswith("_total")


class Timed(NamedTuple):
    """A distribution of times, of one collection."""

    name: str
    help: str
    value: Callable[[Statistics], Latency]


COLLECTION: Final[tuple[Metric[Statistics], ...]] = (
    Metric("records", "Records stored.", lambda one: one.records),
    Metric("data_bytes", "Keys and values of all records.", lambda one: one.data_bytes),
    Metric("blocks", "Sealed blocks.", lambda one: one.blocks),
    Metric("block_limit_records", "Records in a full block.", lambda one: one.blockchain_batch_size, adds_up=False),
    Metric("open_block_records", "Records in the block that is not full yet.", lambda one: one.open_block_records),
    Metric("open_block_bytes", "Bytes of them.", lambda one: one.open_block_bytes),
    Metric("memtable_records", "Records in the memtable that is being filled.", lambda one: one.memtable_records),
    Metric("memtable_bytes", "Memory that memtables take, about.", lambda one: one.memtable_bytes),
    Metric("memtables_frozen", "Memtables that wait to be written to tables.", lambda one: one.frozen_memtables),
    Metric("tables", "Tables on the disk.", lambda one: len(one.tables)),
    Metric("table_records", "Records in tables.", lambda one: sum(table.records for table in one.tables)),
    Metric("table_tier_max", "The highest tier of a table.", lambda one: _top_tier(one), adds_up=False),
    Metric("table_bytes", "Size of the tables.", lambda one: one.table_bytes),
    Metric("log_bytes", "The log since the last flush: what recovery would read.", lambda one: one.log_bytes),
    Metric("chain_bytes", "Size of the chain files.", lambda one: one.chain_bytes),
    Metric("chain_unpacked_bytes", "Size that they would have unpacked.", lambda one: one.chain_data_bytes),
    Metric("index_bytes", "Size of the files of indexes.", lambda one: one.index_bytes),
    Metric("other_bytes", "Size of manifest, mark and metadata.", lambda one: one.other_bytes),
    Metric("disk_bytes", "Size of everything on the disk.", lambda one: one.disk_bytes),
    Metric("puts_total", "Records stored by this process.", lambda one: one.puts),
    Metric("gets_total", "Gets answered by this process.", lambda one: one.gets),
    Metric("misses_total", "Gets that found nothing.", lambda one: one.misses),
    Metric("scans_total", "Scans begun by this process.", lambda one: one.scans),
    Metric("duplicates_total", "Records refused because their key was there.", lambda one: one.duplicates),
    Metric("flushes_total", "Memtables written to tables.", lambda one: one.flushes),
    Metric("flushing", "1 while a memtable is written.", lambda one: one.flushing),
    Metric("compactions_total", "Merges of tables.", lambda one: one.compactions),
    Metric("compacting", "1 while tables are merged.", lambda one: one.compacting),
    Metric("forces_total", "Forces of the log to the disk.", lambda one: one.forces),
    Metric("stalls_total", "Times a writer waited for a memtable to be written.", lambda one: one.stalls),
    Metric("stored_bytes_total", "Keys and values stored by this process.", lambda one: one.bytes_stored),
    Metric("written_bytes_total", "Bytes written for them.", lambda one: one.bytes_written),
    Metric("cache_bytes", "Memory that the cache takes.", lambda one: one.cache_bytes),
    Metric("cache_hits_total", "Reads that the cache answered.", lambda one: one.cache_hits),
    Metric("cache_misses_total", "Reads that it did not answer.", lambda one: one.cache_misses),
    Metric("filter_hits", "Lookups in present tables that hit.", lambda one: one.filter_hits),
    Metric(
        "filter_false_positives",
        "Lookups in present tables that their filter should have ruled out.",
        lambda one: one.filter_false_positives,
    ),
    Metric("recovery_seconds", "How long opening took.", lambda one: one.recovery_ms / 1000),
    Metric("recovered_records", "Records that opening read from the log.", lambda one: one.recovered_records),
    Metric("open_seconds", "For how long this process has it open.", lambda one: one.uptime_s, adds_up=False),
    Metric("background_failed", "1 while work in the background fails.", lambda one: bool(one.background_failure)),
    Metric("writes_stopped", "1 when no more writes are taken.", lambda one: bool(one.writes_stopped)),
)
"""Of each collection that is or was open, under the label `collection`."""

HISTOGRAMS: Final = (
    Timed("put_duration_seconds", "Time for a put; for a batch, its share of one record.", lambda one: one.put_latency),
    Timed("get_duration_seconds", "Time for a get; one in 64 is timed.", lambda one: one.get_latency),
    Timed("force_duration_seconds", "Time for a force of the log to the disk.", lambda one: one.force_latency),
    Timed("stall_duration_seconds", "Time that a writer waited for a memtable.", lambda one: one.stall_latency),
)
"""Of the same collections."""

DATABASE: Final[tuple[Metric[Statistics], ...]] = (
    Metric("read_only", "1 if the database is open for reading only.", lambda one: one.read_only),
    Metric("encrypted", "1 if what holds data is encrypted on the disk.", lambda one: one.encrypted),
    Metric("compression_enabled", "1 if full chain files are packed.", lambda one: one.compression_enabled),
    Metric("memtable_limit_bytes", "Setting memtable_size_limit.", lambda one: one.memtable_size_limit),
    Metric("cache_limit_bytes", "Setting cache_size_limit.", lambda one: one.cache_size_limit),
    Metric("wal_sync_interval_seconds", "Setting wal_sync_interval.", lambda one: one.wal_sync_interval_ms / 1000),
    Metric("compaction_threshold_tables", "Setting compaction_threshold.", lambda one: one.compaction_threshold),
    Metric("scrub_limit_bytes_per_second", "What the scrubber may read.", lambda one: one.scrub.rate_limit),
    Metric("scrub_running", "1 while a pass of the scrubber is under way.", lambda one: one.scrub.running),
    Metric("scrub_passes_total", "Passes of the scrubber that were finished.", lambda one: one.scrub.passes),
    Metric("scrub_done_records", "Records that the pass has gone through.", lambda one: one.scrub.records_done),
    Metric("scrub_pass_records", "Records that the pass goes through.", lambda one: one.scrub.records_total),
    Metric("scrub_problems", "What the scrubber found wrong.", lambda one: len(one.scrub.problems)),
    Metric("scrub_failed", "1 if the last pass did not come to its end.", lambda one: bool(one.scrub.failure)),
    Metric(
        "scrub_last_start_timestamp_seconds",
        "When the last pass began (Unix time).",
        lambda one: _seconds(one.scrub.last_started_ms),
    ),
    Metric(
        "scrub_last_end_timestamp_seconds",
        "When the last pass was finished (Unix time).",
        lambda one: _seconds(one.scrub.last_finished_ms),
    ),
    Metric("transactions_active", "Transactions under way.", lambda one: one.transactions.active),
    Metric("transactions_waiting", "Those of them that wait for a lock.", lambda one: one.transactions.waiting),
    Metric("transaction_locks", "Locks that transactions hold.", lambda one: one.transactions.locks),
    Metric("transactions_committed_total", "Transactions committed.", lambda one: one.transactions.committed),
    Metric("transactions_aborted_total", "Transactions aborted, why ever.", lambda one: one.transactions.aborted),
    Metric("transaction_deadlocks_total", "Those that gave way in a deadlock.", lambda one: one.transactions.deadlocks),
    Metric("transaction_timeouts_total", "Those that took too long.", lambda one: one.transactions.timeouts),
    Metric("transaction_waits_total", "Waits for a lock.", lambda one: one.transactions.waits),
)
"""Of the database as a whole, as its default collection tells them."""

SERVER: Final[tuple[Metric[ServerStatistics], ...]] = (
    Metric("server_start_timestamp_seconds", "When it was started (Unix time).", lambda one: one.started_ms / 1000),
    Metric("requests_in_flight", "Requests that are being answered.", lambda one: one.in_flight),
    Metric("connections", "Open connections.", lambda one: one.connections),
    Metric("connections_accepted_total", "Connections that were accepted.", lambda one: one.connections_accepted),
    Metric("streams", "Answers that go on, such as change streams.", lambda one: one.streams),
    Metric("received_bytes_total", "Bodies of requests.", lambda one: one.bytes_received),
    Metric("sent_bytes_total", "Bodies of answers.", lambda one: one.bytes_sent),
)
"""Of the server itself."""

WHOLE: Final[tuple[Metric[Snapshot], ...]] = (
    Metric("collections", "Collections of users.", lambda one: one.collections_total),
    Metric(
        "collections_told",
        "Collections that are or were open.",
        lambda one: len(one.collections),
    ),
    Metric("filesystem_free_bytes", "What is free where the database is.", lambda one: one.disk_free_bytes),
    Metric("filesystem_size_bytes", "Size of the file system where it is.", lambda one: one.disk_size_bytes),
    Metric(
        "certificate_expiry_timestamp_seconds",
        "Until when the certificate is valid (Unix time).",
        lambda one: _seconds(one.certificate_expires_ms),
    ),
)
"""Of everything together."""


CLUSTER: Final[tuple[Metric[ClusterState], ...]] = (
    Metric("cluster_term", "The term of consensus that this node is in.", lambda one: one.term),
    Metric("cluster_is_leader", "1 if this node leads.", lambda one: one.state == "Leader"),
    Metric("cluster_has_leader", "1 if this node knows who leads.", lambda one: bool(one.leader)),
    Metric("cluster_nodes", "Members of the cluster.", lambda one: len(one.members)),
    Metric("cluster_active_nodes", "Members that were heard of lately.", lambda one: one.active_nodes),
    Metric("cluster_first_index", "The first entry of the log that is kept.", lambda one: one.first_index),
    Metric("cluster_last_index", "The last entry of the log on this node.", lambda one: one.last_index),
    Metric("cluster_commit_index", "The last entry that is decided, as far as is known here.", lambda one: one.commit),
    Metric("cluster_applied_index", "The last entry that was applied here.", lambda one: one.applied),
    Metric("cluster_elections_total", "Changes of the leader that this node has seen.", lambda one: one.elections),
    Metric(
        "cluster_last_election_timestamp_seconds",
        "When the leader changed last (Unix time).",
        lambda one: _seconds(one.last_election_ms or None),
    ),
    Metric("cluster_diverged", "1 if this node's chain differs from the others'.", lambda one: bool(one.diverged)),
)
"""Of the cluster, as this node sees it."""

NODE: Final[tuple[Metric[NodeState], ...]] = (
    Metric("cluster_node_active", "1 if the member was heard of lately.", lambda one: one.is_active),
    Metric("cluster_node_lag_entries", "How far it is behind what is decided.", lambda one: one.lag),
)
"""Of each member of it, under the label `node`."""

PARTITION: Final[tuple[Metric[PartitionState], ...]] = (
    Metric("cluster_partition_has_leader", "1 if somebody leads it.", lambda one: bool(one.leader)),
    Metric("cluster_partition_term", "The term that its log is in.", lambda one: one.term),
    Metric("cluster_partition_commit_index", "The last entry of its log that is decided.", lambda one: one.commit),
    Metric("cluster_partition_holders", "Nodes that keep it.", lambda one: len(one.nodes)),
    Metric(
        "cluster_partition_active_holders",
        "Those of them that were heard of lately.",
        lambda one: sum(node.is_active for node in one.nodes),
    ),
    Metric(
        "cluster_partition_lag_entries",
        "How far the slowest of them is behind.",
        lambda one: max((node.lag for node in one.nodes), default=0),
    ),
)
"""Of each partition that this node keeps, under the label `partition` (such as `users:3`)."""


def _seconds(time_ms: int | None) -> float | None:
    return None if time_ms is None else time_ms / 1000


def _top_tier(one: Statistics) -> int:
    return max((table.tier for table in one.tables), default=0)
