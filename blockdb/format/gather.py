"""Gathering: many records, or places of a table, read from where they stand by a few calls of numpy.

Random places in a large mapping are waited for one by one where Python reads them. numpy copies a row of bytes from
each of them in one loop, which the processor waits for in parallel; what is copied is then taken apart and checked a
column at a time. Every check is compared, as it is one by one, and what is not plain, or not intact, is left to
`record.item_at`, which says what is wrong with it.

Nobody imports this before much was read: see `bulk`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from struct import Struct
from struct import error as StructError
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_digest

from blockdb.format import record
from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES
from blockdb.format.place import OFFSET_BITS, OFFSET_MASK, PLACE_MASK
from blockdb.format.record import BODY_HEADER_BYTES, HEADER_BYTES, PLAIN_RECORD

Item = tuple[bytes, bytes]
Rows = NDArray[Any]
Numbers = NDArray[np.int64]

LARGEST: Final = 1024
"""Frames with more bytes are read one by one: there is little to wait for beside copying them."""

HEADER: Final = np.dtype([("check", ">u4"), ("kind", "<u2"), ("time", "V6"), ("key", "<u2"), ("content", "<u4")])
"""What a record begins with; `kind` is both type and kind, to be compared with `record.PLAIN_RECORD`."""
assert HEADER.itemsize == HEADER_BYTES


def everywhere(buffer: Buffer, size: int) -> Rows:
    """The `size` bytes from each byte of a buffer on, of which nothing is read before some are chosen by their offsets.

    There is one for each offset at which so many bytes begin: an offset behind them raises IndexError.
    """
    return np.ndarray((max(len(buffer) - size + 1, 0),), f"V{size}", buffer, 0, (1,))


def are_intact(checks: Rows, bodies: Sequence[bytes]) -> bool:
    """Whether the checks, which are those of `HEADER`, are those of these bodies. O(bytes)."""
    halves = np.frombuffer(b"".join(map(xxh3_64_digest, bodies)), np.uint32)
    return bool((halves[::2] == checks.view(np.uint32)).all())  # both have their bytes in the other order


def items_at(buffers: Sequence[Buffer], places: Sequence[int]) -> list[Item]:
    """What `record.items_at` gives for so many places, whether records are alike or not. O(bytes).

    Raises BadFrame as `record.decode` does, and IndexError where there is no such buffer.
    """
    where: Numbers = np.asarray(places, np.int64)
    first = int(where[0])
    try:
        _, kind, key_bytes, content_bytes = record.unpack_sizes(buffers[first >> OFFSET_BITS], first & OFFSET_MASK)
    except StructError:
        return record.each_at(buffers, places)
    size = HEADER_BYTES + key_bytes + content_bytes
    if kind != PLAIN_RECORD or not key_bytes or size > LARGEST:
        return record.each_at(buffers, places)
    rows = _rows(buffers, where, size)
    if rows is None:
        return record.each_at(buffers, places)
    heads = rows["head"]
    if not _are_alike(heads, key_bytes, content_bytes):
        return _unlike(buffers, where, heads)
    if not are_intact(heads["check"], rows["body"].tolist()):
        return record.each_at(buffers, places)
    return list(_item(key_bytes, content_bytes).iter_unpack(rows.tobytes()))


def places_at(
    slots: memoryview, words: memoryview, checked: bytearray, page_shift: int, check_page: Callable[[int], object]
) -> Sequence[int]:
    """The places in these slots of a table, once the pages that they are in are checked. O(slots)."""
    wanted = np.frombuffer(slots, np.uint32)
    if 0 in checked:
        pages = wanted >> page_shift
        for page in sorted({*pages[~np.frombuffer(checked, np.bool_)[pages]].tolist()}):
            check_page(page)
    return (np.frombuffer(words, np.int64)[wanted] & PLACE_MASK).data


def _rows(buffers: Sequence[Buffer], where: Numbers, size: int) -> Rows | None:
    """The `size` bytes from each place on, as fields of rows; None where a file ends before, or is not mapped."""
    segments, offsets = where >> OFFSET_BITS, where & OFFSET_MASK
    first = int(segments[0])
    if (segments == first).all():
        return _rows_of(buffers[first], offsets, size)
    rows = np.empty(len(where), _row(size))
    for segment in np.unique(segments).tolist():
        chosen = segments == segment
        some = _rows_of(buffers[segment], offsets[chosen], size)
        if some is None:
            return None
        rows[chosen] = some
    return rows


def _rows_of(buffer: Buffer, offsets: Numbers, size: int) -> Rows | None:
    if int(offsets.max()) + size > len(buffer):
        return None
    return everywhere(buffer, size)[offsets].view(_row(size))


@lru_cache(64)
def _row(size: int) -> np.dtype[Any]:
    """A row of so many bytes that begins with a header: that, and the body, which begins behind the check."""
    formats, offsets = [HEADER, f"V{size - CHECK_BYTES}"], [0, CHECK_BYTES]
    return np.dtype({"names": ["head", "body"], "formats": formats, "offsets": offsets, "itemsize": size})


@lru_cache(64)
def _item(key_bytes: int, content_bytes: int) -> Struct:
    return Struct(f"{HEADER_BYTES}x{key_bytes}s{content_bytes}s")


def _are_alike(heads: Rows, key_bytes: int, content_bytes: int) -> bool:
    """Whether all headers are those of plain records of these sizes."""
    return bool(
        (heads["kind"] == PLAIN_RECORD).all()
        and (heads["key"] == key_bytes).all()
        and (heads["content"] == content_bytes).all()
    )


def _unlike(buffers: Sequence[Buffer], where: Numbers, heads: Rows) -> list[Item]:
    """The same for records that differ, the first of which is plain; `heads` are their headers."""
    sizes = heads["content"].astype(np.int64) + heads["key"] + HEADER_BYTES
    is_easy = (heads["kind"] == PLAIN_RECORD) & (heads["key"] > 0) & (sizes <= LARGEST)
    if is_easy.all():
        return _padded(buffers, where, heads["key"], sizes)
    others = iter(record.each_at(buffers, where[~is_easy].tolist()))
    easy = iter(_padded(buffers, where[is_easy], heads["key"][is_easy], sizes[is_easy]))
    return [next(easy if is_one else others) for is_one in is_easy.tolist()]


def _padded(buffers: Sequence[Buffer], where: Numbers, key_bytes: Rows, sizes: Numbers) -> list[Item]:
    """Plain records of these sizes, read in rows as long as the longest of them."""
    size = int(sizes.max())
    rows = _rows(buffers, where, size)
    if rows is None:
        return record.each_at(buffers, where.tolist())
    data = rows.tobytes()
    starts = np.arange(CHECK_BYTES, len(data), size)
    ends = starts + sizes - CHECK_BYTES
    bodies = [data[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    if not are_intact(rows["head"]["check"], bodies):
        return record.each_at(buffers, where.tolist())
    splits = (key_bytes.astype(np.int64) + BODY_HEADER_BYTES).tolist()
    return [(body[BODY_HEADER_BYTES:split], body[split:]) for body, split in zip(bodies, splits, strict=True)]
