"""Whether a server is alive, and whether it is ready: what those who watch over it ask every few seconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from blockdb import __version__
from blockdb.nodes import ClusterState
from blockdb.server.figures import uptime_text
from blockdb.statistics import Snapshot

__all__ = ["LEAST_FREE_BYTES", "Health", "health_of"]

LEAST_FREE_BYTES: Final = 16 * 1024 * 1024
"""With less than this, the disk counts as full: flushes and merges would fail soon."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a server is. The words tell nothing of what the database holds or where it is: anybody may ask."""

    reasons: tuple[str, ...] = ()
    """Why requests should go elsewhere, in words."""
    uptime_s: float = 0.0

    @property
    def is_ready(self) -> bool:
        """Whether requests should come here."""
        return not self.reasons

    def to_json(self) -> dict[str, Any]:
        """The answer of `GET /health`."""
        state = "healthy" if self.is_ready else "unhealthy"
        return {"status": state, "uptime": uptime_text(self.uptime_s), "version": __version__}

    def ready_json(self) -> dict[str, Any]:
        """The answer of `GET /health/ready`."""
        return {"status": "ready" if self.is_ready else "not ready", "reasons": list(self.reasons)}


def health_of(
    snapshot: Snapshot | None, cluster: ClusterState | None = None, *, stopping: bool = False, uptime_s: float = 0.0
) -> Health:
    """How a server is whose database looks like that; None where it could not be looked at.

    `cluster` is the one that it is in, at this moment.
    """
    if stopping:
        return Health(("stopping",), uptime_s)
    if snapshot is None:
        return Health(("the database cannot be read",), uptime_s)
    reasons = []
    if any(statistics.writes_stopped for statistics in snapshot.collections.values()):
        reasons.append("writes stopped")
    writes = snapshot.database is None or not snapshot.database.read_only
    if writes and snapshot.disk_free_bytes < LEAST_FREE_BYTES:
        reasons.append("disk full")
    return Health((*reasons, *_of_cluster(cluster)), uptime_s)


def _of_cluster(cluster: ClusterState | None) -> Iterator[str]:
    if cluster is None:
        return
    if not cluster.leader:
        yield "no leader"
    if cluster.diverged:
        yield "diverged"
    if cluster.state == "Learner":
        yield "catching up"
