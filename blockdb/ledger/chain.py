"""The chain: sealing records into blocks, and checking that a block follows from what is before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blockdb.format.block import GENESIS, NO_KEY, UNSIGNED, BlockHeader, Seal
from blockdb.ledger.merkle import CHUNK, Frontier
from blockdb.ledger.signature import Signer, is_signed


@dataclass(frozen=True)
class Head:
    """Where the chain stands: the number and the hash that the next block has and names."""

    next_number: int = 0
    previous_hash: bytes = GENESIS

    def after(self, header: BlockHeader) -> Head:
        """The head once this block is sealed."""
        return Head(header.number + 1, header.hash())


@dataclass(frozen=True)
class Chunks:
    """Roots over chunks of the tree that follow each other, from number `first` on."""

    first: int
    roots: tuple[bytes, ...]


@dataclass(frozen=True)
class BlockRecords:
    """What sealing needs to know of a block's records beside their leaf hashes."""

    data_bytes: int
    first_time_ms: int
    last_time_ms: int
    first_place: int


class Sealer:
    """Closes one collection's blocks, one after the other. Not for several threads at once."""

    def __init__(self, collection: bytes, head: Head, frontier: Frontier) -> None:
        self._collection = collection
        self.frontier = frontier
        self.head = head
        self._first_chunk = frontier.size // CHUNK
        self._chunks: list[bytes] = []

    def take_chunks(self) -> Chunks:
        """The roots of the chunks that were completed since this was called the last time."""
        taken = Chunks(self._first_chunk, tuple(self._chunks))
        self._first_chunk += len(self._chunks)
        self._chunks = []
        return taken

    def seal(self, leaves: Sequence[bytes], about: BlockRecords) -> Seal:
        """Close the block whose records have these leaf hashes; it is not signed yet. O(len(leaves) + log n)."""
        before = self.frontier.hashes
        first_sequence = self.frontier.size
        self._chunks += self.frontier.extend(leaves)
        header = BlockHeader(
            collection=self._collection,
            number=self.head.next_number,
            first_sequence=first_sequence,
            records=len(leaves),
            data_bytes=about.data_bytes,
            first_time_ms=about.first_time_ms,
            last_time_ms=about.last_time_ms,
            previous_hash=self.head.previous_hash,
            root=self.frontier.root(),
        )
        self.head = self.head.after(header)
        return Seal(header, UNSIGNED, NO_KEY, about.first_place, before)


def signed(seal: Seal, signer: Signer) -> Seal:
    """The seal with the signature over its block's hash."""
    return seal._replace(signature=signer.sign(seal.header.hash()), key_id=signer.key_id)


def check_seal(seal: Seal, head: Head, collection: bytes, public_keys: Mapping[bytes, bytes]) -> str | None:
    """What is wrong with a block as the successor of `head`, apart from its records; None where nothing is.

    `public_keys` maps key ids to Ed25519 public keys.
    """
    header = seal.header
    if header.collection != collection:
        return "the block belongs to another collection"
    if header.number != head.next_number:
        return f"the block has number {header.number} where {head.next_number} should follow"
    if header.previous_hash != head.previous_hash:
        return f"Hash mismatch at block {header.number}: it does not name the hash of the block before it"
    public_key = public_keys.get(seal.key_id)
    if public_key is None:
        return f"block {header.number} is signed with an unknown key {seal.key_id.hex()}"
    if not is_signed(public_key, header.hash(), seal.signature):
        return f"the signature of block {header.number} does not match its hash"
    return None
