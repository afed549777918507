"""Watching over a server: the rules are looked at every few seconds, and who should know is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Final, Literal

from blockdb.alerts import Alert, Evaluation, Thresholds, changes, evaluate
from blockdb.statistics import Snapshot

__all__ = ["AlertWatch", "Told"]

LEAVING_S: Final = 2.0
"""How long closing waits for a look that is under way."""

Told = Callable[[Literal["began", "ended"], Alert], None]
"""Somebody who is told when an alert begins and when it ends. It must not wait for anything."""

log = logging.getLogger("blockdb.server.alerts")


class AlertWatch:
    """Has the rules looked at, in a thread of its own. Safe for threads."""

    def __init__(
        self,
        look: Callable[[], Snapshot],
        thresholds: Thresholds,
        interval_s: float,
        *listeners: Told,
        before: AlertWatch | None = None,
    ) -> None:
        """`look` takes a snapshot; each of `listeners` is told of what begins and ends, as is the log.

        What was on in the watch `before`, which was closed, does not begin again.
        """
        self._look = look
        self._thresholds = thresholds
        self._interval_s = interval_s
        self._listeners = listeners
        self._last: Evaluation | None = None if before is None else before._last
        self._evaluating = Lock()
        self._stopping = Event()
        self._thread: Thread | None = None

    @property
    def active(self) -> tuple[Alert, ...]:
        """The alerts that are on, critical ones first."""
        return () if self._last is None else self._last.alerts

    def start(self) -> None:
        """Look every `interval_s` seconds from now on."""
        self._thread = Thread(target=self._run, name="blockdb-alerts", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more. Idempotent."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(LEAVING_S)

    def look(self) -> None:
        """Look at the rules now, and tell what changed."""
        with self._evaluating:
            before = self._last
            self._last = after = evaluate(self._thresholds, before, self._look())
        began, ended = changes(before, after)
        for alert in began:
            log.warning("alert began: %s: %s", alert.name, alert.message, extra=_fields("began", alert))
            self._tell("began", alert)
        for alert in ended:
            log.info("alert ended: %s", alert.name, extra=_fields("ended", alert))
            self._tell("ended", alert)

    def _tell(self, event: Literal["began", "ended"], alert: Alert) -> None:
        for listener in self._listeners:
            listener(event, alert)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
            except Exception as error:  # a watch that ends at the first trouble is of no use
                log.warning("alerts could not be looked at: %s", error, extra={"event": "alerts_failed"})
            self._stopping.wait(self._interval_s)


def _fields(event: str, alert: Alert) -> dict[str, str]:
    return {"event": f"alert_{event}", "alert": alert.name, "subject": alert.subject, "severity": alert.severity}
