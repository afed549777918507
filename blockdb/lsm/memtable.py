"""The memtable: the newest records, in commit order, and in key order when somebody asks for that."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import islice
from threading import Lock
from typing import Final

from sortedcontainers import SortedList

from blockdb.types import REDACTED

RECORD_OVERHEAD_BYTES: Final = 200
"""What a record costs in memory beside its bytes: two objects, a dictionary entry, two list entries."""


class Memtable:
    """Records from `first_sequence` on, and the seals that were written among them.

    One thread at a time appends (the engine's write lock sees to that); any number read meanwhile. A write only
    appends; the order of keys is made when a scan wants it, and kept until it is stale.
    """

    def __init__(self, first_sequence: int, first_block: int, first_place: int) -> None:
        self.first_sequence = first_sequence
        self.first_block = first_block
        self.first_place = first_place
        self.index: dict[bytes, int] = {}
        """Which of the records has a key, counted from 0 in commit order: also the order of the dictionary."""
        self.values: list[bytes] = []
        self.places = array("Q")
        self.seals = array("Q")
        self.size_bytes = 0
        """About what the memtable takes of memory."""
        self.allowed_bytes = 0
        """How far it may grow before its writer asks for more."""
        self._ordered: SortedList[bytes] = SortedList()
        self._ordering = Lock()

    def __len__(self) -> int:
        return len(self.index)

    @property
    def data_bytes(self) -> int:
        """Keys and values."""
        return self.size_bytes - len(self.places) * RECORD_OVERHEAD_BYTES

    def append(self, key: bytes, value: bytes, place: int) -> None:
        """Add a record that is not there yet. O(1)."""
        places = self.places
        self.values.append(value)
        places.append(place)
        self.size_bytes += len(key) + len(value) + RECORD_OVERHEAD_BYTES
        self.index[key] = len(places) - 1

    def extend(self, keys: Sequence[bytes], values: Sequence[bytes], places: Sequence[int]) -> None:
        """Add many records, none of them there yet; a reader sees all or none. O(n)."""
        first = len(self.places)
        self.values.extend(values)
        self.places.extend(places)
        self.size_bytes += sum(map(len, keys)) + sum(map(len, values)) + len(keys) * RECORD_OVERHEAD_BYTES
        self.index.update(zip(keys, range(first, first + len(keys)), strict=True))

    def redact(self, key: bytes) -> None:
        """Forget the value of a key, if it is here; what it took of memory is counted on. O(1)."""
        ordinal = self.index.get(key)
        if ordinal is not None:
            self.values[ordinal] = REDACTED

    def keys(self) -> list[bytes]:
        """The keys in commit order. O(n)."""
        return list(self.index)

    # What blockdb.lsm.merge asks of a source.

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
            self._ordered.update(self._keys_after(len(self._ordered)))
        return self._ordered

    def _keys_after(self, count: int) -> list[bytes]:
        while True:
            try:
                return list(islice(self.index, count, None))
            except RuntimeError:  # a write came between the making of the iterator and its use
                continue
