"""Blocks: the header that is hashed, and the seal that carries it in the chain. Format page: docs/formats/block.md.

The header is a function of the records and their order alone, so that whoever has the same records gets the same
hash. What differs from node to node (signature, place) stands beside it in the seal.
"""

from __future__ import annotations

from hashlib import sha256
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, SEAL, BadFrame, TornFrame, check_of, with_check

TAG: Final = b"BlockDB block 1\n"
HASH_BYTES: Final = 32
GENESIS: Final = bytes(HASH_BYTES)
"""What the first block names as the hash of the block before it."""

UNSIGNED: Final = bytes(64)
NO_KEY: Final = bytes(8)
"""What stands for signature and key id before a block is signed; never on the disk."""

_HEADER: Final = Struct("<16s16sQQIQQQ32s32s")
_SEAL: Final = Struct("<BI")
_BESIDE: Final = Struct("<64s8sQ")
_PREFIX_BYTES: Final = CHECK_BYTES + _SEAL.size


class BlockHeader(NamedTuple):
    """What a block's hash covers."""

    collection: bytes
    """The 16 bytes of the collection's UUID: a block of one collection is none of another's."""
    number: int
    first_sequence: int
    records: int
    data_bytes: int
    first_time_ms: int
    last_time_ms: int
    previous_hash: bytes
    root: bytes
    """Root of the RFC 6962 tree over all records of the collection up to the last of this block."""

    def encode(self) -> bytes:
        """The hashed bytes."""
        return _HEADER.pack(TAG, *self)

    def hash(self) -> bytes:
        """The block's hash: SHA-256 over `encode()`."""
        return sha256(self.encode()).digest()


class Seal(NamedTuple):
    """A block header with what stands beside it."""

    header: BlockHeader
    signature: bytes
    """Ed25519 over the block's hash, see blockdb.ledger.signature."""
    key_id: bytes
    first_place: int
    """Where the frame of the block's first record begins."""
    frontier: tuple[bytes, ...]
    """The perfect subtrees of the tree before this block, largest first: what it takes to check the block alone."""


def encode_seal(seal: Seal) -> bytes:
    """The frame that seals a block."""
    rest = seal.header.encode() + _BESIDE.pack(seal.signature, seal.key_id, seal.first_place) + b"".join(seal.frontier)
    return with_check(_SEAL.pack(SEAL, len(rest)) + rest)


def seal_bytes(prefix: bytes) -> int:
    """How many bytes the frame has that begins with these (nine or more)."""
    return _PREFIX_BYTES + int(_SEAL.unpack_from(prefix, CHECK_BYTES)[1])


def decode_seal(buffer: Buffer, offset: int) -> tuple[Seal, int]:
    """The seal at `offset` and the bytes that its frame takes. Raises TornFrame or BadFrame."""
    try:
        type_, size = _SEAL.unpack_from(buffer, offset + CHECK_BYTES)
    except StructError:
        raise TornFrame("the file ends inside the header of a seal") from None
    if type_ != SEAL:
        raise BadFrame("no seal begins here")
    end = offset + _PREFIX_BYTES + size
    if end > len(buffer):
        raise TornFrame("the file ends inside a seal")
    body = buffer[offset + CHECK_BYTES : end]
    frontier_bytes = size - _HEADER.size - _BESIDE.size
    if check_of(body) != buffer[offset : offset + CHECK_BYTES] or frontier_bytes < 0 or frontier_bytes % HASH_BYTES:
        raise BadFrame("the check of the seal does not match its bytes")
    tag, *fields = _HEADER.unpack_from(body, _SEAL.size)
    if tag != TAG:
        raise BadFrame("the seal is of an unknown kind of block")
    beside = _SEAL.size + _HEADER.size
    signature, key_id, first_place = _BESIDE.unpack_from(body, beside)
    hashes = body[beside + _BESIDE.size :]
    frontier = tuple(hashes[i : i + HASH_BYTES] for i in range(0, frontier_bytes, HASH_BYTES))
    return Seal(BlockHeader(*fields), signature, key_id, first_place, frontier), end - offset
