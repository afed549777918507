r"""The mark: how far the log is known to be good. Format page: docs/formats/mark.md.

    "BlockDB mark 1\n\0" (16) | collection (16) | boot id (16) | check (4) | zero (12)
    | written (8) | forced (8) | state (8)

The file is mapped into memory and its second half changed in place, so that telling it of a write costs no system
call and survives a killed process. A place there is one aligned 64-bit word, stored at once, and multiplied by a
prime (an AN code: D. T. Brown, "Error detecting and correcting binary codes for arithmetic operations", 1960): since no
change of a single byte, or of fifteen adjacent bits, adds a multiple of that prime, each shows.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, BadFrame, check_of

MAGIC: Final = b"BlockDB mark 1\n\0"
_FIXED: Final = Struct("<16s16s16s")
_WORD: Final = Struct("<Q")
_STATE: Final = Struct("<8s")
_FIXED_BYTES: Final = 64
WRITTEN_OFFSET: Final = _FIXED_BYTES
FORCED_OFFSET: Final = WRITTEN_OFFSET + _WORD.size
STATE_OFFSET: Final = FORCED_OFFSET + _WORD.size
MARK_BYTES: Final = STATE_OFFSET + _STATE.size
WRITTEN_WORD: Final = WRITTEN_OFFSET // 8
FORCED_WORD: Final = FORCED_OFFSET // 8
"""Which of the file's 64-bit words the places are."""
GUARD: Final = 65_521
"""What a place is multiplied by: the largest prime of 16 bits, so that the product of a place fits in 64."""

OPEN: Final = b"writing\n"
CLEAN: Final = b"closed.\n"


class Mark(NamedTuple):
    """`written` and `forced` are places in the chain: where the next frame goes, and what is surely on the disk."""

    collection: bytes
    boot_id: bytes
    written: int
    forced: int
    clean: bool

    def is_of(self, boot_id: bytes) -> bool:
        """Whether the machine has not gone down since the mark was made; no, where that is unknown."""
        return self.boot_id == boot_id and any(boot_id)


def encode(mark: Mark) -> bytes:
    """All bytes of the file."""
    fixed = _FIXED.pack(MAGIC, mark.collection, mark.boot_id)
    head = (fixed + check_of(fixed)).ljust(_FIXED_BYTES, b"\0")
    places = _WORD.pack(mark.written * GUARD) + _WORD.pack(mark.forced * GUARD)
    return head + places + (CLEAN if mark.clean else OPEN)


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


def read_written(buffer: Buffer) -> int:
    """Where the next frame goes, from a mark that was found good before. Raises BadFrame where it is damaged now."""
    return _place(buffer, WRITTEN_OFFSET)


def read_forced(buffer: Buffer) -> int:
    """What is surely on the disk, in the same way."""
    return _place(buffer, FORCED_OFFSET)


def _place(data: Buffer, offset: int) -> int:
    try:
        (word,) = _WORD.unpack_from(data, offset)
    except StructError:
        raise BadFrame("the mark is too short") from None
    if word % GUARD or not word:
        raise BadFrame("a place in the mark is damaged")
    return int(word) // GUARD


assert CHECK_BYTES + _FIXED.size <= _FIXED_BYTES
