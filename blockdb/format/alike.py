"""Records of the same sizes that follow each other, cut apart together: in a fraction of the time of one by one.

Nothing has to be of one size. Where records differ, or other frames stand between them, they are walked one by one,
and it is tried again a little later.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import iter_unpack
from typing import Final

from xxhash import xxh3_64_digest

from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, RECORD
from blockdb.format.record import HEADER_BYTES, unpack_sizes

FEWEST: Final = 8
"""Fewer records than these are not worth it."""

PATIENCE: Final = 64
MOST_PATIENCE: Final = 1024
"""So many records are walked one by one before it is tried again where it was in vain: twice as many each time."""

_FIRST: Final = 32
_MOST: Final = 1024
_GROWTH: Final = 4
_MOST_BYTES: Final = 256 * 1024
"""How many records are looked at together: more and more as long as they are alike."""

_WHERE_ALIKE: Final = (4, 5, 12, 13, 14, 15, 16, 17)
"""The bytes of a frame that have to be the same: its type, its kind, and the sizes of key and content."""

_DIGEST_BYTES: Final = 8


def walk_alike(
    buffer: Buffer,
    start: int,
    stop: int,
    few: Callable[[int, int], int],
    many: Callable[[int, bytes, int], int],
) -> int:
    """Walk from one offset before another, and return where it ended.

    `few` takes so many records at most one by one, from an offset on, and returns where they end: the walk ends where
    it takes none. `many` is given an offset, the bytes of records there that have the same sizes, and how many bytes
    the frame of each has; it returns how many bytes it took.
    """
    offset, count, patience = start, FEWEST, PATIENCE
    while (end := few(offset, count)) > offset:
        offset, window, count = end, _FIRST, patience
        patience = min(2 * patience, MOST_PATIENCE)
        while data := alike(buffer, offset, stop, window):
            size = frame_bytes(data)
            taken = many(offset, data, size)
            offset += taken
            if taken < window * size:
                break
            window, count, patience = min(window * _GROWTH, _MOST), FEWEST, PATIENCE
    return offset


def alike(buffer: Buffer, offset: int, stop: int, most: int) -> bytes:
    """The frames of the records from `offset` on that are of the kind and the sizes of the first one; unchecked.

    No bytes where there are fewer than `FEWEST`; `most` at most. O(bytes).
    """
    stop = min(stop, len(buffer))
    if offset + HEADER_BYTES > stop or buffer[offset + CHECK_BYTES] != RECORD:
        return b""
    size = frame_bytes(buffer, offset)
    count = min((stop - offset) // size, _MOST_BYTES // size, most)
    data = buffer[offset : offset + count * size]
    for at in _WHERE_ALIKE:
        if count < FEWEST:
            return b""
        column = data[at : count * size : size]
        count = len(column) - len(column.lstrip(column[:1]))
    return data[: count * size] if count >= FEWEST else b""


def frame_bytes(buffer: Buffer, offset: int = 0) -> int:
    """How many bytes the frame of the record at `offset` has, by its header."""
    _, _, key_bytes, content_bytes = unpack_sizes(buffer, offset)
    return HEADER_BYTES + int(key_bytes) + int(content_bytes)


def bodies_alike(data: bytes, size: int) -> list[bytes]:
    """The bodies of records whose frames have all `size` bytes."""
    return [body for (body,) in iter_unpack(f"{CHECK_BYTES}x{size - CHECK_BYTES}s", data)]


def items_alike(data: bytes, size: int) -> tuple[list[bytes], list[bytes]] | None:
    """Their keys and what stands behind them, for records of the same sizes; None where one is not intact."""
    checks = b"".join(map(xxh3_64_digest, bodies_alike(data, size)))
    if any(checks[at::_DIGEST_BYTES] != data[at::size] for at in range(CHECK_BYTES)):
        return None
    _, _, key_bytes, content_bytes = unpack_sizes(data, 0)
    before = HEADER_BYTES + key_bytes
    keys = iter_unpack(f"{HEADER_BYTES}x{key_bytes}s{content_bytes}x", data)  # twice through takes half the time
    return [key for (key,) in keys], [content for (content,) in iter_unpack(f"{before}x{content_bytes}s", data)]
