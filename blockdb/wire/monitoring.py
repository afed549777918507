"""The operations for those who watch over a server. Whether it is well, anybody may ask; the rest is for auditors."""

from __future__ import annotations

from typing import Final

from blockdb.security.roles import Right
from blockdb.wire.messages import plain, server
from blockdb.wire.operation import Nothing, Operation
from blockdb.wire.reaching import of_database, of_nobody

__all__ = ["MONITORING"]

MONITORING: Final = (
    Operation(
        "health", "GET", "/health", None, of_nobody, Nothing, plain.Health, "Whether the server is well.",
        is_plain=True, is_monitoring=True,
    ),
    Operation(
        "health_live", "GET", "/health/live", None, of_nobody, Nothing, plain.Live, "Whether the server answers.",
        is_plain=True, is_quick=True, is_rest=True,
    ),
    Operation(
        "health_ready", "GET", "/health/ready", None, of_nobody, Nothing, plain.Ready,
        "Whether requests should come here, and why not.", is_plain=True, is_monitoring=True, is_rest=True,
    ),
    Operation(
        "metrics", "GET", "/metrics", Right.AUDIT, of_database, Nothing, plain.Metrics,
        "What is counted and timed; Prometheus text where that is asked for.", is_plain=True, is_monitoring=True,
    ),
    Operation(
        "stats", "GET", "/stats", Right.AUDIT, of_database, Nothing, plain.Stats, "Settings, and what is stored.",
        is_plain=True,
    ),
    Operation(
        "server_statistics", "GET", "/api/v1/server/statistics", Right.AUDIT, of_database, Nothing,
        server.ServerSnapshot, "All that the server counts and times of its own work.",
    ),
    Operation(
        "alerts", "GET", "/api/v1/alerts", Right.AUDIT, of_database, Nothing, server.Alerts,
        "What somebody should look at now.", is_monitoring=True,
    ),
)  # fmt: skip
