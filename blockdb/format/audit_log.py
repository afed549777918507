r"""The audit log: who did what. Format page: docs/formats/audit-log.md.

    "BlockDB acts 1\n\0" (16) | database (16) | file number u32 | first sequence u64 | previous (32) | check (4)
    entry = check 4 | type 0x41 | payload length u32 | previous (32) | payload

`previous` is the hash of the entry before, so the hash of the last one covers them all. The payload is a MessagePack
array with the fields of `Act`.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from struct import Struct
from typing import Any, Final, NamedTuple

import msgspec
from xxhash import xxh3_64_digest

from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, BadFrame, TornFrame, check_of
from blockdb.format.walk import DamagedChain
from blockdb.types import Act

MAGIC: Final = b"BlockDB acts 1\n\0"
ENTRY: Final = 0x41  # "A"
HASH_BYTES: Final = 32
FIRST: Final = bytes(HASH_BYTES)
"""What the first entry of a log names as the hash of the one before."""

MAX_KEY_BYTES: Final = 64
"""A longer key is shortened to its first 48 bytes and the first 16 of its SHA-256."""
MAX_TEXT: Final = 200
"""A text has so many characters at most."""
MAX_PAYLOAD_BYTES: Final = 8192

_HEADER: Final = Struct(f"<16s16sIQ{HASH_BYTES}s")
HEADER_BYTES: Final = _HEADER.size + CHECK_BYTES
_ENTRY: Final = Struct(f"<BI{HASH_BYTES}s")
ENTRY_BYTES: Final = CHECK_BYTES + _ENTRY.size
"""How many bytes an entry has beside its payload."""

_KEPT_KEY_BYTES: Final = 48
_USUAL_PAYLOAD_BYTES: Final = MAX_TEXT
"""No text of a payload that is not longer than this can be too long."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Act).decode


class FileHeader(NamedTuple):
    """Whose log it is, which file of it, and the entry that comes first."""

    database: bytes
    number: int
    first_sequence: int
    previous: bytes
    """The hash of the entry before that."""


class Entry(NamedTuple):
    """An entry as it stands in a file."""

    act: Act
    hash: bytes
    end: int
    """The offset after it."""


def encode_header(header: FileHeader) -> bytes:
    """The first bytes of a file."""
    packed = _HEADER.pack(MAGIC, *header)
    return packed + check_of(packed)


def decode_header(buffer: Buffer) -> FileHeader:
    """The header of a file. Raises TornFrame where it is shorter than that, BadFrame where it is damaged."""
    if len(buffer) < HEADER_BYTES:
        raise TornFrame("the file is shorter than its header")
    packed = buffer[: _HEADER.size]
    magic, *fields = _HEADER.unpack(packed)
    if magic != MAGIC or check_of(packed) != buffer[_HEADER.size : HEADER_BYTES]:
        raise BadFrame("the header of the file is damaged, or of an unknown version")
    return FileHeader(*fields)


def encode(act: Act, previous: bytes) -> tuple[bytes, bytes]:
    """The frame of an entry after the one with that hash, and its own hash. O(bytes)."""
    try:
        payload = _encode(act)
    except UnicodeEncodeError:
        payload = b""
    if not 0 < len(payload) <= _USUAL_PAYLOAD_BYTES or len(act.key) > MAX_KEY_BYTES:
        payload = _encode(shortened(act))
    body = _ENTRY.pack(ENTRY, len(payload), previous) + payload
    return xxh3_64_digest(body)[:CHECK_BYTES] + body, sha256(body).digest()


def shortened(act: Act) -> Act:
    """An entry as it is stored: its key and its texts not longer than they may be, and the texts such as UTF-8 has."""
    texts: dict[str, Any] = {name: _text(value) for name, value in act._asdict().items() if isinstance(value, str)}
    key = act.key
    if len(key) > MAX_KEY_BYTES:
        key = key[:_KEPT_KEY_BYTES] + sha256(key).digest()[: MAX_KEY_BYTES - _KEPT_KEY_BYTES]
    return act._replace(key=key, **texts)


def _text(text: str) -> str:
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def decode(buffer: Buffer, offset: int, previous: bytes) -> Entry:
    """The entry that begins at `offset`, after the one with that hash. Raises TornFrame or BadFrame."""
    head = buffer[offset : offset + ENTRY_BYTES]
    if len(head) < ENTRY_BYTES:
        raise TornFrame("the file ends inside the header of an entry")
    type_, size, before = _ENTRY.unpack_from(head, CHECK_BYTES)
    if type_ != ENTRY or size > MAX_PAYLOAD_BYTES:
        raise BadFrame("no entry begins here")
    end = offset + ENTRY_BYTES + size
    if end > len(buffer):
        raise TornFrame("the file ends inside an entry")
    body = buffer[offset + CHECK_BYTES : end]
    if check_of(body) != head[:CHECK_BYTES]:
        raise BadFrame("the check of the entry does not match its bytes")
    if before != previous:
        raise BadFrame("the entry does not name the hash of the one before it: one of them was changed, or moved")
    try:
        return Entry(_decode(body[_ENTRY.size :]), sha256(body).digest(), end)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadFrame("the entry is intact and cannot be read") from None


class Position(NamedTuple):
    """Where in a file one is: the offset, the number of the entry there, and the hash of the one before."""

    offset: int
    sequence: int
    previous: bytes


def start_of(header: FileHeader) -> Position:
    """Where the first entry of a file is."""
    return Position(HEADER_BYTES, header.first_sequence, header.previous)


def walk(buffer: Buffer, start: Position) -> Iterator[tuple[Act, Position]]:
    """The entries of a file from a position on, each with the one after it. O(bytes).

    Raises DamagedChain, whose offset is that of the first entry that is not as it should be.
    """
    offset, sequence, previous = start
    while offset < len(buffer):
        try:
            act, previous, offset_after = decode(buffer, offset, previous)
            if act.sequence != sequence:
                raise BadFrame(f"the entry has the number {act.sequence} where {sequence} should follow")
        except BadFrame as error:
            raise DamagedChain(offset, error) from None
        offset, sequence = offset_after, sequence + 1
        yield act, Position(offset, sequence, previous)
