"""A node that a server's client asks: one connection for what it says, another for what it tells."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import blockdb
from blockdb.commands.recordings.lanes import Seen

__all__ = ["ServedNode", "is_clustered"]

ALONE = "lone"


def is_clustered(database: Any) -> bool:
    """Whether a database is kept by a cluster. Waits; raises BlockDBError where its server does not say."""
    cluster = getattr(database, "cluster", None)
    return cluster is not None and cluster.state().engine != ALONE


class ServedNode:
    """One server of a cluster. `connect` opens a connection to it, and to no other."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._open: dict[str, Any] = {}
        self._closed = False

    def status(self) -> Seen:
        """What it says now. Raises BlockDBError and OSError."""
        seen: Seen = self._connected("status").cluster.state()
        return seen

    def events(self) -> Iterator[Any]:
        """What it tells from now on."""
        events = self._connected("events").cluster.events()
        yield from (event for event in events if event is not None)

    def _connected(self, what: str) -> Any:
        with self._lock:
            if self._closed:
                raise blockdb.DatabaseClosed("Nobody looks at the cluster any more.")
            if what in self._open:
                return self._open[what]
        database = self._connect()
        with self._lock:
            kept = self._open.setdefault(what, database)
            closed = self._closed
        if kept is not database or closed:
            database.close()
        return kept

    def close(self) -> None:
        """Lets both connections go."""
        with self._lock:
            self._closed = True
            databases = list(self._open.values())
        for database in databases:
            database.close()
