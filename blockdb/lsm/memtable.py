"""The memtable: the newest records, in commit order, and in key order when somebody asks for that."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from itertools import count
from typing import Final

from blockdb.lsm.lazy_order import LazyOrder
from blockdb.types import REDACTED

RECORD_OVERHEAD_BYTES: Final = 160
"""What a record costs in memory beside its bytes: two objects, a dictionary entry, a place."""


class Memtable(LazyOrder[bytes]):
    """Records from `first_sequence` on, and the seals that were written among them.

    One thread at a time appends (the engine's write lock sees to that); any number read meanwhile. A write only
    appends: `index` has the values, in commit order, and `places` where the records are. Who finds a key there finds
    its place too. The order of keys, and their ordinals, are made when somebody asks for them, and kept.
    """

    def __init__(self, first_sequence: int, first_block: int, first_place: int) -> None:
        super().__init__()
        self.first_sequence = first_sequence
        self.first_block = first_block
        self.first_place = first_place
        self.places = array("Q")
        self.seals = array("Q")
        self.size_bytes = 0
        """About what the memtable takes of memory."""
        self.allowed_bytes = 0
        """How far it may grow before its writer asks for more."""
        self._ordinals: dict[bytes, int] = {}

    @property
    def data_bytes(self) -> int:
        """Keys and values."""
        return self.size_bytes - len(self.places) * RECORD_OVERHEAD_BYTES

    def append(self, key: bytes, value: bytes, place: int) -> None:
        """Add a record that is not there yet. O(1)."""
        self.places.append(place)
        self.size_bytes += len(key) + len(value) + RECORD_OVERHEAD_BYTES
        self.index[key] = value

    def extend(self, records: dict[bytes, bytes], places: array[int], data_bytes: int) -> None:
        """Add many records, values by keys, none of them there yet; a reader sees all or none. O(n).

        They have `data_bytes` of keys and values together.
        """
        self.places.extend(places)
        self.size_bytes += data_bytes + len(records) * RECORD_OVERHEAD_BYTES
        self.index.update(records)  # a dictionary has the keys' hashes: that takes half the time of pairs

    def redact(self, key: bytes) -> None:
        """Forget the value of a key, if it is here; what it took of memory is counted on. O(1)."""
        if key in self.index:
            self.index[key] = REDACTED

    def keys(self) -> list[bytes]:
        """The keys in commit order. O(n)."""
        return list(self.index)

    def ordinals(self) -> Mapping[bytes, int]:
        """Which of the records each key has, counted from 0 in commit order. O(those that came since it was asked).

        Most memtables are never asked: a read that wants no more than a value has no need of it.
        """
        with self._ordering:
            known = len(self._ordinals)
            if known < len(self.index):
                self._ordinals.update(zip(self.keys_after(known), count(known)))  # one has no end
            return self._ordinals

    def place_of(self, key: bytes) -> int:
        """The place of the record of a key that is here. O(1) amortised."""
        return self.places[self.ordinals()[key]]

    def has_between(self, key: bytes, low: int, high: int) -> bool:
        """Whether the record of a key that is here lies at `low` or behind it, and before `high`. O(1) amortised."""
        places = self.places
        return (low <= places[0] and places[-1] < high) or low <= self.place_of(key) < high
