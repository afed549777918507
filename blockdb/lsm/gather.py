"""Records whose places are known, gathered into columns with numpy: no walk along the chain, no loop over records.

For processes that help, as `columns`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, RECORD
from blockdb.format.gather import HEADER, are_intact, everywhere
from blockdb.format.place import OFFSET_BITS, OFFSET_MASK, PLACE_MASK, place_of
from blockdb.format.record import BODY_HEADER_BYTES, HEADER_BYTES, KINDS
from blockdb.format.table import FINGERPRINT_MASK, FINGERPRINT_SHIFT
from blockdb.lsm.columns import Columns, Lengths, Numbers, Ordinals, homes_of
from blockdb.lsm.table import Table

Mapped = Callable[[int], tuple[Buffer, int]]
"""Gives the bytes of a chain file by its number, and where its commits end."""

_KINDS: Final = np.array([kind << 8 | RECORD for kind in KINDS], np.uint16)

_FRAMES: Final = 1 << 16
_PIECE_RECORDS: Final = 1000
_PIECE_BYTES: Final = 256 * 1024
"""So many headers are looked at together, and so many records, which are in the processor's cache then."""

_FEWEST: Final = 16
"""Fewer records of one size are read one by one."""


def gather(columns: Columns, places: Numbers, mapped: Mapped, *, is_checked: bool) -> Ordinals:
    """Add the keys of the records at these places, in an order of its own, and return that: ordinals of `places`.

    Records are checked as a whole, unless the caller has a check for keys and says so by `is_checked`: only those are
    read then. O(bytes). Raises ValueError where there is no record, or a damaged one.
    """
    numbers = places >> np.uint64(OFFSET_BITS)
    offsets = (places & np.uint64(OFFSET_MASK)).view(np.int64)
    order = [np.zeros(0, np.int64)]
    for number in range(int(numbers.min(initial=1 << OFFSET_BITS)), int(numbers.max(initial=0)) + 1):
        buffer, stop = mapped(number)
        there = np.flatnonzero(numbers == number)
        for first in range(0, len(there), _FRAMES):
            rows = there[first : first + _FRAMES]
            frames = _Frames(buffer, offsets[rows], stop)
            if not is_checked:
                frames.check()
            for some, keys in frames.read_keys():
                columns.extend(keys, offsets[rows[some]], place_of(number, 0), frames.lengths[some])
                order.append(rows[some])
    return np.concatenate(order)


class _Frames:
    """The records at some offsets of a chain file, by their headers. Raises ValueError where one is not there."""

    def __init__(self, buffer: Buffer, offsets: Ordinals, stop: int) -> None:
        self._buffer = buffer
        self._offsets = offsets
        stop = min(stop, len(buffer))
        if int(offsets.max()) + HEADER_BYTES > stop:
            raise ValueError("there is no record at one of the places")
        headers = everywhere(buffer, HEADER_BYTES)[offsets].view(HEADER)
        self._checks: Numbers = headers["check"]
        self.lengths: Lengths = headers["key"]
        self._sizes = self.lengths + headers["content"].astype(np.int64)
        is_record = (
            np.isin(headers["kind"], _KINDS) & (self.lengths > 0) & (offsets + HEADER_BYTES + self._sizes <= stop)
        )
        if not is_record.all():
            raise ValueError("there is no record at one of the places")

    def check(self) -> None:
        """Raise ValueError unless all of them are intact. O(bytes)."""
        for rows, bodies in self._rows(self._offsets + CHECK_BYTES, self._sizes + BODY_HEADER_BYTES):
            if not are_intact(self._checks[rows], bodies):
                raise ValueError("the check of a record does not match its bytes")

    def read_keys(self) -> Iterator[tuple[Ordinals, list[bytes]]]:
        """Their keys, those of one length together, and which ones these are."""
        return self._rows(self._offsets + HEADER_BYTES, self.lengths)

    def _rows(self, starts: Ordinals, sizes: Any) -> Iterator[tuple[Ordinals, list[bytes]]]:
        """So many bytes from each offset on, those of one size together, some at a time."""
        for alike in _alike(sizes):
            size = int(sizes[alike[0]])
            count = max(1, min(_PIECE_RECORDS, _PIECE_BYTES // size))
            for first in range(0, len(alike), count):
                rows = alike[first : first + count]
                if len(rows) < _FEWEST:
                    yield rows, [self._buffer[start : start + size] for start in starts[rows].tolist()]
                else:
                    yield rows, everywhere(self._buffer, size)[starts[rows]].tolist()


def _alike(sizes: Any) -> list[Ordinals]:
    """The ordinals of those that have the same size, for each size. O(n) where sizes have 16 bits."""
    if sizes.min() == sizes.max():
        return [np.arange(len(sizes))]
    short = sizes if int(sizes.max()) >= 1 << 16 else sizes.astype(np.uint16)
    order = np.argsort(short, kind="stable")
    ordered = short[order]
    return np.split(order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1)


def gather_table(columns: Columns, table: Table, mapped: Mapped) -> None:
    """Add the keys of a table, all of whose pages are checked, in their order if they have one length.

    Of each record the key is read, and held against the table: it must lead to its place from there. That finds all
    damage to keys but one in four billion. O(n). Raises Corruption, or ValueError where a key is another one.
    """
    slots = np.frombuffer(table.order(), np.uint32).astype(np.int64)
    every = np.frombuffer(table.words(0, table.header.slots), np.uint64)
    words = every[slots]
    first = len(columns.hashes)
    order = gather(columns, words & np.uint64(PLACE_MASK), mapped, is_checked=True)
    hashes = np.frombuffer(columns.hashes, np.uint64)[first:]
    words, slots = words[order], slots[order]
    homes = homes_of(hashes, table.header.home_slots).view(np.int64)
    is_empty = every == 0
    empty_before = np.cumsum(is_empty) - is_empty
    leads = (hashes & np.uint64(FINGERPRINT_MASK)) == words >> np.uint64(FINGERPRINT_SHIFT)
    leads &= (homes <= slots) & (empty_before[homes] == empty_before[slots])  # where a search would end before
    if not leads.all():
        raise ValueError("a record has another key than the table was built for")
