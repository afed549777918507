"""Counting and timing without slowing down what is counted."""

from __future__ import annotations

from typing import Final

from blockdb.statistics import Latency

_STEPS_BITS: Final = 3
_STEPS: Final = 1 << _STEPS_BITS


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
            self._buckets = [0] * (64 * _STEPS)
        self._buckets[_bucket(elapsed_ns)] += 1
        self._max_ns = max(self._max_ns, elapsed_ns)

    @property
    def count(self) -> int:
        """How many times were counted."""
        return sum(self._buckets)

    def snapshot(self) -> Latency:
        """The distribution so far."""
        buckets = list(self._buckets)
        count = sum(buckets)
        p50, p95, p99 = (self._quantile(buckets, count, share) for share in (0.5, 0.95, 0.99))
        return Latency(count, p50, p95, p99, self._max_ns / 1000)

    def _quantile(self, buckets: list[int], count: int, share: float) -> float:
        wanted, seen = share * count, 0
        for bucket, times in enumerate(buckets):
            seen += times
            if times and seen >= wanted:
                return min(_middle_ns(bucket), self._max_ns) / 1000
        return 0.0


def _bucket(elapsed_ns: int) -> int:
    if elapsed_ns < _STEPS:
        return max(elapsed_ns, 0)
    shift = elapsed_ns.bit_length() - 1 - _STEPS_BITS
    return ((shift + 1) << _STEPS_BITS) + (elapsed_ns >> shift) - _STEPS


def _middle_ns(bucket: int) -> float:
    if bucket < _STEPS:
        return float(bucket)
    shift = (bucket >> _STEPS_BITS) - 1
    low = ((bucket & (_STEPS - 1)) + _STEPS) << shift
    return low + (1 << shift) / 2
