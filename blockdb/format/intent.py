r"""The log of intents: what a server was about to store when it was asked so that it may be asked again.

Format page: docs/formats/intents.md.

    "BlockDB intent 1" (16) | chance (16) | check (4)
    intent = check 4 | type 0x49 | parts u8 | size u16 | time ms u64 | name (16) | request (16) | parts*
    part   = collection (16) | next sequence u64 | record count u32 | first key (8) | all keys (16)

Names, requests and keys are digests, keyed with chance: nothing of what users store can be read there.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from hashlib import blake2b
from struct import Struct
from typing import Final, NamedTuple

from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, BadFrame, TornFrame, check_of, with_check

MAGIC: Final = b"BlockDB intent 1"
INTENT: Final = 0x49  # "I"
CHANCE_BYTES: Final = 16
DIGEST_BYTES: Final = 16
FIRST_BYTES: Final = 8
MAX_PARTS: Final = 255
_HEADER: Final = Struct("<16s16s")
HEADER_BYTES: Final = _HEADER.size + CHECK_BYTES
_INTENT: Final = Struct("<BBHQ16s16s")
_PART: Final = Struct("<16sQI8s16s")


class Part(NamedTuple):
    """What was to be stored in one collection."""

    collection: bytes
    next_sequence: int
    """How many records it had: what was to be stored has this sequence number or a later one."""
    records: int
    first: bytes
    keys: bytes


class Intent(NamedTuple):
    """That something was about to be stored, under a name that whoever asked for it had given."""

    time_ms: int
    name: bytes
    request: bytes
    parts: tuple[Part, ...]


class Digests:
    """Digests keyed with a secret: who does not have that cannot try what they might be of."""

    def __init__(self, secret: bytes) -> None:
        """`secret` has 64 bytes at most."""
        self._secret = secret

    def of(self, *parts: bytes) -> bytes:
        """Of these, one after the other, and of where each of them ends."""
        lengths = array("I", (len(parts), *map(len, parts))).tobytes()
        return blake2b(b"".join((lengths, *parts)), digest_size=DIGEST_BYTES, key=self._secret).digest()

    def part(self, collection: bytes, next_sequence: int, keys: list[bytes]) -> Part:
        """What is to be stored in a collection: these keys, in this order. O(n)."""
        digest = self.of(*keys)
        first = self.of(keys[0]) if len(keys) > 1 else digest
        return Part(collection, next_sequence, len(keys), first[:FIRST_BYTES], digest)


def encode_header(chance: bytes) -> bytes:
    """The first bytes of the file; `chance` is other for each."""
    packed = _HEADER.pack(MAGIC, chance)
    return packed + check_of(packed)


def decode_header(buffer: Buffer) -> bytes:
    """The chance in the header. Raises TornFrame or BadFrame."""
    if len(buffer) < HEADER_BYTES:
        raise TornFrame("the log of intents is shorter than its header")
    packed = buffer[: _HEADER.size]
    magic, chance = _HEADER.unpack(packed)
    if magic != MAGIC or check_of(packed) != buffer[_HEADER.size : HEADER_BYTES]:
        raise BadFrame("the header of the log of intents is damaged, or of an unknown version")
    return bytes(chance)


def encode(intent: Intent) -> bytes:
    """The frame of an intent, which has at most 255 parts."""
    size = CHECK_BYTES + _INTENT.size + len(intent.parts) * _PART.size
    head = _INTENT.pack(INTENT, len(intent.parts), size, intent.time_ms, intent.name, intent.request)
    for part in intent.parts:
        head += _PART.pack(*part)
    return with_check(head)


def decode(buffer: Buffer, offset: int) -> tuple[Intent, int]:
    """The intent that begins at `offset`, and how many bytes its frame has. Raises TornFrame or BadFrame."""
    body_at = offset + CHECK_BYTES
    if body_at + _INTENT.size > len(buffer):
        raise TornFrame("the file ends inside an intent")
    type_, count, size, time_ms, name, request = _INTENT.unpack_from(buffer, body_at)
    if type_ != INTENT or size != CHECK_BYTES + _INTENT.size + count * _PART.size:
        raise BadFrame("no intent begins here")
    if offset + size > len(buffer):
        raise TornFrame("the file ends inside an intent")
    body = buffer[body_at : offset + size]
    if check_of(body) != buffer[offset:body_at]:
        raise BadFrame("the check of the intent does not match its bytes")
    parts = (Part(*values) for values in _PART.iter_unpack(body[_INTENT.size :]))
    return Intent(time_ms, name, request, tuple(parts)), size


def walk(buffer: Buffer) -> Iterator[tuple[Intent, int]]:
    """The intents of a file, each with the offset after it, up to the first that is torn or damaged. O(bytes).

    Raises BadFrame where the header is.
    """
    decode_header(buffer)
    offset = HEADER_BYTES
    while offset < len(buffer):
        try:
            intent, size = decode(buffer, offset)
        except BadFrame:
            return
        offset += size
        yield intent, offset
