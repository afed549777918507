import pytest

from blockdb.server.figures import metrics_json, stats_json, uptime_text
from blockdb.server.health import LEAST_FREE_BYTES, health_of
from blockdb.statistics import Latency
from tests.server.watching import snapshot, statistics, with_default


def test_metrics_have_the_documented_shape() -> None:
    assert metrics_json(snapshot()) == {
        "operations": {"total_reads": 64, "total_writes": 42, "failed_operations": 3},
        "performance": {
            "avg_read_latency_ms": pytest.approx(0.5, rel=0.07),
            "avg_write_latency_ms": pytest.approx(5.0, rel=0.07),
            "throughput_ops_per_sec": 10.6,
        },
        "storage": {"memtable_size_bytes": 8192, "total_sstables": 2, "blockchain_blocks": 2},
        "cluster": {"consensus_state": "Leader", "active_nodes": 1, "last_election": None},
    }


def test_metrics_of_a_database_in_which_nothing_happened() -> None:
    nothing = Latency()
    idle = statistics(puts=0, gets=0, scans=0, put_latency=nothing, get_latency=nothing)
    found = metrics_json(snapshot(collections={"default": idle}, server=None))
    assert found["performance"] == {
        "avg_read_latency_ms": 0.0,
        "avg_write_latency_ms": 0.0,
        "throughput_ops_per_sec": 0.0,
    }


def test_stats_have_the_documented_shape() -> None:
    assert stats_json(snapshot()) == {
        "config": {
            "data_dir": "./blockdb_data",
            "memtable_size_limit": 67_108_864,
            "wal_sync_interval": 1000,
            "compaction_threshold": 4,
            "blockchain_batch_size": 1000,
        },
        "storage": {
            "memtable_entries": 68,
            "sstable_count": 2,
            "wal_size_bytes": 1400,
            "total_size_bytes": 60_100,
        },
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0h 0m 0s"), (59.9, "0h 0m 59s"), (9930, "2h 45m 30s"), (360_000, "100h 0m 0s")],
)
def test_uptime(seconds: float, text: str) -> None:
    assert uptime_text(seconds) == text


def test_healthy() -> None:
    health = health_of(snapshot(), uptime_s=9930)
    assert health.to_json() == {"status": "healthy", "uptime": "2h 45m 30s", "version": "0.1.0"}
    assert health.ready_json() == {"status": "ready", "reasons": []}


def test_not_ready() -> None:
    full = {"disk_free_bytes": LEAST_FREE_BYTES - 1}
    for health, reasons in (
        (health_of(snapshot(), stopping=True), ["stopping"]),
        (health_of(None), ["the database cannot be read"]),
        (health_of(with_default(writes_stopped="The disk at /secret failed.")), ["writes stopped"]),
        (health_of(snapshot(**full)), ["disk full"]),
    ):
        assert not health.is_ready
        assert health.to_json()["status"] == "unhealthy"
        assert health.ready_json() == {"status": "not ready", "reasons": reasons}
        only_read = snapshot(collections={"default": statistics(read_only=True)}, **full)
    assert health_of(only_read).is_ready, "who only reads needs no room"
