"""Time to live: which records are so old that reads do not show them any more. The chain keeps them.

Times never go back in commit order, so what has expired is always a prefix of it: one horizon tells, and it only ever
moves forward.
"""

from __future__ import annotations

from threading import Lock
from time import time_ns
from typing import Final, NamedTuple, Protocol

from blockdb.storage.chain import Chain
from blockdb.storage.history import History
from blockdb.storage.sources import NOTHING, Horizon
from blockdb.types import AsOf

STEPS: Final = 256
"""A horizon that moves by more records than this is looked for by bisection instead."""


class Records(Protocol):
    """A collection, as far as expiring goes."""

    chain: Chain
    next_sequence: int

    @property
    def end(self) -> int:
        """Where the next frame goes."""

    def history(self) -> History:
        """The chain as of now."""


class _Found(NamedTuple):
    horizon: Horizon
    until_ms: int
    """The horizon is right before this time, when the first record behind it expires; 0 where there was none yet."""


class Expiry:
    """The horizon before which all records have expired: those whose time is more than `ttl_ms` ago. Safe for threads.

    It is looked after when somebody reads, and moves record by record, each of them once; what is left is to compare
    the clock with the time when the next record expires.
    """

    def __init__(self, records: Records, ttl_ms: int) -> None:
        self.ttl_ms = ttl_ms
        self._records = records
        self._found = _Found(NOTHING, 0)
        self._moving = Lock()

    def horizon(self) -> Horizon:
        """What has expired by now. O(1) amortised. Raises Corruption."""
        found, now_ms = self._found, _now_ms()
        if now_ms < found.until_ms or found.horizon.records == self._records.next_sequence:
            return found.horizon
        with self._moving:
            self._move(now_ms - self.ttl_ms)
            return self._found.horizon

    def horizon_by(self, time_ms: int) -> Horizon:
        """What has expired by that time, whatever the clock says. O(log blocks + block)."""
        last_ms = time_ms - self.ttl_ms - 1
        return self._records.history().horizon(AsOf(time_ms=last_ms)) if last_ms >= 0 else NOTHING

    def horizon_as_of(self, as_of: AsOf, seen: Horizon) -> Horizon:
        """What had expired at a moment at which `seen` is the newest that was there. O(log blocks + block)."""
        if not seen.records:
            return NOTHING
        if as_of.time_ms is not None:
            return self.horizon_by(min(as_of.time_ms, _now_ms()))
        return self.horizon_by(next(self._records.history().records(seen.records - 1, 1)).time_ms)

    def _move(self, oldest_ms: int) -> None:
        """Move on to the first record that is not older than that."""
        start = self._found.horizon
        if not start.records or not self._walk(start, oldest_ms, STEPS):
            self._walk(max(start, self._records.history().block_since(oldest_ms)), oldest_ms)

    def _walk(self, start: Horizon, oldest_ms: int, steps: int | None = None) -> bool:
        """Walk there from a horizon, unless that takes more than so many steps: then say no."""
        sequence, place = start
        for at, end, frame in self._records.chain.records(place, self._records.end):
            if frame.time_ms >= oldest_ms:
                self._found = _Found(Horizon(sequence, at), frame.time_ms + self.ttl_ms + 1)
                return True
            sequence, place = sequence + 1, end
            if steps is not None and sequence == start.records + steps:
                return False
        self._found = _Found(Horizon(sequence, place), 0)
        return True


def _now_ms() -> int:
    return time_ns() // 1_000_000
