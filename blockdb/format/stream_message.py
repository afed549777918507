r"""Messages of the stream that is the log of a partition. Format page: docs/formats/stream-message.md.

    message  = check (8) | version u8 | sort u8 | piece u16 | pieces u16 | origin (8) | number u64 | data
    commands = (size u32 | command)*

The data are commands, numbered from `number` on; where they are more than a server takes in one message, a piece of
them. The messages of such pieces have all in common but `piece`, data and check.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from xxhash import xxh3_64_digest

from blockdb.format.frame import BadFrame

VERSION: Final = 1
CHECK_BYTES: Final = 8
MAX_PIECES: Final = 65_535

_HEAD: Final = Struct("<BBHH8sQ")
MESSAGE_BYTES: Final = CHECK_BYTES + _HEAD.size
"""How many bytes a message has beside its data."""
_SIZE: Final = Struct("<I")
SIZE_BYTES: Final = _SIZE.size


class Sort(IntEnum):
    """What a message is."""

    COMMANDS = 0
    """Commands, or a piece of them."""
    BARRIER = 1
    """Nothing: whoever sent it asks which sequence number it gets."""


class Message(NamedTuple):
    """A message, intact."""

    sort: Sort
    piece: int
    """From 0 on."""
    pieces: int
    origin: bytes
    """8 bytes that a node draws anew whenever it opens the log."""
    number: int
    """Of the first command, counted by its origin; barriers are counted apart."""
    data: bytes


_SORTS: Final = {int(sort): sort for sort in Sort}


def encode(message: Message) -> bytes:
    """A message as it is published. O(bytes)."""
    sort, piece, pieces, origin, number, data = message
    packed = _HEAD.pack(VERSION, sort, piece, pieces, origin, number) + data
    return xxh3_64_digest(packed) + packed


def encode_commands(origin: bytes, number: int, commands: Sequence[bytes], max_bytes: int) -> list[bytes]:
    """The messages of commands, of at most so many bytes each: one, if that is possible. O(bytes).

    Raises ValueError where it takes more than 65,535.
    """
    data = b"".join(part for command in commands for part in (_SIZE.pack(len(command)), command))
    room = max_bytes - MESSAGE_BYTES
    pieces = -(-len(data) // room) if room > 0 else MAX_PIECES + 1
    if pieces > MAX_PIECES:
        raise ValueError(f"{len(data)} bytes do not go into {MAX_PIECES} messages of {max_bytes} bytes")
    parts = [data] if pieces == 1 else [data[first : first + room] for first in range(0, len(data), room)]
    return [encode(Message(Sort.COMMANDS, piece, pieces, origin, number, part)) for piece, part in enumerate(parts)]


def decode(packed: bytes) -> Message:
    """A message that was read. Raises BadFrame where it is damaged, or of an unknown version."""
    body = packed[CHECK_BYTES:]
    if len(packed) < MESSAGE_BYTES or xxh3_64_digest(body) != packed[:CHECK_BYTES]:
        raise BadFrame("the check of the message does not match its bytes")
    version, sort, piece, pieces, origin, number = _HEAD.unpack_from(body)
    if version != VERSION or sort not in _SORTS or piece >= pieces:
        raise BadFrame(f"the message is of version {version}, which is not known: a newer BlockDB may have written it")
    return Message(_SORTS[sort], piece, pieces, origin, number, body[_HEAD.size :])


def commands_in(data: bytes) -> Iterator[bytes]:
    """The commands of data, all pieces of which are together. Raises BadFrame."""
    at = 0
    while at < len(data):
        try:
            (size,) = _SIZE.unpack_from(data, at)
        except StructError:
            raise BadFrame("the commands of the message end within one") from None
        at += SIZE_BYTES + size
        if at > len(data):
            raise BadFrame("the commands of the message end within one")
        yield data[at - size : at]
