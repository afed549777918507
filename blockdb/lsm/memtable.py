"""The memtable: the newest records, in commit order, and in key order when somebody asks for that."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

from blockdb.lsm.lazy_order import LazyOrder
from blockdb.types import REDACTED

RECORD_OVERHEAD_BYTES: Final = 200
"""What a record costs in memory beside its bytes: two objects, a dictionary entry, two list entries."""


class Memtable(LazyOrder):
    """Records from `first_sequence` on, and the seals that were written among them.

    One thread at a time appends (the engine's write lock sees to that); any number read meanwhile. A write only
    appends; the order of keys is made when a scan wants it, and kept until it is stale. `index` says which of the
    records has a key, counted from 0 in commit order.
    """

    def __init__(self, first_sequence: int, first_block: int, first_place: int) -> None:
        super().__init__()
        self.first_sequence = first_sequence
        self.first_block = first_block
        self.first_place = first_place
        self.values: list[bytes] = []
        self.places = array("Q")
        self.seals = array("Q")
        self.size_bytes = 0
        """About what the memtable takes of memory."""
        self.allowed_bytes = 0
        """How far it may grow before its writer asks for more."""

    @property
    def data_bytes(self) -> int:
        """Keys and values."""
        return self.size_bytes - len(self.places) * RECORD_OVERHEAD_BYTES

    def append(self, key: bytes, value: bytes, place: int) -> None:
        """Add a record that is not there yet. O(1)."""
        self.values.append(value)
        self.places.append(place)
        self.size_bytes += len(key) + len(value) + RECORD_OVERHEAD_BYTES
        self.index[key] = len(self.index)

    def extend(self, keys: Sequence[bytes], values: Sequence[bytes], places: array[int], data_bytes: int) -> None:
        """Add many records, none of them there yet; a reader sees all or none. O(n).

        They have `data_bytes` of keys and values together.
        """
        first = len(self.places)
        self.values.extend(values)
        self.places.extend(places)
        self.size_bytes += data_bytes + len(keys) * RECORD_OVERHEAD_BYTES
        self.index.update(zip(keys, range(first, first + len(keys)), strict=True))

    def redact(self, key: bytes) -> None:
        """Forget the value of a key, if it is here; what it took of memory is counted on. O(1)."""
        ordinal = self.index.get(key)
        if ordinal is not None:
            self.values[ordinal] = REDACTED

    def keys(self) -> list[bytes]:
        """The keys in commit order. O(n)."""
        return list(self.index)
