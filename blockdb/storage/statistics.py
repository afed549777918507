"""Counting and timing without slowing down what is counted."""

from __future__ import annotations

from blockdb.statistics import BUCKETS, Latency, bucket_of


class Histogram:
    """Times in buckets that grow by an eighth of a power of two. Adding is O(1); a lost update under threads is rare
    and harmless.
    """

    def __init__(self) -> None:
        self._buckets: list[int] = []
        self._max_ns = 0

    def add(self, elapsed_ns: int) -> None:
        """Count one time."""
        if not self._buckets:
            self._buckets = [0] * BUCKETS
        self._buckets[bucket_of(elapsed_ns)] += 1
        self._max_ns = max(self._max_ns, elapsed_ns)

    @property
    def count(self) -> int:
        """How many times were counted."""
        return sum(self._buckets)

    def snapshot(self) -> Latency:
        """The distribution so far."""
        return Latency.of(list(self._buckets), self._max_ns / 1000)
