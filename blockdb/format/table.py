"""Tables: which key is where in the chain. Format page: docs/formats/table.md.

    header (256) | slots | order | seals | filter | page checks

A table holds no key and no value, only 64-bit words: 16 bits of the key's hash and the 48-bit place of its record.
The words stand in an open-addressing hash table (`slots`); `order` names the used slots in key order, 32 bits each;
`seals` are the places of the block seals between the first and the last of its records. All of that is cut into
pages, each with its own check, so that a reader checks exactly what it touches.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple

from blockdb.format.buffer import Buffer
from blockdb.format.pages import (
    HEADER_BYTES,
    check_checks,
    check_of,
    file_bytes,
    open_header,
    page_checks,
    pages_of,
    seal_header,
)

MAGIC: Final = b"BlockDB table 1\n"
WORD_BYTES: Final = 8
ORDER_BYTES: Final = 4

FINGERPRINT_SHIFT: Final = 48
FINGERPRINT_MASK: Final = (1 << 16) - 1
HASH_SHIFT: Final = 32

_HEADER: Final = Struct("<16s16s13Q")


class TableHeader(NamedTuple):
    """What a table is about, and the sizes from which the places of its sections follow."""

    collection: bytes
    number: int
    tier: int
    first_sequence: int
    records: int
    first_place: int
    end_place: int
    first_block: int
    seals: int
    home_slots: int
    """The hash of a key picks its home among so many slots; see `home_slot`."""
    slots: int
    """All slots: the last one is always empty, so that a search that began at a home ends."""
    filter_bytes: int
    data_bytes: int
    checks: int
    """XXH3-64 of the page checks, as a number."""

    @property
    def order_offset(self) -> int:
        """Where the order section begins in the file."""
        return HEADER_BYTES + self.slots * WORD_BYTES

    @property
    def seals_offset(self) -> int:
        """Where the section of seal places begins: after the order, at a multiple of 8."""
        return self.order_offset + (self.records * ORDER_BYTES + 7) // 8 * 8

    @property
    def filter_offset(self) -> int:
        """Where the Bloom filter begins."""
        return self.seals_offset + self.seals * WORD_BYTES

    @property
    def checks_offset(self) -> int:
        """Where the page checks begin."""
        return self.filter_offset + self.filter_bytes

    @property
    def pages(self) -> int:
        """How many pages the sections fill, the last one perhaps in part."""
        return pages_of(self)

    @property
    def file_bytes(self) -> int:
        """The size of the whole file."""
        return file_bytes(self)


def home_slot(key_hash: int, home_slots: int) -> int:
    """The slot at which the search for a key with this 64-bit hash begins."""
    return (key_hash >> HASH_SHIFT) * home_slots >> HASH_SHIFT


def home_slots(hashes: array[int], count: int) -> Sequence[int]:
    """`home_slot` for each hash, by one multiplication of a long integer.

    Of every 64 bits of that integer the lower 32 hold the upper half of a hash, so that no product reaches the next.
    """
    halves = array("Q", memoryview(hashes).cast("B").cast("I")[1::2])
    product = int.from_bytes(halves.tobytes(), "little") * count
    return memoryview(product.to_bytes(8 * len(hashes), "little")).cast("I")[1::2]


def word(key_hash: int, place: int) -> int:
    """What a slot holds for a key: the low 16 bits of its hash, then its place."""
    return (key_hash & FINGERPRINT_MASK) << FINGERPRINT_SHIFT | place


def words(hashes: array[int], places: Sequence[int]) -> Sequence[int]:
    """`word` for each hash and place, the bytes of both put together."""
    together, fingerprints = bytearray(array("Q", places)), hashes.tobytes()
    together[6::8], together[7::8] = fingerprints[0::8], fingerprints[1::8]
    return memoryview(together).cast("Q")


def encode(header: TableHeader, sections: bytes) -> bytes:
    """The whole file. `header.checks` is filled in here."""
    checks = page_checks(sections)
    header = header._replace(checks=check_of(checks))
    return b"".join((seal_header(_HEADER.pack(MAGIC, *header)), sections, checks))


def decode_header(buffer: Buffer) -> TableHeader:
    """The header of a table whose page checks are intact. Raises TornFrame or BadFrame."""
    _, *fields = _HEADER.unpack_from(open_header(buffer, MAGIC, "table"))
    header = TableHeader(*fields)
    check_checks(buffer, header, "table")
    return header
