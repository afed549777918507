"""Records: one key and its value, as they stand in the chain. Format page: docs/formats/chain.md.

    check 4 | type 0x00 | kind u8 | time_ms u48 | key length u16 | value length u32 | key | content

All integers are little-endian; the time is stored as its upper 16 bits, then its lower 32. The content of a plain
record is the value. That of a redactable record is `SHA-256(salt | value) (32) | salt (16) | value`, and its leaf
covers the record only up to that digest: salt and value can be erased while the leaf stays what it was. Zeros of the
same length stand for them then, and `REDACTED` for the value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import repeat
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from xxhash import xxh3_64_digest

from blockdb.format.buffer import Buffer
from blockdb.format.bulk import READINGS
from blockdb.format.frame import CHECK_BYTES, RECORD, BadFrame, TornFrame
from blockdb.format.place import OFFSET_BITS, OFFSET_MASK
from blockdb.format.sizes import are_same
from blockdb.types import REDACTED

PLAIN: Final = 1
REDACTABLE: Final = 2
KINDS: Final = frozenset((PLAIN, REDACTABLE))

SALT_BYTES: Final = 16
DIGEST_BYTES: Final = 32
SEALED_CONTENT_BYTES: Final = DIGEST_BYTES + SALT_BYTES

_BODY: Final = Struct("<BBHIHI")
_SIZES: Final = Struct("<HI")
"""What it ends with."""
BODY_HEADER_BYTES: Final = _BODY.size
HEADER_BYTES: Final = CHECK_BYTES + BODY_HEADER_BYTES

_pack = _BODY.pack
_unpack_frame = Struct("<4sBBHIHI").unpack_from
unpack_sizes = Struct("<4sH6xHI").unpack_from
PLAIN_RECORD: Final = PLAIN << 8 | RECORD
"""Type and kind of a plain record, read as one number."""


class RecordFrame(NamedTuple):
    """A record as decoded from the chain; `size` is the bytes that its frame takes there."""

    kind: int
    time_ms: int
    key: bytes
    value: bytes
    body: bytes
    size: int

    @property
    def leaf(self) -> bytes:
        """The bytes whose SHA-256 is the leaf hash: 0x00, then the leaf data of RFC 6962."""
        return leaf_of(self.body)

    @property
    def data_bytes(self) -> int:
        """The bytes of key and value, as many as there were before the value was erased."""
        return len(self.body) - BODY_HEADER_BYTES - (SEALED_CONTENT_BYTES if self.kind == REDACTABLE else 0)

    @property
    def is_redacted(self) -> bool:
        """Whether the value was erased."""
        return self.value is REDACTED


def encode(time_ms: int, key: bytes, value: bytes) -> bytes:
    """The body of a plain record: its frame without the check, and at the same time the input of its leaf hash."""
    return encode_frame(time_ms, key, value)[CHECK_BYTES:]


def encode_frame(time_ms: int, key: bytes, value: bytes) -> bytes:
    """The frame of a plain record. Every put calls this, so it calls no other function of ours."""
    body = _pack(RECORD, PLAIN, time_ms >> 32, time_ms & 0xFFFFFFFF, len(key), len(value)) + key + value
    return xxh3_64_digest(body)[:CHECK_BYTES] + body


def encode_head(time_ms: int, key_bytes: int, value_bytes: int) -> bytes:
    """What the body of a plain record begins with, before key and value."""
    return _pack(RECORD, PLAIN, time_ms >> 32, time_ms & 0xFFFFFFFF, key_bytes, value_bytes)


def encode_many(time_ms: int, keys: Sequence[bytes], values: Sequence[bytes]) -> list[bytes]:
    """`encode` for every record of a batch; they share their time. A third of the time where they share their sizes."""
    key_bytes, value_bytes = list(map(len, keys)), list(map(len, values))
    if are_same(key_bytes) and are_same(value_bytes):
        header = encode_head(time_ms, key_bytes[0], value_bytes[0])
        return list(map(b"".join, zip(repeat(header, len(keys)), keys, values, strict=True)))
    start = encode_head(time_ms, 0, 0)[: -_SIZES.size]
    sizes = map(_SIZES.pack, key_bytes, value_bytes)
    return list(map(b"".join, zip(repeat(start, len(keys)), sizes, keys, values, strict=True)))


def encode_redactable(time_ms: int, key: bytes, value: bytes, salt: bytes) -> bytes:
    """The body of a redactable record. `salt` is 16 bytes that nobody can guess."""
    size = SEALED_CONTENT_BYTES + len(value)
    header = _pack(RECORD, REDACTABLE, time_ms >> 32, time_ms & 0xFFFFFFFF, len(key), size)
    return b"".join((header, key, sha256(salt + value).digest(), salt, value))


def leaves_of(bodies: Sequence[bytes]) -> Sequence[bytes]:
    """`leaf_of` for the bodies of records that are all of the same kind."""
    return bodies if bodies[0][1] == PLAIN else list(map(leaf_of, bodies))


def leaf_of(body: bytes) -> bytes:
    """The part of a record's body that its leaf hash covers: all of a plain one, a redactable one to its digest."""
    if body[1] == PLAIN:
        return body
    return body[: BODY_HEADER_BYTES + int.from_bytes(body[8:10], "little") + DIGEST_BYTES]


def time_of(body: bytes) -> int:
    """The time in a record's body, in Unix milliseconds."""
    _, _, high, low, _, _ = _BODY.unpack_from(body)
    return int(high << 32 | low)


def key_of(body: bytes) -> bytes:
    """The key in a record's body."""
    return body[BODY_HEADER_BYTES : BODY_HEADER_BYTES + int.from_bytes(body[8:10], "little")]


def data_bytes_of(bodies: Sequence[bytes]) -> int:
    """How many bytes of keys and values these record bodies have; all are of the same kind."""
    if not bodies:
        return 0
    return sum(map(len, bodies)) - beside_bytes(bodies[0][1] == REDACTABLE) * len(bodies)


def beside_bytes(redactable: bool) -> int:
    """How many bytes a record's body has beside key and value."""
    return BODY_HEADER_BYTES + SEALED_CONTENT_BYTES * redactable


def decode(buffer: Buffer, offset: int) -> RecordFrame:
    """The record whose frame begins at `offset`.

    Raises TornFrame where the buffer ends inside of it, BadFrame where it is no intact record.
    """
    check, kind, time_ms, key_end, end = _header(buffer, offset)
    body = buffer[offset + CHECK_BYTES : end]
    if xxh3_64_digest(body)[:CHECK_BYTES] != check:
        raise BadFrame("the check of the record does not match its bytes")
    split = key_end - offset - CHECK_BYTES
    key, value = body[BODY_HEADER_BYTES:split], body[split:]
    if kind == PLAIN:
        return RecordFrame(kind, time_ms, key, value, body, end - offset)
    digest, sealed = value[:DIGEST_BYTES], value[DIGEST_BYTES:]
    if sha256(sealed).digest() == digest:
        value = sealed[SALT_BYTES:]
    elif not sealed.strip(b"\0"):
        value = REDACTED
    else:
        raise BadFrame("the value of the redactable record does not match its digest")
    return RecordFrame(kind, time_ms, key, value, body, end - offset)


def redacted(body: bytes) -> bytes:
    """The body of a redactable record without its salt and its value: as long as it was, with the same leaf."""
    return leaf_of(body).ljust(len(body), b"\0")


def _header(buffer: Buffer, offset: int) -> tuple[bytes, int, int, int, int]:
    try:
        check, type_, kind, high, low, key_bytes, content_bytes = _unpack_frame(buffer, offset)
    except StructError:
        raise TornFrame("the file ends inside the header of a record") from None
    if type_ != RECORD or kind not in KINDS or not key_bytes:
        raise BadFrame("no record begins here")
    if kind == REDACTABLE and content_bytes < SEALED_CONTENT_BYTES:
        raise BadFrame("the redactable record is too short")
    key_end = offset + HEADER_BYTES + key_bytes
    end = key_end + content_bytes
    if end > len(buffer):
        raise TornFrame("the file ends inside a record")
    return check, kind, high << 32 | low, key_end, end


def end_of(buffer: Buffer, offset: int) -> int:
    """Where the frame of the record at `offset` ends, by its header alone."""
    header = _unpack_frame(buffer, offset)
    return offset + HEADER_BYTES + int(header[5]) + int(header[6])


def time_and_end(buffer: Buffer, offset: int) -> tuple[int, int]:
    """When the record at `offset` was stored, and where its frame ends. Raises TornFrame or BadFrame."""
    _, _, time_ms, _, end = _header(buffer, offset)
    return time_ms, end


def item_at(buffer: Buffer, offset: int) -> tuple[bytes, bytes]:
    """The key and the value of the record at `offset`: what `decode` does, and no more than a reader needs.

    Raises BadFrame as `decode` does.
    """
    try:
        check, kind, key_bytes, content_bytes = unpack_sizes(buffer, offset)
    except StructError:
        raise TornFrame("the file ends inside the header of a record") from None
    body = buffer[offset + CHECK_BYTES : offset + HEADER_BYTES + key_bytes + content_bytes]
    if kind != PLAIN_RECORD or xxh3_64_digest(body)[:CHECK_BYTES] != check:
        frame = decode(buffer, offset)
        return frame.key, frame.value
    split = BODY_HEADER_BYTES + key_bytes
    return body[BODY_HEADER_BYTES:split], body[split:]


def items_at(buffers: Sequence[Buffer], places: Sequence[int]) -> list[tuple[bytes, bytes]]:
    """`item_at` for the records at many places, `buffers` being the chain files; in bulk where that pays. O(bytes).

    Raises BadFrame as `decode` does, and IndexError where there is no such buffer.
    """
    if READINGS.count(len(places)):
        from blockdb.format.gather import items_at as gathered  # here: numpy takes as long to load as all the rest

        return gathered(buffers, places)
    return each_at(buffers, places)


def each_at(buffers: Sequence[Buffer], places: Iterable[int]) -> list[tuple[bytes, bytes]]:
    """The same, one by one."""
    unpack, digest = unpack_sizes, xxh3_64_digest
    items = []
    for place in places:
        buffer, offset = buffers[place >> OFFSET_BITS], place & OFFSET_MASK
        try:
            check, kind, key_bytes, content_bytes = unpack(buffer, offset)
        except StructError:
            raise TornFrame("the file ends inside the header of a record") from None
        body = buffer[offset + CHECK_BYTES : offset + HEADER_BYTES + key_bytes + content_bytes]
        if kind != PLAIN_RECORD or digest(body)[:CHECK_BYTES] != check:
            items.append(item_at(buffer, offset))
            continue
        split = BODY_HEADER_BYTES + key_bytes
        items.append((body[BODY_HEADER_BYTES:split], body[split:]))
    return items


def key_at(buffer: Buffer, offset: int) -> bytes:
    """The key of the record at `offset`, its bytes checked like those of `item_at`."""
    return item_at(buffer, offset)[0]
