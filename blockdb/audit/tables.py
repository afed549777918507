"""Auditing tables: whether they lead to every record of the chain that they are about, and to nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from operator import index as same_number
from pathlib import Path
from typing import Final

from rbloom import Bloom
from xxhash import xxh3_64_intdigest

from blockdb.audit.findings import Findings
from blockdb.format.buffer import Buffer
from blockdb.format.frame import BadFrame
from blockdb.format.pages import HEADER_BYTES, PAGE_BYTES, bad_pages
from blockdb.format.place import PLACE_MASK
from blockdb.format.table import TableHeader, decode_header, home_slot, word

FILTER_COUNT_BYTES: Final = 8
"""A filter begins with the number of its hash functions."""

MOST_FILTER_FUNCTIONS: Final = 64


class TableAudit:
    """One table, held against the chain record by record. The lookup is written anew here, on purpose."""

    def __init__(self, path: Path, buffer: Buffer, header: TableHeader, findings: Findings) -> None:
        self.path = path
        self.header = header
        self.sequences = range(header.first_sequence, header.first_sequence + header.records)
        """The numbers of its records."""
        self._findings = findings
        view = memoryview(buffer)
        self.words = view[HEADER_BYTES : header.order_offset].cast("Q")
        self.order = view[header.order_offset : header.order_offset + header.records * 4].cast("I")
        self.seals = view[header.seals_offset : header.filter_offset].cast("Q").tolist()
        self.filter = view[header.filter_offset : header.checks_offset]

    @cached_property
    def bloom(self) -> Bloom:
        """Its filter, to be asked for one hash at a time."""
        return Bloom.load_bytes(bytes(self.filter), same_number)

    def covers(self, sequence: int) -> bool:
        """Whether the record with this sequence number is one of the table's."""
        return sequence in self.sequences

    def leads_to(self, key: bytes, place: int) -> bool:
        """Whether a lookup of the key comes to this place."""
        hashed = xxh3_64_intdigest(key)
        return self._slot_of(hashed, word(hashed, place)) is not None

    def _slot_of(self, hashed: int, wanted: int) -> int | None:
        slot = home_slot(hashed, self.header.home_slots)
        while (found := self.words[slot]) != wanted:
            if not found:
                return None
            slot += 1
        return slot

    def see_record(self, key: bytes, place: int, sequence: int, block_of: Callable[[int, int], int]) -> None:
        """The chain has this record at this place: a lookup must come to it, and to none before it."""
        hashed = xxh3_64_intdigest(key)
        if self._slot_of(hashed, word(hashed, place)) is None:
            what, expected, found = "the table does not lead to the record", f"place {place}", self._places_of(hashed)
        elif hashed not in self.bloom:
            what, expected, found = "the Bloom filter denies the record", None, None
        else:
            return
        if self._findings.is_full:  # which block it is takes a look at the chain
            return
        self._findings.add(
            self.path,
            what,
            block=block_of(sequence, place),
            sequence=sequence,
            key=key,
            expected=expected,
            found=found,
        )

    def earlier(self, key: bytes, place: int, key_at: Callable[[int], bytes]) -> bool:
        """Whether the table has the key at an earlier place than this one."""
        hashed = xxh3_64_intdigest(key)
        if hashed not in self.bloom:
            return False
        slot = home_slot(hashed, self.header.home_slots)
        fingerprint = word(hashed, 0)
        while found := self.words[slot]:
            other = found & PLACE_MASK
            if found == fingerprint | other and other < place and key_at(other) == key:
                return True
            slot += 1
        return False

    def _places_of(self, hashed: int) -> str:
        """Where a lookup comes to."""
        slot, places = home_slot(hashed, self.header.home_slots), []
        while found := self.words[slot]:
            if found == word(hashed, found & PLACE_MASK):
                places.append(f"place {found & PLACE_MASK}")
            slot += 1
        return ", ".join(places) or "an empty slot"

    def finish(self, key_at: Callable[[int], bytes], seals: Sequence[int]) -> None:
        """Every record was seen: now nothing else may be in the table, and its order must be that of the keys.

        `seals` are the places of the chain's seals in its part of the chain.
        """
        words = self.words.tolist()
        used = len(words) - words.count(0)
        if used != self.header.records:
            what = "the table leads to records that the chain does not have"
            self._findings.add(self.path, what, expected=f"{self.header.records} records", found=f"{used} records")
        if self.seals != seals:
            self._findings.add(self.path, "the table does not name the seals that the chain has")
        previous = b""
        for slot in self.order:
            if slot >= len(words) or not words[slot]:
                self._findings.add(self.path, "the key order names an empty slot")
                return
            key = key_at(words[slot] & PLACE_MASK)
            if key <= previous:
                what = "the key order is wrong"
                self._findings.add(self.path, what, key=key, expected=f"a key above {previous!r}", found=repr(key))
                return
            previous = key


def seal_places(buffer: Buffer) -> list[int]:
    """Where a table says that seals are, of which nothing is checked but the header; none where that is damaged."""
    try:
        header = decode_header(buffer)
    except BadFrame:
        return []
    return memoryview(buffer)[header.seals_offset : header.filter_offset].cast("Q").tolist()


def open_table(path: Path, buffer: Buffer, collection: bytes, findings: Findings) -> TableAudit | None:
    """A table whose bytes are intact, or None after noting what is damaged."""
    try:
        header = decode_header(buffer)
    except BadFrame as error:
        findings.add(path, str(error), offset=0)
        return None
    if header.collection != collection:
        findings.add(path, "the table belongs to another collection", offset=0)
        return None
    damaged = list(bad_pages(buffer, header))
    for page in damaged:
        findings.add(path, "a page of the table does not match its check", offset=HEADER_BYTES + page * PAGE_BYTES)
    if not damaged and not _has_filter(buffer, header):
        findings.add(path, "the table has no Bloom filter that anybody could ask", offset=header.filter_offset)
        return None
    return None if damaged else TableAudit(path, buffer, header, findings)


def _has_filter(buffer: Buffer, header: TableHeader) -> bool:
    """Whether there are bits, and not so many hash functions that asking for one key takes for ever."""
    functions = int.from_bytes(buffer[header.filter_offset : header.filter_offset + FILTER_COUNT_BYTES], "little")
    return header.filter_bytes > FILTER_COUNT_BYTES and functions <= MOST_FILTER_FUNCTIONS
