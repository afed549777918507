"""Reading a table: from a key to its place, and keys in order. Every page is checked before it is believed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from blockdb.errors import Corruption
from blockdb.format.buffer import Buffer
from blockdb.format.bulk import is_bulk
from blockdb.format.frame import BadFrame
from blockdb.format.pages import HEADER_BYTES, PAGE_BYTES
from blockdb.format.place import PLACE_MASK
from blockdb.format.table import (
    FINGERPRINT_MASK,
    FINGERPRINT_SHIFT,
    HASH_SHIFT,
    ORDER_BYTES,
    WORD_BYTES,
    decode_header,
)
from blockdb.lsm.bloom import Filter, load
from blockdb.lsm.merge import Item
from blockdb.lsm.paged_file import PagedFile

_SLOTS_PER_PAGE_SHIFT = 9
assert PAGE_BYTES == 8 << _SLOTS_PER_PAGE_SHIFT


FENCE_DISTANCE: Final = 128
"""One key in so many is kept in memory once a search has come by it."""

GUESSES: Final = 4
"""So often it is guessed where a key is between two fences."""

_NUMBER_BYTES: Final = 24
_HIGHEST: Final = (1 << 8 * _NUMBER_BYTES) - 1


class Records(Protocol):
    """The chain, as far as tables read it."""

    def item_at(self, place: int) -> Item:
        """The key and the value of the record at a place."""

    def items_at(self, places: Sequence[int]) -> list[Item]:
        """The same for many places."""


class Table(PagedFile):
    """A table file in memory (mapped), with the chain that its places point into.

    `path` is for messages only. Raises Corruption from every method when a page that it needs is damaged; the
    constructor raises it when header or filter are.
    """

    def __init__(self, buffer: Buffer, path: str, records: Records) -> None:
        self.item_at = records.item_at
        self.items_at = records.items_at
        self._fences: dict[int, bytes] = {}
        try:
            header = decode_header(buffer)
        except BadFrame as error:
            raise Corruption(path, 0, str(error)) from None
        super().__init__(buffer, path, header, "table")
        self.header = header
        view = memoryview(buffer)
        self._words = view[HEADER_BYTES : header.order_offset].cast("Q")
        self._order = view[header.order_offset : header.order_offset + header.records * ORDER_BYTES].cast("I")
        self._seals = view[header.seals_offset : header.filter_offset].cast("Q")
        self._home_slots = header.home_slots
        self._order_offset = header.order_offset
        self._size = header.records
        self.filter = self._load_filter()
        """The hashes of its keys: where it says no, `find` need not be asked."""
        self.hits = 0
        self.false_positives = 0
        """How often `find` found the key, and how often it did not though the filter had let it through."""
        self.on_miss: Callable[[], None] = lambda: None
        """Called where it did not."""

    def __len__(self) -> int:
        return self._size

    @property
    def tier(self) -> int:
        """0 for a flushed memtable, one more than its parts for a merged one."""
        return self.header.tier

    def find(self, key: bytes, key_hash: int) -> tuple[int, bytes] | None:
        """The place of the key's record and its value, or None where the table does not have the key. O(1)."""
        slot = (key_hash >> HASH_SHIFT) * self._home_slots >> HASH_SHIFT
        fingerprint = key_hash & FINGERPRINT_MASK
        words, checked, item_at = self._words, self._checked, self.item_at
        while True:
            if not checked[slot >> _SLOTS_PER_PAGE_SHIFT]:
                self._check_page(slot >> _SLOTS_PER_PAGE_SHIFT)
            found = words[slot]
            if not found:
                self.false_positives += 1
                self.on_miss()
                return None
            if found >> FINGERPRINT_SHIFT == fingerprint:
                place = found & PLACE_MASK
                found_key, value = item_at(place)
                if found_key == key:
                    self.hits += 1
                    return place, value
            slot += 1

    def first_of(self, keys: Sequence[bytes], hashes: Sequence[int]) -> bytes | None:
        """The first of these keys that the table has, or None. O(n), by the filter alone for most keys."""
        filter_ = self.filter
        for ordinal, hashed in enumerate(hashes):
            if hashed in filter_ and self.find(keys[ordinal], hashed) is not None:
                return keys[ordinal]
        return None

    def places(self, first: int, stop: int) -> Sequence[int]:
        """The places of the records at these positions of the key order. O(stop - first)."""
        first, stop = max(first, 0), min(stop, len(self))
        if first >= stop:
            return []
        offset = self._order_offset
        self._check_range(offset + first * ORDER_BYTES, offset + stop * ORDER_BYTES)
        checked = self._checked
        if is_bulk(stop - first):
            from blockdb.format.gather import places_at  # here: see `bulk`

            return places_at(self._order[first:stop], self._words, checked, _SLOTS_PER_PAGE_SHIFT, self._check_page)
        slots = self._order[first:stop].tolist()
        if 0 in checked:
            for slot in slots:
                if not checked[slot >> _SLOTS_PER_PAGE_SHIFT]:
                    self._check_page(slot >> _SLOTS_PER_PAGE_SHIFT)
        return [word & PLACE_MASK for word in map(self._words.__getitem__, slots)]

    def window(self, first: int, stop: int) -> list[Item]:
        """The records at these positions of the key order. O(stop - first)."""
        return self.items_at(self.places(first, stop))

    def position(self, key: bytes) -> int:
        """How many keys are smaller than `key`. O(log n)."""
        fences = range(0, self._size, FENCE_DISTANCE)
        fence = bisect_left(fences, key, key=self._fence)
        if not fence:
            return 0
        below = fences[fence - 1]
        above = min(below + FENCE_DISTANCE, self._size)
        return self._position_between(below, above, key) if above - below > 1 else above

    def _position_between(self, below: int, above: int, key: bytes) -> int:
        """The same where the key at `below` is smaller, and the one at `above`, if there is one, is not.

        Guessed by how far the key is between those two, as numbers, which is twice as quick as halving where keys are
        spread evenly; halved where that did not help.
        """
        low, high, guesses = below + 1, above, GUESSES
        wanted, least = _number(key), _number(self._fence(below))
        most = _number(self._fence(above)) if above < self._size else _HIGHEST
        while low < high:
            middle = (low + high) // 2
            if guesses and least < most:
                guesses -= 1
                middle = min(low + (high - low) * (wanted - least) // (most - least), high - 1)
            found = self._key_at(middle)
            if found < key:
                low, least = middle + 1, _number(found)
            else:
                high, most = middle, _number(found)
        return low

    def _fence(self, position: int) -> bytes:
        key = self._fences.get(position)
        if key is None:
            key = self._fences[position] = self._key_at(position)
        return key

    def _key_at(self, position: int) -> bytes:
        checked = self._checked
        page = (self._order_offset - HEADER_BYTES + position * ORDER_BYTES) // PAGE_BYTES
        if not checked[page]:
            self._check_page(page)
        slot = self._order[position]
        if not checked[slot >> _SLOTS_PER_PAGE_SHIFT]:
            self._check_page(slot >> _SLOTS_PER_PAGE_SHIFT)
        return self.item_at(self._words[slot] & PLACE_MASK)[0]

    def words(self, first: int, stop: int) -> memoryview:
        """The slots from one number to another, every page of them checked. O(stop - first)."""
        if first < stop:
            self._check_range(HEADER_BYTES + first * WORD_BYTES, HEADER_BYTES + stop * WORD_BYTES)
        return self._words[first:stop]

    def order(self) -> memoryview:
        """The slots in use in the order of their keys, every page of them checked. O(n)."""
        self._check_range(self._order_offset, self._order_offset + self._size * ORDER_BYTES)
        return self._order

    def seals(self) -> list[int]:
        """The places of the block seals among the table's records, in order."""
        self._check_range(self.header.seals_offset, self.header.filter_offset)
        return self._seals.tolist()

    def seal(self, ordinal: int) -> int:
        """The place of the seal of block `header.first_block + ordinal`. O(1)."""
        offset = self.header.seals_offset + ordinal * 8
        self._check_range(offset, offset + 8)
        return self._seals[ordinal]

    def close(self) -> None:
        """Let go of the buffer. The table must not be used again."""
        for view in (self._words, self._order, self._seals):
            view.release()

    def _load_filter(self) -> Filter:
        header = self.header
        self._check_range(header.filter_offset, header.checks_offset)
        return load(self.buffer[header.filter_offset : header.checks_offset])


def _number(key: bytes) -> int:
    """The first bytes of a key as a number: not smaller than that of any smaller key."""
    return int.from_bytes(key[:_NUMBER_BYTES].ljust(_NUMBER_BYTES, b"\0"))
