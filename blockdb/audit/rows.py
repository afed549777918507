"""Plain records that follow each other, cut apart together, by columns of their headers.

Only the header of a record tells where the next one begins, so whoever walks goes one by one. Here it is guessed where
all of them begin, and then proved: each header, read as one column with the others, has to lead to where the next
record was guessed. As far as they do, the guess is what the walk comes to, whatever it was made of; behind that nothing
is taken. So a bad guess, as where values have in them what records begin with, costs time and no more.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final, NamedTuple

import numpy as np

from blockdb.audit.columns import Positions, positions
from blockdb.format.frame import CHECK_BYTES
from blockdb.format.gather import HEADER, everywhere
from blockdb.format.record import BODY_HEADER_BYTES, HEADER_BYTES, PLAIN_RECORD, unpack_sizes

_MARK_AT: Final = CHECK_BYTES + 1
"""The kind, and behind it the upper half of the time."""
_TIME_BYTES: Final = 2

_BODY_CODES: Final = [f"{CHECK_BYTES}x{size}s" for size in range(1024)]
"""What `struct` calls a frame whose body has so many bytes. It takes a thousand apart in less time than slices do."""


class Rows(NamedTuple):
    """Records that follow each other in some bytes, the first at their beginning, as columns."""

    starts: Positions
    checks: Any
    """As in `HEADER`."""
    bodies: list[bytes]
    keys: list[bytes]
    data_bytes: Positions
    end: int


NO_ROWS: Final = Rows(np.arange(0), np.arange(0, dtype=np.uint32), [], [], np.arange(0), 0)


def rows_alike(data: bytes, most: int) -> Rows:
    """The plain records with keys and contents as long as those of the first, which begins with the bytes. O(bytes).

    So many at most. The bytes have at least one header.
    """
    _, kind, key_bytes, content_bytes = unpack_sizes(data)
    size = HEADER_BYTES + key_bytes + content_bytes
    count = min(len(data) // size, most)
    if not count or kind != PLAIN_RECORD or not key_bytes:
        return NO_ROWS
    heads = np.ndarray(count, HEADER, data, 0, (size,))
    good = heads["kind"] == PLAIN_RECORD
    good &= heads["key"] == key_bytes
    good &= heads["content"] == content_bytes
    count = _first_bad(good)
    bodies = np.ndarray(count, f"V{size - CHECK_BYTES}", data, CHECK_BYTES, (size,)).tolist()
    keys = np.ndarray(count, f"V{key_bytes}", data, HEADER_BYTES, (size,)).tolist()
    starts, data_bytes = np.arange(0, count * size, size), np.full(count, size - HEADER_BYTES)
    return Rows(starts, heads["check"][:count], bodies, keys, data_bytes, count * size)


def rows_led_to(data: bytes, starts: Positions, most: int) -> Rows:
    """The plain records that begin at these offsets, of which the first is 0, where a frame is known to begin.

    So many at most, and up to the first that does not begin where the one before it ends, or does not end in the bytes.
    O(bytes).
    """
    starts = starts[: min(most, int(starts.searchsorted(len(data) - HEADER_BYTES)))]
    heads: Any = everywhere(data, HEADER_BYTES)[starts].view(HEADER)
    key_ends = starts + heads["key"]
    key_ends += HEADER_BYTES
    ends = key_ends + heads["content"]
    good = heads["kind"] == PLAIN_RECORD
    good &= heads["key"] > 0
    good &= ends <= len(data)
    good[:1] &= starts[:1] == 0
    good[1:] &= ends[:-1] == starts[1:]
    count = _first_bad(good)
    if not count:
        return NO_ROWS
    starts, key_ends, ends = starts[:count], key_ends[:count], ends[:count]
    bodies = _bodies(data, starts + CHECK_BYTES, ends)
    keys = _parts(bodies, BODY_HEADER_BYTES, key_ends - starts - CHECK_BYTES)
    return Rows(starts, heads["check"][:count], bodies, keys, ends - starts - HEADER_BYTES, int(ends[-1]))


def marked(data: bytes) -> Positions:
    """Where records may begin: where type, kind, and the upper half of the time, fifty days, are those of the first."""
    kinds = np.frombuffer(data, np.uint8, len(data) - _MARK_AT - _TIME_BYTES, _MARK_AT)
    times = np.frombuffer(data, np.uint8, len(kinds), _MARK_AT + 1)
    found = times == times[0]
    found &= kinds == kinds[0]
    likely = np.flatnonzero(found)
    marks = everywhere(data, 4)[likely + CHECK_BYTES].view(np.uint32)
    return positions(likely[marks == marks[0]])


def _first_bad(good: Any) -> int:
    """How many are good before the first that is not."""
    return len(good) if good.all() else int(good.argmin())


def _bodies(data: bytes, starts: Positions, ends: Positions) -> list[bytes]:
    """What is between each start and each end, with nothing but a check before each. O(bytes)."""
    sizes = ends - starts
    if (sizes == sizes[0]).all():
        rows: list[bytes] = everywhere(data, int(sizes[0]))[starts].tolist()
        return rows
    if sizes.max() < len(_BODY_CODES):
        return list(Struct("".join(map(_BODY_CODES.__getitem__, sizes.tolist()))).unpack_from(data))
    return [data[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def _parts(bodies: list[bytes], start: int, ends: Positions) -> list[bytes]:
    """What each of them has from one offset to another. O(n)."""
    return [body[start:end] for body, end in zip(bodies, ends.tolist(), strict=True)]
