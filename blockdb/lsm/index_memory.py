"""The newest entries of an index, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from blockdb.lsm.index_file import Entry
from blockdb.lsm.lazy_order import LazyOrder

ENTRY_OVERHEAD_BYTES: Final = 200
"""What an entry costs in memory beside its bytes: two objects, a dictionary entry, a list entry."""


class IndexMemory(LazyOrder[int]):
    """Entries with their places, from `first_place` of the chain on. `index` has them in commit order.

    One thread at a time adds (the write lock sees to that); any number read meanwhile.
    """

    def __init__(self, first_sequence: int, first_place: int) -> None:
        super().__init__()
        self.first_sequence = first_sequence
        self.first_place = first_place
        self.size_bytes = 0
        """About what it takes of memory."""

    def add(self, entries: Sequence[bytes], place: int) -> None:
        """Add the entries of a record, none of which is there yet. O(n)."""
        for entry in entries:
            self.index[entry] = place
            self.size_bytes += ENTRY_OVERHEAD_BYTES + len(entry)

    def update(self, entries: Mapping[bytes, int]) -> None:
        """Add many entries with their places, none of which is there yet. O(n)."""
        self.index.update(entries)
        self.size_bytes += sum(map(len, entries)) + ENTRY_OVERHEAD_BYTES * len(entries)

    def extend(self, entries: Iterable[Entry]) -> None:
        """The same for pairs of them. O(n)."""
        self.update(dict(entries))

    def items(self, keys: list[bytes]) -> list[Entry]:
        """Entries with their places."""
        index = self.index
        return [(key, index[key]) for key in keys]

    def without(self, places: frozenset[int] | set[int]) -> IndexMemory:
        """The same without the entries of some records. O(n)."""
        other = IndexMemory(self.first_sequence, self.first_place)
        other.extend((entry, place) for entry, place in list(self.index.items()) if place not in places)
        return other
