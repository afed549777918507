"""Zeros behind the last commit of a chain file: what its writer reserved. Format page: docs/formats/reserve.md.

They are given back when the file is closed, or another one begun. So they stand in the newest file alone, while it is
written, or where its writer was killed. Zeros may also be the last bytes of a value.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import error as StructError
from typing import Final

from blockdb.format import segment
from blockdb.format.buffer import Buffer
from blockdb.format.frame import BadFrame, TornFrame
from blockdb.format.walk import commit_at, skip

_LOOK_BYTES: Final = 64 * 1024


def filled_bytes(size: int, read: Callable[[int, int], bytes]) -> int:
    """How many bytes of a file with `size` of them there are before the zeros at its end. O(zeros).

    `read` gives the bytes between two offsets, or fewer where the file was cut off meanwhile.
    """
    while size:
        start = max(size - _LOOK_BYTES, 0)
        held = read(start, size).rstrip(b"\0")
        if held:
            return start + len(held)
        size = start
    return 0


def end_of(buffer: Buffer) -> int:
    """Where the last commit of a chain file ends that nobody writes to, by the headers of its frames alone.

    No more than a guess where the file is damaged. O(zeros), and O(records) where there are any.
    """
    size = len(buffer)
    filled = filled_bytes(size, lambda start, stop: buffer[start:stop])
    if filled == size:
        return size
    try:
        return min(skip(buffer, segment.HEADER_BYTES, filled)[1], size)
    except (BadFrame, IndexError, StructError):
        return size


def whole_at(buffer: Buffer, offset: int, stop: int) -> int | None:
    """Where the commit at `offset` ends, if all of it is there before `stop`, intact."""
    try:
        return commit_at(buffer, offset, stop)[-1][1]
    except BadFrame:
        return None


def is_torn(buffer: Buffer, offset: int, stop: int) -> bool:
    """Whether the commit at `offset` does not end before `stop`, as far as can be told from what is before that."""
    try:
        commit_at(buffer[offset:stop], 0, stop - offset)
    except BadFrame as error:
        return isinstance(error, TornFrame)
    return False
