r"""The mark: how far the log is known to be good. Format page: docs/formats/mark.md.

    "BlockDB mark 1\n\0" (16) | collection (16) | boot id (16) | check (4) | zero (12)
    | written (8) | ~written (8) | forced (8) | ~forced (8) | state (8)

The file is mapped into memory and its second half changed in place, so that telling it of a write costs no system
call and survives a killed process. Every changing field stands there twice, once inverted: a flipped bit shows.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, BadFrame, check_of

MAGIC: Final = b"BlockDB mark 1\n\0"
_FIXED: Final = Struct("<16s16s16s")
PAIR: Final = Struct("<QQ")
_STATE: Final = Struct("<8s")
_FIXED_BYTES: Final = 64
WRITTEN_OFFSET: Final = _FIXED_BYTES
FORCED_OFFSET: Final = WRITTEN_OFFSET + PAIR.size
STATE_OFFSET: Final = FORCED_OFFSET + PAIR.size
MARK_BYTES: Final = STATE_OFFSET + _STATE.size
INVERT: Final = (1 << 64) - 1

OPEN: Final = b"writing\n"
CLEAN: Final = b"closed.\n"


class Mark(NamedTuple):
    """`written` and `forced` are places in the chain: where the next frame goes, and what is surely on the disk."""

    collection: bytes
    boot_id: bytes
    written: int
    forced: int
    clean: bool


def encode(mark: Mark) -> bytes:
    """All bytes of the file."""
    fixed = _FIXED.pack(MAGIC, mark.collection, mark.boot_id)
    head = (fixed + check_of(fixed)).ljust(_FIXED_BYTES, b"\0")
    return head + pair(mark.written) + pair(mark.forced) + (CLEAN if mark.clean else OPEN)


def pair(place: int) -> bytes:
    """A place as it stands in the file: itself, then inverted."""
    return PAIR.pack(place, place ^ INVERT)


def decode(buffer: Buffer) -> Mark:
    """The mark in `buffer`. Raises BadFrame where any bit of it is not as it was written."""
    data = bytes(buffer[: MARK_BYTES + 1])
    fixed = data[: _FIXED.size]
    head = (fixed + check_of(fixed)).ljust(_FIXED_BYTES, b"\0")
    if len(data) != MARK_BYTES or data[:_FIXED_BYTES] != head or data[:16] != MAGIC:
        raise BadFrame("the mark is damaged")
    _, collection, boot_id = _FIXED.unpack(fixed)
    state = data[STATE_OFFSET:]
    if state not in (OPEN, CLEAN):
        raise BadFrame("the state in the mark is damaged")
    return Mark(collection, boot_id, _place(data, WRITTEN_OFFSET), _place(data, FORCED_OFFSET), state == CLEAN)


def read_written(buffer: Buffer) -> int | None:
    """Where the next frame goes, or None when caught between the halves of a change."""
    place, inverted = PAIR.unpack_from(buffer, WRITTEN_OFFSET)
    return place if place ^ inverted == INVERT else None


def _place(data: bytes, offset: int) -> int:
    place, inverted = PAIR.unpack_from(data, offset)
    if place ^ inverted != INVERT:
        raise BadFrame("a place in the mark is damaged")
    return int(place)


assert CHECK_BYTES + _FIXED.size <= _FIXED_BYTES
