r"""The header of a chain file. Format page: docs/formats/chain.md.

"BlockDB chain 1\n" (16) | collection (16) | segment number u32 | first sequence u64 | check (4)
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, BadFrame, TornFrame, check_of

MAGIC: Final = b"BlockDB chain 1\n"
_HEADER: Final = Struct("<16s16sIQ")
HEADER_BYTES: Final = _HEADER.size + CHECK_BYTES


class SegmentHeader(NamedTuple):
    """Whose file it is, which one, and the sequence number of its first record."""

    collection: bytes
    number: int
    first_sequence: int


def encode(header: SegmentHeader) -> bytes:
    """The first bytes of a chain file."""
    packed = _HEADER.pack(MAGIC, *header)
    return packed + check_of(packed)


def decode(buffer: Buffer) -> SegmentHeader:
    """The header of a chain file. Raises TornFrame where it is shorter than that, BadFrame where it is damaged."""
    if len(buffer) < HEADER_BYTES:
        raise TornFrame("the file is shorter than its header")
    packed = buffer[: _HEADER.size]
    magic, collection, number, first_sequence = _HEADER.unpack(packed)
    if magic != MAGIC or check_of(packed) != buffer[_HEADER.size : HEADER_BYTES]:
        raise BadFrame("the header of the chain file is damaged, or of an unknown version")
    return SegmentHeader(collection, number, first_sequence)
