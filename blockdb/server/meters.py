"""What a server counts and times of its own work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from operator import itemgetter
from threading import Lock
from time import monotonic, time
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

    Operations and doors are those of tables, outcomes kinds of
    errors: nothing that comes from outside becomes a name here, so that there are never more than a few hundred.
    """

    def __init__(self, steady_s: Callable[[], float] = monotonic, now_s: Callable[[], float] = time) -> None:
        """`steady_s` never goes back; `now_s` is the time of day (Unix)."""
        self._steady_s = steady_s
        self._lock = Lock()
        self._began_s = steady_s()
        self._started_ms = int(now_s() * 1000)
        self._received = 0
        self._sent = 0
        self._requests: dict[tuple[str, str], _Requests] = {}
        self._rejected: Counter[str] = Counter()
        self.in_flight = Level()
        """Requests that are being answered."""
        self.connections = Level()
        self.streams = Level()
        self._proposals = Histogram()

    def count(self, operation: str, door: str, outcome: str, seconds: float) -> None:
        """A request was answered after that time: `outcome` is OK or the kind of error."""
        with self._lock:
            requests = self._requests.get((operation, door))
            if requests is None:
                requests = self._requests[operation, door] = _Requests()
            requests.outcomes[outcome] = requests.outcomes.get(outcome, 0) + 1
            requests.latency.add(int(seconds * 1e9))

    def reject(self, reason: str) -> None:
        """A request was turned away before anybody looked at what it wants: `rate`, `size`, `auth` and the like."""
        with self._lock:
            self._rejected[reason] += 1

    def decided(self, seconds: float) -> None:
        """A command of this node was decided by the cluster after that time."""
        with self._lock:
            self._proposals.add(int(seconds * 1e9))

    def transfer(self, received_bytes: int = 0, sent_bytes: int = 0) -> None:
        """So much of bodies came in and went out."""
        with self._lock:
            self._received += received_bytes
            self._sent += sent_bytes

    @property
    def uptime_s(self) -> float:
        """For how long it has been counted."""
        return self._steady_s() - self._began_s

    def snapshot(self) -> ServerStatistics:
        """The counters at this moment. O(operations)."""
        with self._lock:  # briefly: distributions are worked out after that
            kept = [(key, dict(requests.outcomes), requests.latency) for key, requests in self._requests.items()]
            rejected = dict(self._rejected)
        kept.sort(key=itemgetter(0))
        return ServerStatistics(
            started_ms=self._started_ms,
            uptime_s=self.uptime_s,
            requests=tuple(RequestStatistics(*key, ends, timed.snapshot()) for key, ends, timed in kept),
            in_flight=self.in_flight.now,
            connections=self.connections.now,
            connections_accepted=self.connections.ever,
            streams=self.streams.now,
            bytes_received=self._received,
            bytes_sent=self._sent,
            rejected=rejected,
            proposals=self._proposals.snapshot(),
        )
