"""Merging sorted sources (memtables and tables) that have no key in common.

Since nothing is ever overwritten, a key is in exactly one source: merging needs no rule for which copy wins.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Final, Generic, Protocol, TypeVar

V = TypeVar("V")
Item = tuple[bytes, bytes]
"""A key and its value."""

FIRST_WINDOW: Final = 16
LAST_WINDOW: Final = 512
"""A cursor fetches windows that grow from the first to the last size: short ranges are cheap, long ones quick."""

_key = itemgetter(0)


class Source(Protocol[V]):
    """Sorted keys, each with something, that can be reached by position."""

    def __len__(self) -> int:
        """How many items there are."""

    def position(self, key: bytes) -> int:
        """How many keys are smaller than `key`."""

    def window(self, first: int, stop: int) -> list[tuple[bytes, V]]:
        """The items at positions `first` to `stop - 1`, as far as there are any."""


class Cursor(ABC, Generic[V]):
    """Walks one source up or down, a window at a time; what was fetched and not yet taken waits in key order."""

    def __init__(self, reverse: bool, window: int = 0) -> None:
        """Walk up or down; the first window has `window` items, where it is known how many will be wanted."""
        self._reverse = reverse
        self._first = window
        self._size = FIRST_WINDOW
        self.waiting: list[tuple[bytes, V]] = []
        self.done = False

    @abstractmethod
    def fetch(self, size: int) -> list[tuple[bytes, V]]:
        """The next items, in key order, `size` of them unless the source ends."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, and more may come."""
        return not (self.waiting or self.done)

    def next_size(self) -> int:
        """How large the next window is to be; the one after it is larger."""
        size, self._first = self._first or self._size, 0
        self._size = min(self._size * 2, LAST_WINDOW)
        return size

    def receive(self, items: list[tuple[bytes, V]], size: int) -> None:
        """Have these items wait: the next window, which was to have `size` of them."""
        self.waiting = items
        self.done = len(items) < size

    def fill(self) -> None:
        """Fetch the next window."""
        size = self.next_size()
        self.receive(self.fetch(size), size)

    def take(self, bound: bytes | None) -> list[tuple[bytes, V]]:
        """Take what is not beyond `bound` in the direction of the walk; everything if there is no bound."""
        if bound is None:
            cut = 0 if self._reverse else len(self.waiting)
        else:
            cut = (bisect_left if self._reverse else bisect_right)(self.waiting, bound, key=_key)
        if self._reverse:
            taken, self.waiting = self.waiting[cut:], self.waiting[:cut]
        else:
            taken, self.waiting = self.waiting[:cut], self.waiting[cut:]
        return taken


class PositionCursor(Cursor[V]):
    """Walks a source whose positions stay what they are: a table."""

    def __init__(self, source: Source[V], at: int, reverse: bool, window: int = 0) -> None:
        super().__init__(reverse, window)
        self._source = source
        self._at = at

    def fetch(self, size: int) -> list[tuple[bytes, V]]:
        """The next items."""
        return self._source.window(*self.pass_by(size))

    def pass_by(self, size: int) -> tuple[int, int]:
        """Go on by `size` items, and say from which position to which that was."""
        at = self._at
        if self._reverse:
            self._at = max(at - size, 0)
            return self._at, at
        self._at = at + size
        return at, self._at


class Keyed(Protocol[V]):
    """Sorted keys that are reached by the key before them, since their positions move when others come."""

    def after(self, key: bytes, inclusive: bool, count: int) -> list[bytes]:
        """The next keys from `key` up, with or without itself, `count` at most."""

    def before(self, key: bytes | None, count: int) -> list[bytes]:
        """The last keys below `key`, or of all if there is none, `count` at most."""

    def items(self, keys: list[bytes]) -> list[tuple[bytes, V]]:
        """The keys with what they have."""


class KeyCursor(Cursor[V]):
    """Walks a source that grows from key to key: a memtable."""

    def __init__(self, source: Keyed[V], key: bytes | None, reverse: bool, window: int = 0) -> None:
        """Begin at `key` (itself included when walking up, left out when walking down), or at the end if it is None."""
        super().__init__(reverse, window)
        self._source = source
        self._key = key
        self._inclusive = True

    def fetch(self, size: int) -> list[tuple[bytes, V]]:
        """The next items."""
        if self._reverse:
            keys = self._source.before(self._key, size)
        else:
            keys = self._source.after(self._key or b"", self._inclusive, size)
        if keys:
            self._key, self._inclusive = keys[0 if self._reverse else -1], False
        return self._source.items(keys)


def split(sources: Sequence[Source[V]], place: int) -> list[int]:
    """Positions, one for each source, with the `place` smallest items of all before them. O(k² log² n)."""
    low = [0] * len(sources)
    high = [len(source) for source in sources]
    if place >= sum(high):
        return high
    while True:
        widest = max(range(len(sources)), key=lambda i: high[i] - low[i])
        if high[widest] <= low[widest]:
            return low
        middle = (low[widest] + high[widest]) // 2
        found = sources[widest].window(middle, middle + 1)
        if not found:
            return low
        at = [source.position(found[0][0]) for source in sources]
        smaller = sum(at)
        if smaller == place:
            return at
        if smaller < place:
            low = [max(pair) for pair in zip(low, at, strict=True)]
            low[widest] = middle + 1
        else:
            high = [min(pair) for pair in zip(high, at, strict=True)]


def fill_each(cursors: Sequence[Cursor[V]]) -> None:
    """Fetch the next windows of these cursors."""
    for cursor in cursors:
        cursor.fill()


def merge(
    cursors: Sequence[Cursor[V]],
    *,
    reverse: bool = False,
    fill: Callable[[Sequence[Cursor[V]]], None] = fill_each,
) -> Iterator[list[tuple[bytes, V]]]:
    """All items of all cursors, which walk in the same direction, in the order of that walk: a run at a time.

    `fill` is given those for which the next window is to be fetched.
    """
    end = 0 if reverse else -1
    while True:
        fill([cursor for cursor in cursors if cursor.is_empty])
        bounds = [cursor.waiting[end][0] for cursor in cursors if cursor.waiting and not cursor.done]
        bound = (max(bounds) if reverse else min(bounds)) if bounds else None
        runs = [run for cursor in cursors if (run := cursor.take(bound))]
        if not runs:
            return
        run = runs[0] if len(runs) == 1 else [item for run in runs for item in run]
        if reverse or len(runs) > 1:
            run.sort(key=_key, reverse=reverse)
        yield run
