"""Reading a table: from a key to its place, and keys in order. Every page is checked before it is believed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from blockdb.errors import Corruption
from blockdb.format.buffer import Buffer
from blockdb.format.frame import BadFrame
from blockdb.format.place import PLACE_MASK
from blockdb.format.table import (
    FINGERPRINT_MASK,
    FINGERPRINT_SHIFT,
    HASH_SHIFT,
    HEADER_BYTES,
    ORDER_BYTES,
    PAGE_BYTES,
    decode_header,
    is_page_intact,
)
from blockdb.lsm.bloom import Filter
from blockdb.lsm.merge import Item

_SLOTS_PER_PAGE_SHIFT = 9
assert PAGE_BYTES == 8 << _SLOTS_PER_PAGE_SHIFT


class Table:
    """A table file in memory (mapped), with the chain that its places point into.

    `item_at(place)` gives the key and value of the record there. `path` is for messages only. Raises Corruption from
    every method when a page that it needs is damaged; the constructor raises it when header or filter are.
    """

    def __init__(self, buffer: Buffer, path: str, item_at: Callable[[int], Item]) -> None:
        self.path = path
        self.buffer = buffer
        self.item_at = item_at
        try:
            self.header = header = decode_header(buffer)
        except BadFrame as error:
            raise Corruption(path, 0, str(error)) from None
        view = memoryview(buffer)
        self._words = view[HEADER_BYTES : header.order_offset].cast("Q")
        self._order = view[header.order_offset : header.order_offset + header.records * ORDER_BYTES].cast("I")
        self._seals = view[header.seals_offset : header.filter_offset].cast("Q")
        self._checked = bytearray(header.pages)
        self._home_slots = header.home_slots
        self._order_offset = header.order_offset
        self._size = header.records
        self._may_contain = self._load_filter().may_contain

    def __len__(self) -> int:
        return self._size

    @property
    def tier(self) -> int:
        """0 for a flushed memtable, one more than its parts for a merged one."""
        return self.header.tier

    def find(self, key: bytes, key_hash: int) -> tuple[int, bytes] | None:
        """The place of the key's record and its value, or None where the table does not have the key. O(1)."""
        if not self._may_contain(key_hash):
            return None
        slot = (key_hash >> HASH_SHIFT) * self._home_slots >> HASH_SHIFT
        fingerprint = key_hash & FINGERPRINT_MASK
        words, checked = self._words, self._checked
        while True:
            if not checked[slot >> _SLOTS_PER_PAGE_SHIFT]:
                self._check_page(slot >> _SLOTS_PER_PAGE_SHIFT)
            found = words[slot]
            if not found:
                return None
            if found >> FINGERPRINT_SHIFT == fingerprint:
                place = found & PLACE_MASK
                found_key, value = self.item_at(place)
                if found_key == key:
                    return place, value
            slot += 1

    def first_of(self, keys: Sequence[bytes], hashes: Sequence[int]) -> bytes | None:
        """The first of these keys that the table has, or None. O(n), by the filter alone for most keys."""
        may_contain = self._may_contain
        for ordinal, hashed in enumerate(hashes):
            if may_contain(hashed) and self.find(keys[ordinal], hashed) is not None:
                return keys[ordinal]
        return None

    def places(self, first: int, stop: int) -> list[int]:
        """The places of the records at these positions of the key order. O(stop - first)."""
        first, stop = max(first, 0), min(stop, len(self))
        if first >= stop:
            return []
        offset = self._order_offset
        self._check_range(offset + first * ORDER_BYTES, offset + stop * ORDER_BYTES)
        slots = self._order[first:stop].tolist()
        words, checked = self._words, self._checked
        result = []
        for slot in slots:
            if not checked[slot >> _SLOTS_PER_PAGE_SHIFT]:
                self._check_page(slot >> _SLOTS_PER_PAGE_SHIFT)
            result.append(words[slot] & PLACE_MASK)
        return result

    def window(self, first: int, stop: int) -> list[Item]:
        """The records at these positions of the key order. O(stop - first)."""
        return list(map(self.item_at, self.places(first, stop)))

    def position(self, key: bytes) -> int:
        """How many keys are smaller than `key`. O(log n)."""
        return bisect_left(range(len(self)), key, key=self._key_at)

    def _key_at(self, position: int) -> bytes:
        offset = self._order_offset + position * ORDER_BYTES
        self._check_range(offset, offset + ORDER_BYTES)
        slot = self._order[position]
        if not self._checked[slot >> _SLOTS_PER_PAGE_SHIFT]:
            self._check_page(slot >> _SLOTS_PER_PAGE_SHIFT)
        return self.item_at(self._words[slot] & PLACE_MASK)[0]

    def seals(self) -> list[int]:
        """The places of the block seals among the table's records, in order."""
        self._check_range(self.header.seals_offset, self.header.filter_offset)
        return self._seals.tolist()

    def seal(self, ordinal: int) -> int:
        """The place of the seal of block `header.first_block + ordinal`. O(1)."""
        offset = self.header.seals_offset + ordinal * 8
        self._check_range(offset, offset + 8)
        return self._seals[ordinal]

    def check(self) -> None:
        """Check every page now."""
        for page in range(self.header.pages):
            self._check_page(page)

    def close(self) -> None:
        """Let go of the buffer. The table must not be used again."""
        for view in (self._words, self._order, self._seals):
            view.release()

    def _load_filter(self) -> Filter:
        header = self.header
        self._check_range(header.filter_offset, header.checks_offset)
        return Filter.load(self.buffer[header.filter_offset : header.checks_offset])

    def _check_range(self, start: int, stop: int) -> None:
        for page in range((start - HEADER_BYTES) // PAGE_BYTES, (stop - 1 - HEADER_BYTES) // PAGE_BYTES + 1):
            if not self._checked[page]:
                self._check_page(page)

    def _check_page(self, page: int) -> None:
        if not is_page_intact(self.buffer, self.header, page):
            raise Corruption(
                self.path, HEADER_BYTES + page * PAGE_BYTES, "a page of the table does not match its check"
            )
        self._checked[page] = 1
