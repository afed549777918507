"""What a server knows of itself and tells those who watch over it: figures, health, metrics and alerts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

from blockdb.alerts import Alert, Thresholds
from blockdb.cluster.database.context import of_this_node
from blockdb.database.database import Database
from blockdb.database.observing import Observer
from blockdb.errors import (
    BlockDBError,
    RateLimited,
    RequestTimeout,
    RequestTooLarge,
    Unauthenticated,
    Unavailable,
)
from blockdb.nodes import ClusterState
from blockdb.server.alerts import AlertWatch
from blockdb.server.health import Health, health_of
from blockdb.server.meters import OK, Meters
from blockdb.statistics import Snapshot

if TYPE_CHECKING:
    from blockdb.server.prometheus import Exposition
    from blockdb.server.webhook import Webhook

__all__ = ["AlertSettings", "Monitor"]

MAX_AGE_S: Final = 1.0
"""Health, for which anybody may ask, is not looked at anew within this time."""

log: Final = logging.getLogger("blockdb.server.monitor")


_REJECTIONS: Final[Mapping[type[BaseException], str]] = {
    RateLimited: "rate",
    RequestTimeout: "timeout",
    RequestTooLarge: "size",
    Unauthenticated: "auth",
    Unavailable: "capacity",
}
"""What is counted as turned away, and under which word."""


class AlertSettings(Thresholds, Protocol):
    """What `[alerts]` of the configuration says."""

    @property
    def webhook(self) -> str:
        """The address that is told of alerts; empty: none."""

    @property
    def interval(self) -> float:
        """Seconds between two looks."""


class Monitor:
    """Safe for threads."""

    def __init__(self, database: Database, is_stopping: Callable[[], bool] = bool) -> None:
        self.meters = Meters()
        self.certificate_expires_ms: Callable[[], int | None] = lambda: None
        """Until when the certificate that is used now is valid (Unix time)."""
        self.cluster: Callable[[], ClusterState | None] = lambda: None
        """The cluster that it is in."""
        self._observer = Observer(database)
        self._is_stopping = is_stopping
        self._watch: AlertWatch | None = None
        self._webhook: Webhook | None = None

    def count(self, operation: str, door: str, error: BaseException | None, seconds: float) -> None:
        """A request was answered, with this error or as it was meant to be."""
        self.meters.in_flight.down()
        self.meters.count(operation, door, outcome_of(error), seconds)

    def refused(self, error: BaseException) -> None:
        """A door has turned a request away with this error."""
        if (reason := _REJECTIONS.get(type(error))) is not None:
            self.meters.reject(reason)

    def snapshot(self, max_age_s: float = 0.0) -> Snapshot:
        """Everything at one moment, or a snapshot that is no older than that. Raises DatabaseClosed, OSError."""
        with of_this_node():
            return self._observer.look(self.meters.snapshot, self.certificate_expires_ms(), max_age_s, self.cluster)

    def health(self) -> Health:
        """Whether requests should come here."""
        uptime_s = self.meters.uptime_s
        if self._is_stopping():
            return health_of(None, stopping=True, uptime_s=uptime_s)
        try:
            return health_of(self.snapshot(MAX_AGE_S), self.cluster(), uptime_s=uptime_s)
        except (BlockDBError, OSError) as error:
            log.warning("the database could not be looked at: %s", error, extra={"event": "look_failed"})
            return health_of(None, uptime_s=uptime_s)

    @cached_property
    def exposition(self) -> Exposition:
        """The metrics as Prometheus reads them."""
        from blockdb.server.prometheus import Exposition

        return Exposition(self.snapshot)

    # Alerts.

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The alerts that are on, critical ones first; none where nobody watches."""
        return () if self._watch is None else self._watch.active

    def watch(self, settings: AlertSettings) -> None:
        """Look at the rules every so often from now on, in place of what was watched for before."""
        before = self._watch
        self.close()
        listeners = []
        if settings.webhook:
            from blockdb.server.webhook import Webhook  # here: the client of HTTP takes longer to load than the server

            self._webhook = Webhook(settings.webhook)
            listeners.append(self._webhook)
        self._watch = AlertWatch(self.snapshot, settings, settings.interval, *listeners, before=before)
        self._watch.start()

    def close(self) -> None:
        """Watch no more. Idempotent."""
        watch, webhook, self._watch, self._webhook = self._watch, self._webhook, None, None
        if watch is not None:
            watch.close()
        if webhook is not None:
            webhook.close()


def outcome_of(error: BaseException | None) -> str:
    """How a request ended: OK, or the kind of error, of which there are as many as classes."""
    if error is None:
        return OK
    return type(error).__name__ if isinstance(error, BlockDBError) else "Internal"
