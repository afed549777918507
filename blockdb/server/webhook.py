"""Telling another program of alerts: each as one POST of JSON, beside the server and never in its way."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from queue import Full, Queue
from threading import Event, Thread
from time import time
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import httpx

from blockdb import __version__
from blockdb.alerts import Alert

__all__ = ["Webhook"]

QUEUE_LIMIT: Final = 100
"""Of more events that nobody takes, the newest are dropped: the log has them all."""
TIMEOUT_S: Final = 5.0
PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""How long it is waited before each further attempt."""
LEAVING_S: Final = 2.0
"""How long closing waits for what is being sent."""

log = logging.getLogger("blockdb.server.alerts")


class Webhook:
    """Posts what it is told to an address, in order, from a thread of its own. Safe for threads.

    An address that does not answer with 2xx is tried again, later each time; after the last attempt the event is
    given up, which the log says. The address may have a secret in it: only its host is ever told.
    """

    def __init__(
        self,
        url: str,
        *,
        now_s: Callable[[], float] = time,
        pauses_s: tuple[float, ...] = PAUSES_S,
        timeout_s: float = TIMEOUT_S,
        limit: int = QUEUE_LIMIT,
    ) -> None:
        """Starts its thread at once. `now_s` is the time of day (Unix)."""
        self._url = url
        self._host = urlsplit(url).hostname or "?"
        self._now_s = now_s
        self._pauses_s = pauses_s
        self._timeout_s = timeout_s
        self._queue: Queue[dict[str, Any] | None] = Queue(limit)
        self._stopping = Event()
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)  # below that, they log addresses
        self._thread = Thread(target=self._run, name="blockdb-webhook", daemon=True)
        self._thread.start()

    def __call__(self, event: Literal["began", "ended"], alert: Alert) -> None:
        """Have an event sent. Waits for nothing."""
        try:
            self._queue.put_nowait(self._body(event, alert))
        except Full:
            log.warning("the webhook at %s takes nothing: an event was dropped", self._host)

    def close(self) -> None:
        """Send no more. What is being sent has two seconds; what waits is given up. Idempotent."""
        self._stopping.set()
        with suppress(Full):  # then the thread need not be woken
            self._queue.put_nowait(None)
        self._thread.join(LEAVING_S)

    def _body(self, event: str, alert: Alert) -> dict[str, Any]:
        return {
            "event": event,
            "alert": alert.name,
            "subject": alert.subject,
            "severity": alert.severity,
            "message": alert.message,
            "since": _utc(alert.since_ms / 1000),
            "time": _utc(self._now_s()),
            "source": f"blockdb/{__version__}",
        }

    def _run(self) -> None:
        with httpx.Client(timeout=self._timeout_s, trust_env=False, follow_redirects=False) as client:
            while (body := self._queue.get()) is not None and not self._stopping.is_set():
                self._send(client, body)

    def _send(self, client: httpx.Client, body: dict[str, Any]) -> None:
        for pause_s in (*self._pauses_s, None):
            wrong = self._attempt(client, body)
            if wrong is None:
                return
            if pause_s is None:
                log.warning("the webhook at %s was not told of %s: %s", self._host, body["alert"], wrong)
            elif self._stopping.wait(pause_s):
                return

    def _attempt(self, client: httpx.Client, body: dict[str, Any]) -> str | None:
        """Try once; returns what went wrong, in words without the address."""
        try:
            answer = client.post(self._url, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return type(error).__name__
        return None if answer.is_success else f"it answered {answer.status_code}"


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
