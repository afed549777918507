"""Reading the frames of a chain file in bulk: what `blockdb.format.walk` does, for files that are intact.

All that `walk` checks is checked here, for up to a thousand records at a time. Whatever is not as it should be raises
Doubt, and no more is said of it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct
from struct import error as StructError
from typing import Final

import numpy as np
from xxhash import xxh3_64_digest

from blockdb.audit.columns import Positions, positions
from blockdb.audit.doubt import Doubt
from blockdb.format import batch, record
from blockdb.format.alike import alike, frame_bytes
from blockdb.format.block import Seal, decode_seal
from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, RECORD, BadFrame
from blockdb.format.record import BODY_HEADER_BYTES, HEADER_BYTES, PLAIN_RECORD

PORTION_RECORDS: Final = 1000
"""So many records are looked at together: few enough to stay in the processor's cache."""

_ALIKE: Final = 4
"""After so many records of the same sizes in a row, the next ones are expected to have them too."""

_shape_at = Struct("<4xH6xHI").unpack_from
"""Type and kind of a record as one number, and the lengths of its key and content."""


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
    """Cuts frames out of a chain file. It remembers of what sizes the last ones were."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._shape: tuple[int, ...] = ()
        self._alike = 0

    def portion(self, at: int, end: int) -> tuple[Portion, int]:
        """Records from the offset `at` on, one at least, and where the next frame begins."""
        portion, buffer = Portion(), self._buffer
        while at < end and len(portion) < PORTION_RECORDS:
            kind, key_bytes, content_bytes = shape = _shape_at(buffer, at)
            if kind & 0xFF != RECORD and portion:
                break
            self._alike = self._alike + 1 if shape == self._shape else 0
            self._shape = shape
            size = HEADER_BYTES + key_bytes + content_bytes
            if at + size > end:
                raise Doubt
            if kind != PLAIN_RECORD or not key_bytes:
                _take_decoded(portion, buffer, at)
            elif data := self._run(at, end, PORTION_RECORDS - len(portion)):
                _take_run(portion, data, at, size, key_bytes)
                at += len(data) - size
            else:
                _take_one(portion, buffer, at, size, key_bytes)
            at += size
        return portion, at

    def _run(self, at: int, end: int, most: int) -> bytes:
        """The frames of records that are expected to have the sizes of the last ones, as far as they do."""
        if self._alike < _ALIKE:
            return b""
        data = alike(self._buffer, at, end, min(4 * self._alike, most))
        self._alike += len(data) // frame_bytes(data) if data else 0
        return data


def _take_one(portion: Portion, buffer: Buffer, at: int, size: int, key_bytes: int) -> None:
    body = buffer[at + CHECK_BYTES : at + size]
    if xxh3_64_digest(body)[:CHECK_BYTES] != buffer[at : at + CHECK_BYTES]:
        raise Doubt
    portion.offsets.append(at)
    portion.hashed.append(body)
    portion.keys.append(body[BODY_HEADER_BYTES : BODY_HEADER_BYTES + key_bytes])
    portion.sizes.append(size - HEADER_BYTES)


def _take_decoded(portion: Portion, buffer: Buffer, at: int) -> None:
    """A record of another kind, or what is none."""
    frame = record.decode(buffer, at)
    portion.offsets.append(at)
    portion.hashed.append(frame.leaf)
    portion.keys.append(frame.key)
    portion.sizes.append(frame.data_bytes)


def _take_run(portion: Portion, data: bytes, at: int, size: int, key_bytes: int) -> None:
    """Plain records whose frames have all `size` bytes: cut into columns by C code alone."""
    count, strides = len(data) // size, (size,)
    bodies = np.ndarray(count, f"V{size - CHECK_BYTES}", data, CHECK_BYTES, strides).tolist()
    digests = np.frombuffer(b"".join(map(xxh3_64_digest, bodies)), "<u4")
    if (digests[::2] != np.ndarray(count, "<u4", data, 0, strides)).any():
        raise Doubt
    portion.offsets.frombytes(np.arange(at, at + len(data), size, dtype=np.int64).tobytes())
    portion.hashed += bodies
    portion.keys += np.ndarray(count, f"V{key_bytes}", data, HEADER_BYTES, strides).tolist()
    portion.sizes.frombytes(np.full(count, size - HEADER_BYTES, np.int64).tobytes())
