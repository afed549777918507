"""The header of an atomic batch. Format page: docs/formats/chain.md.

    check 4 | type 0x42 | record count u32 | byte count of the record frames that follow u64
    check 4 | type 0x54 | the same | number of the transaction u64

The records of a batch are there all or not at all: a reader that does not find every byte announced here ignores
the whole batch. The second header stands before what a transaction over several collections wrote to one of them: its
records count only if the transaction was decided (docs/formats/transactions.md).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, repeat
from operator import add
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from xxhash import xxh3_64_digest

from blockdb.format.buffer import Buffer
from blockdb.format.bulk import is_bulk
from blockdb.format.frame import BATCH, CHECK_BYTES, TRANSACTION, BadFrame, TornFrame, check_of, with_check
from blockdb.format.record import encode_frame, encode_head, encode_many, encode_redactable
from blockdb.format.sizes import are_same

_BODY: Final = Struct("<BIQ")
_TRANSACTION_BODY: Final = Struct("<BIQQ")
HEADER_BYTES: Final = CHECK_BYTES + _BODY.size
TRANSACTION_HEADER_BYTES: Final = CHECK_BYTES + _TRANSACTION_BODY.size
HEADERS: Final[Mapping[int, int]] = {BATCH: HEADER_BYTES, TRANSACTION: TRANSACTION_HEADER_BYTES}
"""The bytes of the header of a batch, by its type."""

_MOST_BULK_BYTES: Final = 8 * 1024 * 1024
"""Batches with larger values are not laid out in bulk, which needs memory for two more copies of them."""

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


class Laid(NamedTuple):
    """Records as they are written one behind the other."""

    bodies: list[bytes]
    frames: bytes
    """The frame around each of the bodies."""

    @property
    def body_bytes(self) -> int:
        """The bytes of all bodies. O(1)."""
        return len(self.frames) - CHECK_BYTES * len(self.bodies)

    def places(self, place: int) -> array[int]:
        """Where the records are, if the first one is at `place`. O(n)."""
        return places(place, self.bodies)

    def header(self, transaction: int = 0) -> bytes:
        """What stands before them if they are a batch."""
        return encode_header(BatchHeader(len(self.bodies), len(self.frames), transaction))


def lay(bodies: list[bytes]) -> Laid:
    """A record frame around each of `bodies`. O(bytes)."""
    return Laid(bodies, frames(bodies))


def lay_plain(time_ms: int, keys: Sequence[bytes], values: Sequence[bytes]) -> Laid:
    """Plain records that share their time. Half of the time where they share their sizes, and are many. O(bytes)."""
    if is_bulk(len(keys)):
        key_bytes, value_bytes = list(map(len, keys)), list(map(len, values))
        if are_same(key_bytes) and are_same(value_bytes) and sum(value_bytes) <= _MOST_BULK_BYTES:
            from blockdb.format import bulk_batch  # here: numpy takes as long to load as all the rest

            return Laid(*bulk_batch.lay(encode_head(time_ms, key_bytes[0], value_bytes[0]), keys, values))
    return lay(encode_many(time_ms, keys, values))


def encoders(
    redactable: bool, new_salt: Callable[[], bytes]
) -> tuple[Callable[[int, bytes, bytes], bytes], Callable[[int, Sequence[bytes], Sequence[bytes]], Laid]]:
    """How the records of a collection are encoded: the frame of one, and many that share their time."""
    if not redactable:
        return encode_frame, lay_plain

    def one(time_ms: int, key: bytes, value: bytes) -> bytes:
        return with_check(encode_redactable(time_ms, key, value, new_salt()))

    def many(time_ms: int, keys: Sequence[bytes], values: Sequence[bytes]) -> Laid:
        return lay(
            [encode_redactable(time_ms, key, value, new_salt()) for key, value in zip(keys, values, strict=True)]
        )

    return one, many


def encode(bodies: list[bytes], transaction: int = 0) -> bytes:
    """The frames of a whole batch: its header, then a record frame around each of `bodies`."""
    laid = lay(bodies)
    return laid.header(transaction) + laid.frames


def encode_header(header: BatchHeader) -> bytes:
    """The frame that stands before the records of a batch."""
    if header.transaction:
        return with_check(_TRANSACTION_BODY.pack(TRANSACTION, *header))
    return with_check(_BODY.pack(BATCH, header.records, header.size))


def frames(bodies: Sequence[bytes]) -> bytes:
    """A record frame around each of `bodies`: what follows the header, and also what stands for itself without one."""
    parts = [b""] * (2 * len(bodies))
    parts[::2] = [digest[:CHECK_BYTES] for digest in map(xxh3_64_digest, bodies)]
    parts[1::2] = bodies
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
