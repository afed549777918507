"""What a server counts and times of its own work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from threading import Lock
from time import perf_counter_ns, time
from typing import TYPE_CHECKING, Final

from blockdb.statistics import RequestStatistics, ServerStatistics
from blockdb.storage.statistics import Histogram

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["OK", "Level", "Meters"]

OK: Final = "ok"
"""How a request ended that was answered as it was meant to be; other ends are named by the kind of error."""


class Level:
    """How many of something there are at this moment. Exact under threads, else it would drift."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.now = 0
        self.ever = 0
        """How many there were altogether."""

    def up(self) -> None:
        """One more."""
        with self._lock:
            self.now += 1
            self.ever += 1

    def down(self) -> None:
        """One less."""
        with self._lock:
            self.now -= 1

    @contextmanager
    def one(self) -> Iterator[None]:
        """One more, while this lasts."""
        self.up()
        try:
            yield
        finally:
            self.down()


class _Requests:
    """Those for one operation through one door."""

    __slots__ = ("latency", "outcomes")

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.latency = Histogram()


class Meters:
    """The counters of a server. Safe for threads; a request costs about a microsecond.

    Who calls `begin` calls `end` once, whatever happens. Operations and doors are those of tables, outcomes kinds of
    errors: nothing that comes from outside becomes a name here, so that there are never more than a few hundred.
    """

    def __init__(self, clock_ns: Callable[[], int] = perf_counter_ns, now_s: Callable[[], float] = time) -> None:
        """`clock_ns` measures, and never goes back; `now_s` is the time of day (Unix)."""
        self._clock_ns = clock_ns
        self._lock = Lock()
        self._began_ns = clock_ns()
        self._started_ms = int(now_s() * 1000)
        self._in_flight = 0
        self._received = 0
        self._sent = 0
        self._requests: dict[tuple[str, str], _Requests] = {}
        self._rejected: Counter[str] = Counter()
        self.connections = Level()
        self.streams = Level()

    def begin(self) -> int:
        """A request is being answered from now on. Returns what `end` has to be told."""
        with self._lock:
            self._in_flight += 1
        return self._clock_ns()

    def end(self, began_ns: int, operation: str, door: str, outcome: str = OK) -> None:
        """The request that began then was answered."""
        elapsed_ns = self._clock_ns() - began_ns
        with self._lock:
            self._in_flight -= 1
            requests = self._requests.get((operation, door))
            if requests is None:
                requests = self._requests[operation, door] = _Requests()
            requests.outcomes[outcome] = requests.outcomes.get(outcome, 0) + 1
            requests.latency.add(elapsed_ns)

    def reject(self, reason: str) -> None:
        """A request was turned away before anybody looked at what it wants: `rate`, `size`, `auth` and the like."""
        with self._lock:
            self._rejected[reason] += 1

    def transfer(self, received_bytes: int = 0, sent_bytes: int = 0) -> None:
        """So much of bodies came in and went out."""
        with self._lock:
            self._received += received_bytes
            self._sent += sent_bytes

    def snapshot(self) -> ServerStatistics:
        """The counters at this moment. O(operations)."""
        with self._lock:
            kept = [
                (operation, door, tuple(sorted(requests.outcomes.items())), requests.latency.snapshot())
                for (operation, door), requests in self._requests.items()
            ]
            return ServerStatistics(
                started_ms=self._started_ms,
                uptime_s=(self._clock_ns() - self._began_ns) / 1e9,
                requests=tuple(sorted((RequestStatistics(*one) for one in kept), key=_by_name)),
                in_flight=self._in_flight,
                connections=self.connections.now,
                connections_accepted=self.connections.ever,
                streams=self.streams.now,
                bytes_received=self._received,
                bytes_sent=self._sent,
                rejected=tuple(sorted(self._rejected.items())),
            )


def _by_name(requests: RequestStatistics) -> tuple[str, str]:
    return requests.operation, requests.door
