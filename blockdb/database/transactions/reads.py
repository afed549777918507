"""What transactions have read that others may change, and whether they have.

For commits that hold no locks where they are decided: keys are written once, so a key that was there stays as it was,
and what can change is that a key was not there, or which keys a range has. Both are told by the number of records that
the collection had then: whatever was stored since has a number beyond it. (H. T. Kung, J. T. Robinson, "On optimistic
methods for concurrency control", 1981.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final, NamedTuple

from blockdb.storage.history import History
from blockdb.storage.sources import EVERYTHING, NOTHING
from blockdb.storage.store import Store
from blockdb.storage.view import Range

Edges = tuple[bytes, bytes | None]
"""The first key of a range, and the first one behind it; None: there is none."""

WALKED: Final = 1_000
"""So many records are looked through one by one; of more it is asked which of a range's keys are among them."""


EVERYTHING_OF_IT: Final[Edges] = (b"", None)
MOST: Final = 10_000
"""Whoever has read more of a collection than so many keys and ranges is taken to have read all of it."""


class Read(NamedTuple):
    """What was read of a collection when it had so many records."""

    collection: bytes
    """The 16 bytes of its UUID."""
    records: int
    keys: tuple[bytes, ...]
    """Those that were not there."""
    ranges: tuple[Edges, ...]
    """Those that were looked through."""


class Reads:
    """What a transaction has read of one collection. Of what it reads twice, the first time counts."""

    __slots__ = ("_keys", "_ranges")

    def __init__(self) -> None:
        self._keys: dict[bytes, int] = {}
        self._ranges: dict[Edges, int] = {}

    def add_absent(self, key: bytes, records: int) -> None:
        """A key was not there, when there were at least so many records."""
        if EVERYTHING_OF_IT not in self._ranges:
            self._keys.setdefault(key, records)
            self._limit()

    def add_range(self, start: bytes | None, stop: bytes | None, records: int) -> None:
        """A range was looked through, from a key on and before another."""
        if EVERYTHING_OF_IT not in self._ranges:
            self._ranges.setdefault((start or b"", stop), records)
            self._limit()

    def _limit(self) -> None:
        if len(self._keys) + len(self._ranges) > MOST:
            first = min((*self._keys.values(), *self._ranges.values()))
            self._keys, self._ranges = {}, {EVERYTHING_OF_IT: first}

    def of(self, collection: bytes) -> Iterator[Read]:
        """All of it, by the number of records. O(n log n)."""
        for records in sorted({*self._keys.values(), *self._ranges.values()}):
            keys = tuple(sorted(key for key, since in self._keys.items() if since == records))
            ranges = tuple(edges for edges, since in self._ranges.items() if since == records)
            yield Read(collection, records, keys, ranges)


class Newer:
    """The records of a collection from one number on and before another, as whoever has read the others sees them."""

    def __init__(self, store: Store, first: int, stop: int) -> None:
        self._store = store
        self._first = first
        self._stop = stop

    def has_any(self, keys: Iterable[bytes], ranges: Iterable[Edges]) -> bool:
        """Whether one of them has one of these keys, or one of a range.

        O(log n) a key; of a range O(log n) and the records or the keys of the range, whichever are fewer.
        """
        if self._stop <= self._first:
            return False
        return any(map(self._has, keys)) or any(self._has_in(Range(*edges)) for edges in ranges)

    @cached_property
    def _history(self) -> History:
        return self._store.history()

    @cached_property
    def _places(self) -> range:
        """Places grow in commit order."""
        history = self._history
        return range(history.horizon_at(self._first).place, history.horizon_at(self._stop).place)

    def _has(self, key: bytes) -> bool:
        found = self._store.view.find(key)
        return found is not None and found[0] in self._places

    def _has_in(self, range_: Range) -> bool:
        view, start, stop = self._store.view, range_.start or b"", range_.stop
        count = self._stop - self._first
        if count > WALKED and count > view.count(range_):
            return any(place in self._places for place in view.places(range_, NOTHING, EVERYTHING))
        records = self._history.records(self._first, count)
        return any(start <= record.key and (stop is None or record.key < stop) for record in records)
