"""A place in the chain: where a frame begins, as one integer that fits in 48 bits.

`place = segment << 32 | offset`. Places grow in commit order. No frame begins at offset 0 (every segment starts
with its header), so 0 stands for "nowhere".
"""

from __future__ import annotations

from typing import Final

OFFSET_BITS: Final = 32
OFFSET_MASK: Final = (1 << OFFSET_BITS) - 1
PLACE_MASK: Final = (1 << 48) - 1
NOWHERE: Final = 0


def place_of(segment: int, offset: int) -> int:
    """The place of the byte at `offset` of chain file number `segment`."""
    return segment << OFFSET_BITS | offset


def split_place(place: int) -> tuple[int, int]:
    """The segment number and the offset in it."""
    return place >> OFFSET_BITS, place & OFFSET_MASK
