"""How far the replicated log is in a database, and what became of commands. Format page: docs/formats/applied.md.

magic (16) | check of what follows (8) | MessagePack
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final, TypeVar

import msgspec
from xxhash import xxh3_64_digest

from blockdb.format.frame import BadFrame

__all__ = ["Applied", "Begun", "Outcome", "decode_applied", "decode_outcomes", "encode_applied", "encode_outcomes"]

APPLIED_MAGIC: Final = b"BlockDB applied1"
OUTCOMES_MAGIC: Final = b"BlockDB outcome1"
HEAD_MAGIC: Final = b"BlockDB node cp1"
MAX_PART_BYTES: Final = 1 << 30
_SIZES: Final = Struct("<16sQQ")
SIZES_BYTES: Final = _SIZES.size
_CHECK_BYTES: Final = 8
_HEADER_BYTES: Final = len(APPLIED_MAGIC) + _CHECK_BYTES

T = TypeVar("T")


class Begun(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A command that changes more than records, and may be done in part."""

    index: int
    time_ms: int
    seed: bytes
    told_from: int
    """How many events the journal had before it."""
    note: bytes = b""
    """What has to be known of the state before to do the rest of it."""


class Applied(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Everything up to `index` is in the database, on the disk."""

    index: int
    time_ms: int
    """The time of the last command."""
    counts: dict[bytes, int]
    """How many records each collection had, by the 16 bytes of its UUID."""
    outcomes: tuple[int, ...] = ()
    """The files that have the outcomes, the oldest first."""
    begun: Begun | None = None
    erased_index: int = 0
    """Commands up to this one hold values that were redacted since: the log should not keep them."""


class Outcome(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What became of a command."""

    id: bytes
    digest: bytes
    """Of what it was: 8 bytes."""
    value: Any
    """What it gave."""
    failure: tuple[str, str, list[Any]] | None = None
    """Why it was refused: kind, message and arguments of the error."""


_encoder: Final = msgspec.msgpack.Encoder()
_applied_decoder: Final = msgspec.msgpack.Decoder(Applied)
_outcomes_decoder: Final = msgspec.msgpack.Decoder(list[Outcome])


def encode_applied(applied: Applied) -> bytes:
    """The bytes of the mark."""
    return _framed(APPLIED_MAGIC, applied)


def decode_applied(data: bytes) -> Applied:
    """The mark. Raises BadFrame."""
    return _decoded(APPLIED_MAGIC, data, _applied_decoder)


def encode_outcomes(outcomes: list[Outcome]) -> bytes:
    """The bytes of a file of outcomes."""
    return _framed(OUTCOMES_MAGIC, outcomes)


def decode_outcomes(data: bytes) -> list[Outcome]:
    """Outcomes, in the order in which the commands were applied. Raises BadFrame."""
    return _decoded(OUTCOMES_MAGIC, data, _outcomes_decoder)


def encode_head(applied: Applied, outcomes: list[Outcome]) -> bytes:
    """The beginning of a copy of a node's database, before the backup: sizes, then both as they stand in files."""
    mark, table = encode_applied(applied), encode_outcomes(outcomes)
    return _SIZES.pack(HEAD_MAGIC, len(mark), len(table)) + mark + table


def decode_sizes(data: bytes) -> tuple[int, int]:
    """How many bytes the mark and the outcomes have that follow. Raises BadFrame."""
    magic, mark, table = _SIZES.unpack(data)
    if magic != HEAD_MAGIC or max(mark, table) > MAX_PART_BYTES:
        raise BadFrame("it is no copy of a node's database, or one of an unknown version")
    return mark, table


def _framed(magic: bytes, values: object) -> bytes:
    body = _encoder.encode(values)
    return magic + xxh3_64_digest(magic + body) + body


def _decoded(magic: bytes, data: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T:
    body = data[_HEADER_BYTES:]
    if data[: len(magic)] != magic or data[len(magic) : _HEADER_BYTES] != xxh3_64_digest(magic + body):
        raise BadFrame("it is damaged, or of an unknown version")
    try:
        return decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise BadFrame(f"its contents are not as they should be: {error}") from None
