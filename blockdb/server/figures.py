"""The figures of a server as JSON, in the shape that its API documents: `GET /metrics` and `GET /stats`. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from blockdb.nodes import ClusterState
from blockdb.statistics import Latency, ServerStatistics, Snapshot, Statistics

__all__ = ["metrics_json", "stats_json", "time_text", "uptime_text"]


def metrics_json(snapshot: Snapshot) -> dict[str, Any]:
    """The answer of `GET /metrics`: what was done since the server was started, and what there is.

    Reads are gets and scans, writes are records, both of all collections of users; throughput is that since the start.
    """
    found = _users(snapshot)
    server = snapshot.server or ServerStatistics()
    reads = sum(one.gets + one.scans for one in found)
    writes = sum(one.puts for one in found)
    return {
        "operations": {"total_reads": reads, "total_writes": writes, "failed_operations": server.failed},
        "performance": {
            "avg_read_latency_ms": _average_ms(one.get_latency for one in found),
            "avg_write_latency_ms": _average_ms(one.put_latency for one in found),
            "throughput_ops_per_sec": round((reads + writes) / server.uptime_s, 1) if server.uptime_s else 0.0,
        },
        "storage": {
            "memtable_size_bytes": sum(one.memtable_bytes for one in found),
            "total_sstables": sum(len(one.tables) for one in found),
            "blockchain_blocks": sum(one.blocks for one in found),
        },
        "cluster": _cluster(snapshot.cluster),
    }


def _cluster(cluster: ClusterState | None) -> dict[str, str | int | None]:
    """Of a cluster; a node that is in none leads itself."""
    if cluster is None:
        return {"consensus_state": "Leader", "active_nodes": 1, "last_election": None}
    elected = None if not cluster.last_election_ms else time_text(cluster.last_election_ms)
    return {"consensus_state": cluster.state, "active_nodes": cluster.active_nodes, "last_election": elected}


def stats_json(snapshot: Snapshot) -> dict[str, Any]:
    """The answer of `GET /stats`: settings of the database, and what its open collections take."""
    found = _users(snapshot)
    settings = snapshot.database or found[0]
    return {
        "config": {
            "data_dir": settings.data_dir,
            "memtable_size_limit": settings.memtable_size_limit,
            "wal_sync_interval": settings.wal_sync_interval_ms,
            "compaction_threshold": settings.compaction_threshold,
            "blockchain_batch_size": settings.blockchain_batch_size,
        },
        "storage": {
            "memtable_entries": sum(one.memtable_records for one in found),
            "sstable_count": sum(len(one.tables) for one in found),
            "wal_size_bytes": sum(one.log_bytes for one in found),
            "total_size_bytes": sum(one.disk_bytes for one in snapshot.collections.values()),
        },
    }


def time_text(time_ms: float) -> str:
    """A time in milliseconds since 1970, as in `2027-01-15T10:30:00Z`."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def uptime_text(seconds: float) -> str:
    """A duration in hours, minutes and seconds: `2h 45m 30s`."""
    minutes, rest_s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m {rest_s}s"


def _users(snapshot: Snapshot) -> list[Statistics]:
    """Of the collections that users made."""
    return [statistics for name, statistics in snapshot.collections.items() if not name.startswith("_")]


def _average_ms(latencies: Iterable[Latency]) -> float:
    kept = list(latencies)
    count = sum(latency.count for latency in kept)
    return round(sum(latency.sum_us for latency in kept) / count / 1000, 3) if count else 0.0
