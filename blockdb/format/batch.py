"""The header of an atomic batch. Format page: docs/formats/chain.md.

    check 4 | type 0x42 | record count u32 | byte count of the record frames that follow u64

The records of a batch are there all or not at all: a reader that does not find every byte announced here ignores
the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from xxhash import xxh3_64_digest

from blockdb.format.buffer import Buffer
from blockdb.format.frame import BATCH, CHECK_BYTES, BadFrame, TornFrame, check_of, with_check

_BODY: Final = Struct("<BIQ")
HEADER_BYTES: Final = CHECK_BYTES + _BODY.size


class BatchHeader(NamedTuple):
    """What follows: so many records in `size` bytes."""

    records: int
    size: int


def encode(bodies: list[bytes]) -> bytes:
    """The frames of a whole batch: its header, then a record frame around each of `bodies`."""
    together = frames(bodies)
    return encode_header(BatchHeader(len(bodies), len(together))) + together


def encode_header(header: BatchHeader) -> bytes:
    """The frame that stands before the records of a batch."""
    return with_check(_BODY.pack(BATCH, *header))


def frames(bodies: list[bytes]) -> bytes:
    """A record frame around each of `bodies`: what follows the header, and also what stands for itself without one."""
    digest = xxh3_64_digest
    return b"".join([digest(body)[:CHECK_BYTES] + body for body in bodies])


def places(place: int, bodies: Sequence[bytes]) -> list[int]:
    """Where the records are whose frames follow each other from `place` on."""
    sizes = map(CHECK_BYTES.__add__, map(len, bodies[:-1]))
    return list(accumulate(sizes, initial=place))


def decode(buffer: Buffer, offset: int) -> BatchHeader:
    """The batch header at `offset`. Raises TornFrame or BadFrame."""
    body = buffer[offset + CHECK_BYTES : offset + HEADER_BYTES]
    try:
        type_, count, size = _BODY.unpack(body)
    except StructError:
        raise TornFrame("the file ends inside the header of a batch") from None
    if type_ != BATCH or check_of(body) != buffer[offset : offset + CHECK_BYTES]:
        raise BadFrame("the check of the batch header does not match its bytes")
    return BatchHeader(count, size)
