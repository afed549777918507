"""Reading the frames of a chain file in bulk: what `blockdb.format.walk` does, for files that are intact.

All that `walk` checks is checked here, for up to a thousand records at a time. Whatever is not as it should be raises
Doubt, and no more is said of it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import error as StructError
from typing import Final

import numpy as np

from blockdb.audit.columns import Positions, positions
from blockdb.audit.doubt import Doubt
from blockdb.audit.rows import Rows, marked, rows_alike, rows_led_to
from blockdb.format import batch, record
from blockdb.format.alike import FEWEST, PATIENCE, frame_bytes
from blockdb.format.block import Seal, decode_seal
from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, RECORD, BadFrame
from blockdb.format.gather import are_intact
from blockdb.format.record import BODY_HEADER_BYTES, HEADER_BYTES, PLAIN_RECORD

PORTION_RECORDS: Final = 1000
"""So many records are looked at together: few enough to stay in the processor's cache."""

_FIRST: Final = 32
"""So many records are looked at together at first; four times as many after each time that most could be taken."""

_MOST_ALIKE_BYTES: Final = 256 * 1024
_MOST_VARIED_BYTES: Final = 160 * 1024
"""With more, the C library gives the memory for columns of bytes back each time, and takes it again."""


@dataclass(slots=True)
class Portion:
    """Some records that follow each other, in columns."""

    offsets: array[int] = field(default_factory=lambda: array("q"))
    """Where the frames begin in the file."""
    hashed: list[bytes] = field(default_factory=list)
    """What the leaf hashes are hashes of."""
    keys: list[bytes] = field(default_factory=list)
    sizes: array[int] = field(default_factory=lambda: array("q"))
    """The bytes of key and value together."""

    def __len__(self) -> int:
        return len(self.offsets)

    def places(self, base: int) -> Positions:
        """Where the records are in a chain whose file begins at the place `base`."""
        return positions(self.offsets) + base


def read(buffer: Buffer, start: int, stop: int) -> Iterator[Portion | tuple[int, Seal]]:
    """The records between two offsets, and the seals with theirs, in order. O(bytes). Raises Doubt.

    A commit begins at `start`, and one must end at `stop`.
    """
    try:
        yield from _read(buffer, start, stop)
    except (BadFrame, StructError, IndexError):
        raise Doubt from None


def _read(buffer: Buffer, start: int, stop: int) -> Iterator[Portion | tuple[int, Seal]]:
    at, cutter = start, _Cutter(buffer)
    while at < stop:
        type_ = buffer[at + CHECK_BYTES]
        if type_ == RECORD:
            portion, at = cutter.portion(at, stop)
            yield portion
        elif type_ in batch.HEADERS:
            announced = batch.decode(buffer, at)
            at += announced.header_bytes
            end = at + announced.size
            if end > stop:
                raise Doubt
            records = 0
            while at < end:
                portion, at = cutter.portion(at, end)
                records += len(portion)
                yield portion
            if records != announced.records:
                raise Doubt
        else:
            seal, size = decode_seal(buffer, at)
            yield at, seal
            at += size
    if at != stop:
        raise Doubt


class _Cutter:
    """Cuts frames out of a chain file. It remembers what the last ones were like."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._alone = FEWEST
        """So many records are walked one by one before it is tried whether those that follow can be taken together."""
        self._window = _FIRST
        self._mean_bytes = 0
        self._are_alike = True
        """Whether the next ones may be all of one size. Where they are not, their marks are looked for."""

    def portion(self, at: int, end: int) -> tuple[Portion, int]:
        """Records from the offset `at` on, one at least, and where the next frame begins."""
        portion, buffer = Portion(), self._buffer
        while at < end and (left := PORTION_RECORDS - len(portion)):
            before = len(portion)
            at = self._take_together(portion, at, end, left)
            if len(portion) == before:
                at = _take_each(portion, buffer, at, end, min(max(self._alone, FEWEST), left))
                self._alone -= len(portion) - before
            if len(portion) == before:
                if portion and buffer[at + CHECK_BYTES] != RECORD:
                    break
                at = _take_decoded(portion, buffer, at, end)
        return portion, at

    def _take_together(self, portion: Portion, at: int, end: int, left: int) -> int:
        if self._alone > 0 or left < FEWEST or at + HEADER_BYTES >= end or self._buffer[at + CHECK_BYTES] != RECORD:
            return at
        size = max(frame_bytes(self._buffer, at), self._mean_bytes)
        most = _MOST_ALIKE_BYTES if self._are_alike else _MOST_VARIED_BYTES
        data = self._buffer[at : min(at + min(self._window * size, most), end)]
        rows = rows_alike(data, left) if self._are_alike else rows_led_to(data, marked(data), left)
        count = len(rows.keys)
        if count < FEWEST:
            self._window, self._alone = _FIRST, FEWEST if self._are_alike else PATIENCE
            self._are_alike = not self._are_alike
            return at
        _take_rows(portion, rows, at)
        self._mean_bytes = rows.end // count
        is_most = count == left or 2 * rows.end > len(data)
        self._window, self._alone = (min(4 * self._window, PORTION_RECORDS), 0) if is_most else (_FIRST, FEWEST)
        return at + rows.end


def _take_each(portion: Portion, buffer: Buffer, at: int, end: int, most: int) -> int:
    """Plain records of any sizes, `most` at most, up to whatever else there is; returns where they end."""
    checks: list[bytes] = []
    offsets: list[int] = []
    lengths: list[int] = []
    unpack = record.unpack_sizes
    while len(offsets) < most and at + HEADER_BYTES < end:
        check, kind, key_bytes, content_bytes = unpack(buffer, at)
        after = at + HEADER_BYTES + key_bytes + content_bytes
        if kind != PLAIN_RECORD or not key_bytes:
            break
        if after > end:
            raise Doubt
        checks.append(check)
        offsets.append(at)
        lengths.append(BODY_HEADER_BYTES + key_bytes)
        at = after
    if not offsets:
        return at
    ends = [*offsets[1:], at]
    bodies = [buffer[start + CHECK_BYTES : stop] for start, stop in zip(offsets, ends, strict=True)]
    if not are_intact(np.frombuffer(b"".join(checks), ">u4"), bodies):
        raise Doubt
    portion.offsets.extend(offsets)
    portion.hashed += bodies
    portion.keys += [body[BODY_HEADER_BYTES:key_end] for body, key_end in zip(bodies, lengths, strict=True)]
    portion.sizes.extend([len(body) - BODY_HEADER_BYTES for body in bodies])
    return at


def _take_decoded(portion: Portion, buffer: Buffer, at: int, end: int) -> int:
    """A record of another kind, or what is none; returns where it ends."""
    frame = record.decode(buffer, at)
    if at + frame.size > end:
        raise Doubt
    portion.offsets.append(at)
    portion.hashed.append(frame.leaf)
    portion.keys.append(frame.key)
    portion.sizes.append(frame.data_bytes)
    return at + frame.size


def _take_rows(portion: Portion, rows: Rows, at: int) -> None:
    """Plain records that begin at the offset `at`."""
    if not are_intact(rows.checks, rows.bodies):
        raise Doubt
    portion.hashed += rows.bodies
    portion.keys += rows.keys
    portion.offsets.frombytes((rows.starts + at).tobytes())
    portion.sizes.frombytes(rows.data_bytes.tobytes())
