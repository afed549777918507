"""Asking a table for many records of the chain at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from struct import Struct
from struct import error as StructError
from typing import Final

from xxhash import xxh3_64_intdigest

from blockdb.audit.columns import FilterBits, Numbers, Positions, homes_of, numbers, slots_of, words_of
from blockdb.audit.doubt import Doubt
from blockdb.audit.tables import TableAudit
from blockdb.format.buffer import Buffer
from blockdb.format.place import OFFSET_BITS, OFFSET_MASK
from blockdb.format.record import HEADER_BYTES

_KEY_BYTES: Final = Struct("<12xH")
"""The length of the key in the frame of a record."""


class Lookups:
    """The lookups in one table that an audit of a stretch of the chain makes."""

    def __init__(self, table: TableAudit, marks: Numbers) -> None:
        """`marks` has a word for each slot: what `ask` is to write where a record was found. Raises Doubt."""
        self._words = numbers(table.words)
        self._marks = marks
        self._home_slots = table.header.home_slots
        self._filter = FilterBits(table.filter)
        if not table.header.home_slots < table.header.slots < 1 << 32:
            raise Doubt

    def ask(self, hashes: Numbers, places: Positions, marks: Numbers) -> None:
        """The chain has records at these places whose keys have these hashes: lookups must come to them. O(n).

        Raises Doubt where one does not, and where the table's Bloom filter denies one.
        """
        homes = homes_of(hashes, self._home_slots)
        self._marks[slots_of(self._words, homes, words_of(hashes, places))] = marks
        if not self._filter.has(hashes):
            raise Doubt


class Tail:
    """The records that are in no table yet. No two have the same key, nor has one the key of a record in a table.

    The keys are kept in memory, as the writer keeps them.
    """

    def __init__(self, tables: Sequence[TableAudit], segments: Sequence[Buffer]) -> None:
        self._tables = tables
        self._segments = segments
        self.keys: set[bytes] = set()
        self._taken: dict[int, list[Sequence[bytes]]] = {}
        """The same by the places where their stretches begin."""

    def take(self, stretch: int, keys: Sequence[bytes], places: Sequence[int]) -> None:
        """See the next records, of the stretch that begins at a place. O(n · tables). Raises Doubt."""
        fresh = set(keys)
        if len(fresh) != len(keys) or not fresh.isdisjoint(self.keys):
            raise Doubt
        self.keys |= fresh
        self._taken.setdefault(stretch, []).append(keys)
        hashes = list(map(xxh3_64_intdigest, keys))
        for table in self._tables:
            for key, place in compress(zip(keys, places, strict=True), map(table.bloom.__contains__, hashes)):
                if table.earlier(key, place, lambda place: keys_at(self._segments, [place])[0]):
                    raise Doubt

    def forget(self, place: int) -> None:
        """Have seen no records from this place on, where a stretch begins."""
        for stretch in [stretch for stretch in self._taken if stretch >= place]:
            self.keys.difference_update(*self._taken.pop(stretch))


def keys_at(segments: Sequence[Buffer], places: Sequence[int]) -> list[bytes]:
    """The keys of the records at these places; their frames are checked elsewhere. O(n). Raises Doubt."""
    length_at = _KEY_BYTES.unpack_from
    try:
        frames = [(segments[place >> OFFSET_BITS], (place & OFFSET_MASK)) for place in places]
        lengths = [length_at(buffer, offset)[0] for buffer, offset in frames]
    except (IndexError, StructError):
        raise Doubt from None
    return [
        buffer[offset + HEADER_BYTES : offset + HEADER_BYTES + length]
        for (buffer, offset), length in zip(frames, lengths, strict=True)
    ]
