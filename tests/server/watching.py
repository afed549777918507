"""Snapshots as they might be, and clocks that stand still."""

from dataclasses import dataclass, replace
from typing import Any

import blockdb
from blockdb.statistics import Latency, RequestStatistics, ServerStatistics, Snapshot, Statistics
from blockdb.storage.statistics import Histogram

GIB = 1024**3


def latency_of(*times_ms: float) -> Latency:
    histogram = Histogram()
    for time_ms in times_ms:
        histogram.add(round(time_ms * 1e6))
    return histogram.snapshot()


def statistics(**changes: Any) -> Statistics:
    """Those of a collection in which not much happened."""
    values: dict[str, Any] = {
        "data_dir": "./blockdb_data",
        "read_only": False,
        "collection_id": "collection_1",
        "memtable_size_limit": 67_108_864,
        "wal_sync_interval_ms": 1000,
        "compaction_threshold": 4,
        "blockchain_batch_size": 1000,
        "records": 1234,
        "data_bytes": 5000,
        "blocks": 1,
        "open_block_records": 234,
        "open_block_bytes": 900,
        "head_hash": bytes(32),
        "memtable_records": 34,
        "memtable_bytes": 4096,
        "frozen_memtables": 0,
        "tables": (blockdb.TableStatistics("000001.sst", 1, 1200, 20_000),),
        "log_bytes": 700,
        "chain_bytes": 9000,
        "table_bytes": 20_000,
        "disk_bytes": 30_000,
        "puts": 40,
        "gets": 30,
        "misses": 3,
        "scans": 2,
        "duplicates": 1,
        "put_latency": latency_of(4.0, 6.0),
        "get_latency": latency_of(0.5),
        "force_latency": latency_of(11.0),
        "flushes": 1,
        "compactions": 0,
        "forces": 1,
        "stalls": 0,
        "flushing": False,
        "compacting": True,
        "recovery_ms": 12.0,
        "recovered_records": 0,
        "uptime_s": 60.0,
    }
    return Statistics(**values | changes)


def requests(operation: str = "put", door: str = "http", **outcomes: int) -> RequestStatistics:
    return RequestStatistics(operation, door, outcomes, latency_of(*[2.0] * sum(outcomes.values())))


def snapshot(**changes: Any) -> Snapshot:
    """A database with two collections and a journal, half of whose disk is free."""
    values: dict[str, Any] = {
        "time_ms": 1_700_000_000_000,
        "collections": {
            "default": statistics(),
            "users": statistics(collection_id="collection_2", puts=2, read_only=False),
            "_journal": statistics(collection_id="collection_3", puts=7, disk_bytes=100),
        },
        "collections_total": 2,
        "disk_free_bytes": 50 * GIB,
        "disk_size_bytes": 100 * GIB,
        "server": ServerStatistics(
            started_ms=1_699_999_000_000, uptime_s=10.0, requests=(requests(ok=10, KeyNotFound=3),)
        ),
    }
    return Snapshot(**values | changes)


def with_default(**changes: Any) -> Snapshot:
    found = snapshot()
    return replace(found, collections=dict(found.collections) | {"default": statistics(**changes)})


@dataclass(frozen=True)
class Limits:
    disk_free_percent: float = 5
    replication_lag: float = 10_000
    latency_ms: float = 0
    error_percent: float = 0
    integrity: bool = True
