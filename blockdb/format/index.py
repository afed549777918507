"""Index files: entries in order, each with the place of its record. Format page: docs/formats/index.md.

    header (256) | entries | ends | places | fences | fence ends | filter | page checks

An entry is the values of the indexed fields as `format.ordered` has them; unless the index is unique, the place of the
record follows in eight bytes, big-endian, and there is no section of places. Every 64th entry stands once more among
the fences, which are in memory while a file is used.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from blockdb.format.buffer import Buffer
from blockdb.format.pages import (
    HEADER_BYTES,
    check_checks,
    check_of,
    open_header,
    page_checks,
    seal_header,
)

MAGIC: Final = b"BlockDB index 1\n"
GROUP: Final = 64
"""One entry in so many is a fence."""
PLACE_BYTES: Final = 8
END_BYTES: Final = 4
MAX_ENTRY_BYTES: Final = (1 << 32) - 1
"""All entries of a file together: their ends have 32 bits."""

_HEADER: Final = Struct("<16s16s16s11Q")
_PLACE: Final = Struct(">Q")
place_bytes = _PLACE.pack
"""The place of a record as it stands at the end of an entry."""


class IndexHeader(NamedTuple):
    """What an index file is about, and the sizes from which the places of its sections follow."""

    collection: bytes
    index_id: bytes
    """The 16 bytes of the UUID of the index."""
    number: int
    tier: int
    """0 for what was in memory, one more than its parts for a merged one."""
    unique: int
    """1 where an entry stands for one record alone, else 0."""
    first_place: int
    end_place: int
    """Between these places of the chain lie the records whose entries these are,"""
    records: int
    """and so many they are, with entries or without."""
    entries: int
    entry_bytes: int
    fence_bytes: int
    filter_bytes: int
    checks: int
    """XXH3-64 of the page checks, as a number."""

    @property
    def fences(self) -> int:
        """How many there are."""
        return -(-self.entries // GROUP)

    @property
    def ends_offset(self) -> int:
        """Where the section begins that says where entries end: at a multiple of 8."""
        return _aligned(HEADER_BYTES + self.entry_bytes)

    @property
    def places_offset(self) -> int:
        """Where the section of places begins, which is empty unless the index is unique."""
        return _aligned(self.ends_offset + self.entries * END_BYTES)

    @property
    def fences_offset(self) -> int:
        """Where the fences begin."""
        return self.places_offset + self.entries * PLACE_BYTES * self.unique

    @property
    def fence_ends_offset(self) -> int:
        """Where the section begins that says where fences end: at a multiple of 8."""
        return _aligned(self.fences_offset + self.fence_bytes)

    @property
    def filter_offset(self) -> int:
        """Where the Bloom filter begins."""
        return self.fence_ends_offset + self.fences * END_BYTES

    @property
    def checks_offset(self) -> int:
        """Where the page checks begin."""
        return self.filter_offset + self.filter_bytes


def _aligned(offset: int) -> int:
    return -(-offset // 8) * 8


def padding(size: int) -> bytes:
    """The zeros that follow a section of so many bytes which begins at a multiple of 8, where the next one does too."""
    return bytes(-size % 8)


def value_of(entry: bytes, unique: bool) -> bytes:
    """The values alone of an entry, without the place: what the filter has."""
    return entry if unique else entry[:-PLACE_BYTES]


def place_in(entry: bytes) -> int:
    """The place at the end of an entry of an index that is not unique."""
    return int(_PLACE.unpack_from(entry, len(entry) - PLACE_BYTES)[0])


def encode(header: IndexHeader, sections: bytes) -> bytes:
    """The whole file. `header.checks` is filled in here."""
    checks = page_checks(sections)
    packed = _HEADER.pack(MAGIC, *header._replace(checks=check_of(checks)))
    return b"".join((seal_header(packed), sections, checks))


def decode_header(buffer: Buffer) -> IndexHeader:
    """The header of an index file whose page checks are intact. Raises TornFrame or BadFrame."""
    _, *fields = _HEADER.unpack_from(open_header(buffer, MAGIC, "index file"))
    header = IndexHeader(*fields)
    check_checks(buffer, header, "index file")
    return header
