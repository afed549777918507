"""Keys in memory that come in any order, and are put in order when somebody asks for that."""

from __future__ import annotations

from itertools import islice
from threading import Lock
from typing import Generic, TypeVar

from sortedcontainers import SortedList

V = TypeVar("V")


class LazyOrder(Generic[V]):
    """A dictionary that only grows, and the order of its keys. One thread adds, any number read meanwhile."""

    def __init__(self) -> None:
        self.index: dict[bytes, V] = {}
        """What each key has, in the order in which they came."""
        self._ordered: SortedList[bytes] = SortedList()
        self._ordering = Lock()

    def __len__(self) -> int:
        return len(self.index)

    def position(self, key: bytes) -> int:
        """How many keys are smaller. O(log n)."""
        with self._ordering:
            return int(self._in_order().bisect_left(key))

    def window(self, first: int, stop: int) -> list[bytes]:
        """The keys at these positions of the order. O(stop - first + log n)."""
        with self._ordering:
            return list(self._in_order()[first:stop])

    def after(self, key: bytes, inclusive: bool, count: int) -> list[bytes]:
        """The next keys from `key` up, with or without itself, `count` at most. O(count + log n)."""
        with self._ordering:
            ordered = self._in_order()
            first = ordered.bisect_left(key) if inclusive else ordered.bisect_right(key)
            return list(ordered[first : first + count])

    def before(self, key: bytes | None, count: int) -> list[bytes]:
        """The last keys below `key`, or of all if there is none, `count` at most. O(count + log n)."""
        with self._ordering:
            ordered = self._in_order()
            stop = len(ordered) if key is None else ordered.bisect_left(key)
            return list(ordered[max(stop - count, 0) : stop])

    def _in_order(self) -> SortedList[bytes]:
        """All keys in order: O(n log n) at first, then O(m log n) for the m that came since."""
        if len(self._ordered) < len(self.index):
            self._ordered.update(self.keys_after(len(self._ordered)))
        return self._ordered

    def keys_after(self, first: int, stop: int | None = None) -> list[bytes]:
        """The keys that came from the `first` one on, counted from 0, before another one or all.

        O(n) for the keys before them or for those from there on, whichever are fewer.
        """
        while True:
            try:
                forwards, backwards = iter(self.index), reversed(self.index)
                after = len(self.index) - first  # in this order: it fails below if a write came between
                if first <= after:
                    return list(islice(forwards, first, stop))
                newest = list(islice(backwards, max(after, 0)))
            except RuntimeError:
                continue
            newest.reverse()
            return newest if stop is None else newest[: max(stop - first, 0)]
