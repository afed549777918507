"""Index files: built from entries in order, read by value and by position. A page is checked before its first use."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate, pairwise

from blockdb.errors import Corruption
from blockdb.format.buffer import Buffer
from blockdb.format.frame import BadFrame
from blockdb.format.index import (
    END_BYTES,
    GROUP,
    PLACE_BYTES,
    IndexHeader,
    decode_header,
    encode,
    padding,
    place_in,
)
from blockdb.format.pages import HEADER_BYTES
from blockdb.lsm.bloom import Filter, filter_of, key_hash, load, save
from blockdb.lsm.paged_file import PagedFile

Entry = tuple[bytes, int]
"""An entry and the place of its record."""


def build(description: IndexHeader, runs: Iterable[list[Entry]]) -> bytes:
    """The file of the entries of `runs` (in order, over all of them).

    `description` gives what the file is about; its sizes are filled in here. O(n), and about 60 bytes of memory an
    entry.
    """
    data, lengths, places, hashes = bytearray(), array("I"), array("Q"), array("Q")
    fences: list[bytes] = []
    for run in runs:
        entries = [entry for entry, _ in run]
        fences += entries[-len(lengths) % GROUP :: GROUP]
        data += b"".join(entries)
        lengths.extend(map(len, entries))
        if description.unique:
            places.extend([place for _, place in run])
            hashes.extend(map(key_hash, entries))
        else:
            hashes.extend([key_hash(entry[:-PLACE_BYTES]) for entry in entries])
    bloom = save(filter_of(hashes, len(hashes)))
    ends, fence_bytes = array("I", accumulate(lengths)), sum(map(len, fences))
    fence_ends = array("I", accumulate(map(len, fences)))
    header = description._replace(
        entries=len(ends), entry_bytes=len(data), fence_bytes=fence_bytes, filter_bytes=len(bloom)
    )
    parts = (data, padding(len(data)), ends, padding(END_BYTES * len(ends)), places, b"".join(fences))
    return encode(header, b"".join((*parts, padding(fence_bytes), fence_ends, bloom)))


class IndexFile(PagedFile):
    """An index file in memory (mapped). `path` is for messages only.

    Raises Corruption from every method when a page that it needs is damaged; the constructor raises it when header or
    filter are.
    """

    def __init__(self, buffer: Buffer, path: str) -> None:
        try:
            header = decode_header(buffer)
        except BadFrame as error:
            raise Corruption(path, 0, str(error)) from None
        super().__init__(buffer, path, header, "index file")
        self.header = header
        view = memoryview(buffer)
        size = header.entries
        self._ends = view[header.ends_offset : header.ends_offset + size * END_BYTES].cast("I")
        self._places = view[header.places_offset : header.fences_offset].cast("Q")
        self._fences: list[bytes] | None = None
        self._checked_groups = bytearray(header.fences)
        self._unique = bool(header.unique)
        self._check_range(header.filter_offset, header.checks_offset)
        self.filter: Filter = load(buffer[header.filter_offset : header.checks_offset])
        """The hashes of the values of its entries: where it says no, the file need not be asked for a value."""

    def __len__(self) -> int:
        return self.header.entries

    @property
    def tier(self) -> int:
        """0 for what was in memory, one more than its parts for a merged one."""
        return self.header.tier

    def find(self, entry: bytes) -> int | None:
        """Of a unique index: the place of the record with this entry, or None. O(log n)."""
        position = self.position(entry)
        if position >= len(self) or self.entry_at(position) != entry:
            return None
        return self._places_at(position, position + 1)[0]

    def position(self, key: bytes) -> int:
        """How many entries are smaller. O(log n)."""
        fence = bisect_left(self._fences or self._load_fences(), key)
        if not fence:
            return 0
        if not self._checked_groups[fence - 1]:
            self._check_group(fence - 1)
        buffer, ends = self.buffer, self._ends
        low, high = (fence - 1) * GROUP + 1, min(fence * GROUP, len(ends))
        while low < high:  # `bisect` would call a function for each
            middle = (low + high) >> 1
            if buffer[HEADER_BYTES + ends[middle - 1] : HEADER_BYTES + ends[middle]] < key:
                low = middle + 1
            else:
                high = middle
        return low

    def places_of(self, values: bytes) -> list[int]:
        """Of an index that is not unique: the places of the records with exactly these values, in commit order.

        O(log n + found).
        """
        buffer, ends, found = self.buffer, self._ends, list[int]()
        for at in range(self.position(values), len(ends)):
            if not self._checked_groups[at // GROUP]:
                self._check_group(at // GROUP)
            start = HEADER_BYTES + (ends[at - 1] if at else 0)
            entry = buffer[start : HEADER_BYTES + ends[at]]
            if entry[:-PLACE_BYTES] != values:
                break
            found.append(place_in(entry))
        return found

    def entry_at(self, position: int) -> bytes:
        """The entry at a position of the order. O(1)."""
        return self._part(position, position + 1)[0]

    def window(self, first: int, stop: int) -> list[Entry]:
        """The entries at these positions of the order, and the places of their records. O(stop - first)."""
        first, stop = max(first, 0), min(stop, len(self))
        if first >= stop:
            return []
        data, bounds = self._part(first, stop)
        entries = [data[start:end] for start, end in pairwise(bounds)]
        if not self._unique:
            return [(entry, place_in(entry)) for entry in entries]
        return list(zip(entries, self._places_at(first, stop), strict=True))

    def _part(self, first: int, stop: int) -> tuple[bytes, list[int]]:
        """The bytes of the entries at these positions, and where in them each begins, and the last one ends."""
        before = max(first - 1, 0)
        offset = self.header.ends_offset
        self._check_range(offset + before * END_BYTES, offset + stop * END_BYTES)
        bounds = self._ends[before:stop].tolist()
        if not first:
            bounds.insert(0, 0)
        start, end = HEADER_BYTES + bounds[0], HEADER_BYTES + bounds[-1]
        self._check_range(start, end)
        base = bounds[0]
        return self.buffer[start:end], [bound - base for bound in bounds]

    def _check_group(self, number: int) -> None:
        """Have every page checked that has a part of the entries between two fences."""
        self._part(number * GROUP, min((number + 1) * GROUP, len(self)))
        self._checked_groups[number] = 1

    def _places_at(self, first: int, stop: int) -> list[int]:
        offset = self.header.places_offset
        self._check_range(offset + first * PLACE_BYTES, offset + stop * PLACE_BYTES)
        return self._places[first:stop].tolist()

    def close(self) -> None:
        """Let go of the buffer. The file must not be used again."""
        for view in (self._ends, self._places):
            view.release()

    def _load_fences(self) -> list[bytes]:
        header = self.header
        if not header.entries:
            return []
        self._check_range(header.fences_offset, header.filter_offset)
        data = self.buffer[header.fences_offset : header.fences_offset + header.fence_bytes]
        ends = memoryview(self.buffer[header.fence_ends_offset : header.filter_offset]).cast("I").tolist()
        self._fences = [data[start:stop] for start, stop in pairwise((0, *ends))]
        return self._fences
