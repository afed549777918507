"""Looking at a whole database at once: figures of all that is open, and of the disk. Opens nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from time import monotonic, time

from blockdb.database.database import Database
from blockdb.errors import CollectionNotFound, Corruption
from blockdb.nodes import ClusterState
from blockdb.statistics import ServerStatistics, Snapshot, Statistics

__all__ = ["Observer"]


class Observer:
    """Takes snapshots of a database for whoever watches over it. Safe for threads; one looks at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looking = Lock()
        self._known: dict[str, Statistics] = {}
        self._last: Snapshot | None = None
        self._looked_s = 0.0

    def look(
        self,
        server: Callable[[], ServerStatistics] | None = None,
        certificate_expires_ms: int | None = None,
        max_age_s: float = 0.0,
        cluster: Callable[[], ClusterState | None] | None = None,
    ) -> Snapshot:
        """A snapshot, or the last one where that is no older than `max_age_s`. O(open collections).

        `server` and `cluster` are asked for their own figures. Collections that were parked meanwhile are told with
        their last figures, so that counters never go back. Raises DatabaseClosed, OSError.
        """
        with self._looking:
            if self._last is not None and monotonic() - self._looked_s < max_age_s:
                return self._last
            disk = shutil.disk_usage(self._database.path)
            names = self._database.collection_names()
            found = self._open_ones()
            self._known = {name: known for name, known in self._known.items() if name in names} | found
            self._last = Snapshot(
                time_ms=int(time() * 1000),
                collections=self._known,
                collections_total=len(names),
                disk_free_bytes=disk.free,
                disk_size_bytes=disk.total,
                server=None if server is None else server(),
                certificate_expires_ms=certificate_expires_ms,
                cluster=None if cluster is None else cluster(),
            )
            self._looked_s = monotonic()
            return self._last

    def _open_ones(self) -> dict[str, Statistics]:
        found = {}
        for name, collection in self._database.open_collections().items():
            with suppress(CollectionNotFound, Corruption):  # dropped meanwhile; damage is told by an audit
                found[name] = collection.stats()
        return found
