"""The node file: the upper nodes of a collection's Merkle tree. Format page: docs/formats/nodes.md.

    header (64 bytes) | node (32 bytes) | node | ...

The nodes are those of the tree over the roots of chunks of 256 leaves, in the order in which they are complete: a
chunk, then every node of which it is the last part. So the file only grows, and the place of each node follows from
its level and number.
"""

from __future__ import annotations

from typing import Final

from xxhash import xxh3_64_digest

from blockdb.format.buffer import Buffer
from blockdb.format.frame import BadFrame

MAGIC: Final = b"BlockDB nodes 1\n"
NODE_BYTES: Final = 32
HEADER_BYTES: Final = 64


def encode_header(collection: bytes) -> bytes:
    """The header of the file of a collection (16 bytes of its UUID)."""
    head = MAGIC + collection
    return (head + xxh3_64_digest(head)).ljust(HEADER_BYTES, b"\0")


def check_header(buffer: Buffer, collection: bytes) -> None:
    """Raises BadFrame where the file does not begin as that of this collection does."""
    if buffer[:HEADER_BYTES] != encode_header(collection):
        raise BadFrame("the header is not that of the collection's node file")


def index_of(level: int, number: int) -> int:
    """How many nodes stand before this one: `number` counts the nodes of its level, chunks being level 0."""
    last = ((number + 1) << level) - 1  # the chunk that completes it
    return count_of(last) + level


def count_of(chunks: int) -> int:
    """How many nodes the file has for so many chunks."""
    return 2 * chunks - chunks.bit_count()


def chunks_in(size: int) -> int:
    """For how many chunks a file of so many bytes has all nodes."""
    nodes = max(size - HEADER_BYTES, 0) // NODE_BYTES
    chunks = nodes // 2
    while count_of(chunks + 1) <= nodes:
        chunks += 1
    return chunks


def size_of(chunks: int) -> int:
    """How many bytes the file has for so many chunks."""
    return HEADER_BYTES + count_of(chunks) * NODE_BYTES


def offset_of(level: int, number: int) -> int:
    """Where a node stands."""
    return HEADER_BYTES + index_of(level, number) * NODE_BYTES


def node(buffer: Buffer, level: int, number: int) -> bytes:
    """A node. Short where the file ends before it."""
    offset = offset_of(level, number)
    return bytes(buffer[offset : offset + NODE_BYTES])
