"""Reading the frames of a chain file in bulk: what `blockdb.format.walk` does, for files that are intact.

All that `walk` checks is checked here, for up to a thousand records at a time. Whatever is not as it should be raises
Doubt, and no more is said of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct, iter_unpack
from struct import error as StructError
from typing import Final

from xxhash import xxh3_64_digest

from blockdb.audit.doubt import Doubt
from blockdb.format import batch, record
from blockdb.format.block import Seal, decode_seal
from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, RECORD, BadFrame
from blockdb.format.record import BODY_HEADER_BYTES, HEADER_BYTES, PLAIN

PORTION_RECORDS: Final = 1000
"""So many records are looked at together: few enough to stay in the processor's cache."""

_ALIKE: Final = 4
"""After so many records of the same sizes in a row, the next ones are expected to have them too."""

_shape_at = Struct("<4xBB6xHI").unpack_from
_SHAPE_COLUMNS: Final = (4, 5, 12, 13, 14, 15, 16, 17)
"""Which bytes of a frame `_shape_at` reads: type, kind, and the lengths of key and content."""


@dataclass(slots=True)
class Portion:
    """Some records that follow each other, in columns."""

    offsets: list[int] = field(default_factory=list)
    """Where the frames begin in the file."""
    hashed: list[bytes] = field(default_factory=list)
    """What the leaf hashes are hashes of."""
    keys: list[bytes] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """The bytes of key and value together."""

    def __len__(self) -> int:
        return len(self.offsets)


def read(buffer: Buffer, start: int, stop: int) -> Iterator[Portion | tuple[int, Seal]]:
    """The records between two offsets, and the seals with theirs, in order. O(bytes). Raises Doubt.

    A commit begins at `start`, and one must end at `stop`.
    """
    try:
        yield from _read(buffer, start, stop)
    except (BadFrame, StructError, IndexError):
        raise Doubt from None


def _read(buffer: Buffer, start: int, stop: int) -> Iterator[Portion | tuple[int, Seal]]:
    at = start
    while at < stop:
        type_ = buffer[at + CHECK_BYTES]
        if type_ == RECORD:
            portion, at = _portion(buffer, at, stop)
            yield portion
        elif type_ in batch.HEADERS:
            announced = batch.decode(buffer, at)
            at += announced.header_bytes
            end = at + announced.size
            if end > stop:
                raise Doubt
            records = 0
            while at < end:
                portion, at = _portion(buffer, at, end)
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


def _portion(buffer: Buffer, at: int, end: int) -> tuple[Portion, int]:
    """Records from the offset `at` on, one at least, and where the next frame begins."""
    portion = Portion()
    shape: tuple[int, ...] = ()
    alike = 0
    while at < end and len(portion) < PORTION_RECORDS:
        before, shape = shape, _shape_at(buffer, at)
        alike = alike + 1 if shape == before else 0
        type_, kind, key_bytes, content_bytes = shape
        if type_ != RECORD and portion:
            break
        size = HEADER_BYTES + key_bytes + content_bytes
        if at + size > end:
            raise Doubt
        if kind != PLAIN or not key_bytes or type_ != RECORD:
            _take_decoded(portion, buffer, at)
        elif alike < _ALIKE:
            _take_one(portion, buffer, at, size, key_bytes)
        else:
            most = min(4 * alike, (end - at) // size, PORTION_RECORDS - len(portion))
            run = buffer[at : at + most * size]
            count = _count_alike(run, size)
            _take_run(portion, run[: count * size], at, size, key_bytes)
            alike += count - 1
            at += (count - 1) * size
        at += size
    return portion, at


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


def _count_alike(run: bytes, size: int) -> int:
    """How many records at the beginning of `run` are of the same kind and sizes as the first of them."""
    columns = (run[column::size] for column in _SHAPE_COLUMNS)
    return min(len(column) - len(column.lstrip(column[:1])) for column in columns)


def _take_run(portion: Portion, run: bytes, at: int, size: int, key_bytes: int) -> None:
    """Plain records of the same sizes: cut into columns by C code alone."""
    bodies = [body for (body,) in iter_unpack(f"{CHECK_BYTES}x{size - CHECK_BYTES}s", run)]
    digests = b"".join(map(xxh3_64_digest, bodies))
    if any(digests[i::8] != run[i::size] for i in range(CHECK_BYTES)):
        raise Doubt
    content_bytes = size - HEADER_BYTES - key_bytes
    portion.offsets += range(at, at + len(run), size)
    portion.hashed += bodies
    portion.keys += [key for (key,) in iter_unpack(f"{HEADER_BYTES}x{key_bytes}s{content_bytes}x", run)]
    portion.sizes += [size - HEADER_BYTES] * len(bodies)
