r"""The log of transactions over several collections. Format page: docs/formats/transactions.md.

    "BlockDB txlog 1\n" (16) | database (16) | base u64 | check (4)
    decision = check 4 | type 0x44 | number u64 | byte count of what follows u64 | writes*
    writes   = collection (16) | record count u32 | (key length u16 | value length u32 | key | value)*

The bytes of the log are counted on and on, also when it is emptied: `base` is how many there were before the first one
of the file. The number of a transaction is where its decision begins, so counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, BadFrame, TornFrame, check_of, with_check
from blockdb.format.walk import DamagedChain

MAGIC: Final = b"BlockDB txlog 1\n"
DECISION: Final = 0x44  # "D"
_HEADER: Final = Struct("<16s16sQ")
HEADER_BYTES: Final = _HEADER.size + CHECK_BYTES
_DECISION: Final = Struct("<BQQ")
DECISION_BYTES: Final = CHECK_BYTES + _DECISION.size
_WRITES: Final = Struct("<16sI")
_RECORD: Final = Struct("<HI")


class LogHeader(NamedTuple):
    """Whose log it is, and how many bytes of it there were before this file."""

    database: bytes
    base: int


class Writes(NamedTuple):
    """What a transaction stores in one collection."""

    collection: bytes
    items: tuple[tuple[bytes, bytes], ...]


class Decision(NamedTuple):
    """That a transaction is to be done, and all that it stores."""

    number: int
    writes: tuple[Writes, ...]


def encode_header(header: LogHeader) -> bytes:
    """The first bytes of the file."""
    packed = _HEADER.pack(MAGIC, *header)
    return packed + check_of(packed)


def decode_header(buffer: Buffer) -> LogHeader:
    """The header of the file. Raises TornFrame where it is shorter than that, BadFrame where it is damaged."""
    if len(buffer) < HEADER_BYTES:
        raise TornFrame("the transaction log is shorter than its header")
    packed = buffer[: _HEADER.size]
    magic, database, base = _HEADER.unpack(packed)
    if magic != MAGIC or check_of(packed) != buffer[_HEADER.size : HEADER_BYTES]:
        raise BadFrame("the header of the transaction log is damaged, or of an unknown version")
    return LogHeader(database, base)


def encode(decision: Decision) -> bytes:
    """The frame of a decision. O(bytes)."""
    parts = [b""]
    for collection, items in decision.writes:
        parts.append(_WRITES.pack(collection, len(items)))
        for key, value in items:
            parts += (_RECORD.pack(len(key), len(value)), key, value)
    parts[0] = _DECISION.pack(DECISION, decision.number, sum(map(len, parts)))
    return with_check(b"".join(parts))


def decode(buffer: Buffer, offset: int) -> tuple[Decision, int]:
    """The decision that begins at `offset`, and how many bytes its frame has. Raises TornFrame or BadFrame."""
    try:
        type_, number, size = _DECISION.unpack_from(buffer, offset + CHECK_BYTES)
    except StructError:
        raise TornFrame("the file ends inside the header of a decision") from None
    if type_ != DECISION:
        raise BadFrame("no decision begins here")
    end = offset + DECISION_BYTES + size
    if end > len(buffer):
        raise TornFrame("the file ends inside a decision")
    body = buffer[offset + CHECK_BYTES : end]
    if check_of(body) != buffer[offset : offset + CHECK_BYTES]:
        raise BadFrame("the check of the decision does not match its bytes")
    return Decision(number, tuple(_writes_in(body))), end - offset


def walk(buffer: Buffer, base: int) -> Iterator[tuple[Decision, int]]:
    """The decisions of the file, each with the offset after it. Raises DamagedChain. O(bytes)."""
    offset = HEADER_BYTES
    while offset < len(buffer):
        try:
            decision, size = decode(buffer, offset)
            if decision.number != base + offset:
                raise BadFrame(f"the decision has the number {decision.number} of another place")
        except BadFrame as error:
            raise DamagedChain(offset, error) from None
        offset += size
        yield decision, offset


def _writes_in(body: bytes) -> Iterator[Writes]:
    """What a decision says that is stored. Raises BadFrame."""
    at = _DECISION.size
    try:
        while at < len(body):
            collection, count = _WRITES.unpack_from(body, at)
            at += _WRITES.size
            items = []
            for _ in range(count):
                key_bytes, value_bytes = _RECORD.unpack_from(body, at)
                split = at + _RECORD.size + key_bytes
                items.append((body[at + _RECORD.size : split], body[split : split + value_bytes]))
                at = split + value_bytes
            yield Writes(collection, tuple(items))
    except StructError:
        at = -1
    if at != len(body):
        raise BadFrame("the decision does not have the records that it announces")
