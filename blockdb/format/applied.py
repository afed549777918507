"""How far the replicated log is in a database, and what became of commands. Format page: docs/formats/applied.md.

magic (16) | check of what follows (8) | MessagePack
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any, Final, TypeVar

import msgspec
from xxhash import xxh3_64_digest

from blockdb.format.frame import BadFrame

__all__ = [
    "Applied",
    "Begun",
    "Decided",
    "Outcome",
    "Prepared",
    "Unfinished",
    "decode_applied",
    "decode_head",
    "decode_outcomes",
    "decode_unfinished",
    "encode_applied",
    "encode_head",
    "encode_outcomes",
    "encode_unfinished",
]

APPLIED_MAGIC: Final = b"BlockDB applied1"
OUTCOMES_MAGIC: Final = b"BlockDB outcome1"
PENDING_MAGIC: Final = b"BlockDB pending1"
HEAD_MAGIC: Final = b"BlockDB node cp1"
PENDING_HEAD_MAGIC: Final = b"BlockDB node cp2"
MAX_PART_BYTES: Final = 1 << 30
_SIZES: Final = Struct("<16sQQ")
_SIZE: Final = Struct("<Q")
SIZES_BYTES: Final = _SIZES.size
SIZE_BYTES: Final = _SIZE.size
_CHECK_BYTES: Final = 8
_UNKNOWN_HEAD: Final = "it is no copy of a node's database, or one of an unknown version"
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
    pending: int = 0
    """The file that has the transactions over several partitions which have not ended; 0: there are none."""
    tokens: tuple[dict[str, Any], ...] = ()
    """The tokens of the cluster, each as in the file of tokens, with the hash of its secret alone."""


class Outcome(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What became of a command."""

    id: bytes
    digest: bytes
    """Of what it was: 8 bytes."""
    value: Any
    """What it gave."""
    failure: tuple[str, str, list[Any]] | None = None
    """Why it was refused: kind, message and arguments of the error."""


class Prepared(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The part that a partition has in a transaction whose end it does not know yet."""

    time_ms: int
    """When it was prepared."""
    seed: bytes
    """What salts follow from."""
    content: bytes
    """The content of its command."""


class Decided(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A transaction that was committed here, its home, and is not known to be through everywhere."""

    transaction: bytes
    others: tuple[str, ...]
    """The other partitions that have a part in it."""


class Unfinished(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a partition has to know of transactions over several of them, each in the order of the commands."""

    pending: tuple[Prepared, ...] = ()
    decided: tuple[Decided, ...] = ()
    aborted: tuple[bytes, ...] = ()
    """The last ones that ended before they were prepared here."""


_encoder: Final = msgspec.msgpack.Encoder()
_applied_decoder: Final = msgspec.msgpack.Decoder(Applied)
_outcomes_decoder: Final = msgspec.msgpack.Decoder(list[Outcome])
_unfinished_decoder: Final = msgspec.msgpack.Decoder(Unfinished)


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


def encode_unfinished(unfinished: Unfinished) -> bytes:
    """The bytes of the file of transactions that have not ended."""
    return _framed(PENDING_MAGIC, unfinished)


def decode_unfinished(data: bytes) -> Unfinished:
    """What is known of transactions that have not ended. Raises BadFrame."""
    return _decoded(PENDING_MAGIC, data, _unfinished_decoder)


def encode_head(applied: Applied, outcomes: list[Outcome], unfinished: Unfinished) -> bytes:
    """The beginning of a copy of a node's database, before the backup: sizes, then all as they stand in files."""
    mark, table = encode_applied(applied), encode_outcomes(outcomes)
    if unfinished == Unfinished():
        return _SIZES.pack(HEAD_MAGIC, len(mark), len(table)) + mark + table
    rest = encode_unfinished(unfinished)
    return _SIZES.pack(PENDING_HEAD_MAGIC, len(mark), len(table)) + _SIZE.pack(len(rest)) + mark + table + rest


def decode_head(read: Callable[[int], bytes]) -> tuple[Applied, list[Outcome], Unfinished]:
    """What a copy begins with, of which `read` gives so many bytes. Raises BadFrame."""
    magic, mark, table = _SIZES.unpack(read(SIZES_BYTES))
    rest = 0
    if magic == PENDING_HEAD_MAGIC:
        (rest,) = _SIZE.unpack(read(SIZE_BYTES))
    elif magic != HEAD_MAGIC:
        raise BadFrame(_UNKNOWN_HEAD)
    if max(mark, table, rest) > MAX_PART_BYTES:
        raise BadFrame(_UNKNOWN_HEAD)
    applied, outcomes = decode_applied(read(mark)), decode_outcomes(read(table))
    return applied, outcomes, decode_unfinished(read(rest)) if rest else Unfinished()


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
