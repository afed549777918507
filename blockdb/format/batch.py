"""The header of an atomic batch. Format page: docs/formats/chain.md.

    check 4 | type 0x42 | record count u32 | byte count of the record frames that follow u64
    check 4 | type 0x54 | the same | number of the transaction u64

The records of a batch are there all or not at all: a reader that does not find every byte announced here ignores
the whole batch. The second header stands before what a transaction over several collections wrote to one of them: its
records count only if the transaction was decided (docs/formats/transactions.md).
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import accumulate, repeat
from operator import add
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from xxhash import xxh3_64_digest

from blockdb.format.buffer import Buffer
from blockdb.format.bulk import is_bulk
from blockdb.format.frame import BATCH, CHECK_BYTES, TRANSACTION, BadFrame, TornFrame, check_of, with_check
from blockdb.format.sizes import are_same

_BODY: Final = Struct("<BIQ")
_TRANSACTION_BODY: Final = Struct("<BIQQ")
HEADER_BYTES: Final = CHECK_BYTES + _BODY.size
TRANSACTION_HEADER_BYTES: Final = CHECK_BYTES + _TRANSACTION_BODY.size
HEADERS: Final[Mapping[int, int]] = {BATCH: HEADER_BYTES, TRANSACTION: TRANSACTION_HEADER_BYTES}
"""The bytes of the header of a batch, by its type."""

_TRANSACTION_TYPE: Final = bytes((TRANSACTION,))


class BatchHeader(NamedTuple):
    """What follows: so many records in `size` bytes."""

    records: int
    size: int
    transaction: int = 0
    """The number of the transaction over several collections that wrote them; 0: none did."""

    @property
    def header_bytes(self) -> int:
        """How many bytes the header has itself."""
        return TRANSACTION_HEADER_BYTES if self.transaction else HEADER_BYTES


def encode(bodies: list[bytes], transaction: int = 0) -> bytes:
    """The frames of a whole batch: its header, then a record frame around each of `bodies`."""
    size = sum(map(len, bodies)) + CHECK_BYTES * len(bodies)
    return frames(bodies, encode_header(BatchHeader(len(bodies), size, transaction)))


def encode_header(header: BatchHeader) -> bytes:
    """The frame that stands before the records of a batch."""
    if header.transaction:
        return with_check(_TRANSACTION_BODY.pack(TRANSACTION, *header))
    return with_check(_BODY.pack(BATCH, header.records, header.size))


def frames(bodies: list[bytes], header: bytes = b"") -> bytes:
    """A record frame around each of `bodies`: what follows the header, and also what stands for itself without one."""
    if is_bulk(len(bodies)) and are_same(sizes := list(map(len, bodies))):
        from blockdb.format import bulk_batch  # here: numpy takes as long to load as all the rest

        return header + bulk_batch.frames(bodies, sizes[0])
    parts = [header] * (2 * len(bodies) + 1)
    parts[1::2] = [digest[:CHECK_BYTES] for digest in map(xxh3_64_digest, bodies)]
    parts[2::2] = bodies
    return b"".join(parts)


def places(place: int, bodies: Sequence[bytes]) -> array[int]:
    """Where the records are whose frames follow each other from `place` on."""
    sizes = list(map(len, bodies))
    if is_bulk(len(sizes)):
        from blockdb.format import bulk_batch  # here: numpy takes as long to load as all the rest

        return bulk_batch.places(place, sizes)
    if are_same(sizes):  # in two thirds of the time
        step = sizes[0] + CHECK_BYTES
        return array("Q", range(place, place + step * len(sizes), step))
    return array("Q", accumulate(map(add, sizes[:-1], repeat(CHECK_BYTES)), initial=place))


def decode(buffer: Buffer, offset: int) -> BatchHeader:
    """The batch header at `offset`. Raises TornFrame or BadFrame."""
    kind = buffer[offset + CHECK_BYTES : offset + CHECK_BYTES + 1]
    is_transaction = kind == _TRANSACTION_TYPE
    unpack, size = (_TRANSACTION_BODY, TRANSACTION_HEADER_BYTES) if is_transaction else (_BODY, HEADER_BYTES)
    body = buffer[offset + CHECK_BYTES : offset + size]
    try:
        type_, *fields = unpack.unpack(body)
    except StructError:
        raise TornFrame("the file ends inside the header of a batch") from None
    if type_ not in HEADERS or check_of(body) != buffer[offset : offset + CHECK_BYTES]:
        raise BadFrame("the check of the batch header does not match its bytes")
    if is_transaction and not fields[-1]:
        raise BadFrame("the batch is that of a transaction without a number")
    return BatchHeader(*fields)
