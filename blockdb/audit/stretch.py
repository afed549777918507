"""Auditing a stretch of the chain in bulk, and putting stretches together.

A chain can be cut where any commit begins, and its stretches audited in any order, by several processes. A seal
carries the Merkle frontier before its block and names the hash of the block before it: a stretch takes both for granted
at its first block whose records are all its own. Blocks that reach over a cut are left to whoever puts the stretches
together, who also sees that what a stretch took for granted is what the one before it came to, and that the seals of
the chain are those that blocks were closed with, in the same order.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from blockdb.audit.doubt import Doubt
from blockdb.format import record
from blockdb.format.block import Seal, decode_seal
from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, BadFrame
from blockdb.format.keyring import DataKeys
from blockdb.format.place import OFFSET_BITS, PLACE_MASK, split_place
from blockdb.format.record import HEADER_BYTES
from blockdb.ledger.chain import Head, check_seal
from blockdb.ledger.merkle import CHUNK, Frontier


@dataclass(frozen=True)
class Chain:
    """The chain files of a collection, and who may have signed its blocks."""

    collection: bytes
    public_keys: Mapping[bytes, bytes]
    segments: Sequence[Buffer]
    keys: DataKeys | None = None
    """With which the files were opened, where they are encrypted."""

    def seal_at(self, place: int) -> Seal:
        """The seal at a place where one was found."""
        number, offset = split_place(place)
        return decode_seal(self.segments[number], offset)[0]

    def seal_expected_at(self, place: int) -> Seal | None:
        """The seal at a place where one should be, if there is one."""
        try:
            return self.seal_at(place)
        except (BadFrame, IndexError):
            return None

    def time_at(self, place: int) -> int:
        """The time of the record at a place where one was found."""
        number, offset = split_place(place)
        return record.time_of(self.segments[number][offset + CHECK_BYTES : offset + HEADER_BYTES])


@dataclass(frozen=True)
class Cut:
    """A stretch of the chain: the part of a chain file between two places, and the number of its first record."""

    start: int
    stop: int
    sequence: int


def joined(cuts: Sequence[Cut], sequence: int, stop: int) -> Iterator[Cut]:
    """One stretch for each chain file, from the record `sequence` on and up to a place, instead of several."""
    for number, group in groupby(cuts, lambda cut: cut.start >> OFFSET_BITS):
        [first, *_, last] = [*(parts := list(group)), parts[-1]]
        begins = sequence if number == cuts[0].start >> OFFSET_BITS else first.sequence
        yield Cut(first.start, min(last.stop, stop), begins)


@dataclass
class Pending:
    """Records that no seal has answered for yet, in columns."""

    leaves: list[bytes] = field(default_factory=list)
    sizes: array[int] = field(default_factory=lambda: array("q"))
    places: array[int] = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self.leaves)

    def copy(self) -> Pending:
        """The same records, to be taken elsewhere."""
        return Pending(self.leaves[:], self.sizes[:], self.places[:])

    def extend(self, other: Pending) -> None:
        """Append other records."""
        self.leaves += other.leaves
        self.sizes += other.sizes
        self.places += other.places

    def take(self, count: int) -> Pending:
        """Remove the first records, and return them."""
        taken = Pending(self.leaves[:count], self.sizes[:count], self.places[:count])
        for column in (self.leaves, self.sizes, self.places):
            del column[:count]
        return taken


class Blocks:
    """Where a chain stands between two blocks, and the recomputation of the next one."""

    def __init__(self, chain: Chain, head: Head, frontier: Frontier) -> None:
        self._chain = chain
        self.head = head
        self.frontier = frontier
        self.chunks: list[bytes] = []
        """The roots of the chunks that were completed here."""

    @classmethod
    def before(cls, chain: Chain, seal: Seal | None) -> Blocks:
        """What a seal says of the chain before its block. Raises Doubt where that is impossible, or there is none."""
        if seal is None:
            raise Doubt
        try:
            frontier = Frontier(seal.header.first_sequence, seal.frontier)
        except ValueError:
            raise Doubt from None
        return cls(chain, Head(seal.header.number, seal.header.previous_hash), frontier)

    def copy(self) -> Blocks:
        """Another one that stands at the same place."""
        return Blocks(self._chain, self.head, self.frontier.copy())

    def close(self, seal: Seal, pending: Pending) -> None:
        """Recompute the block of a seal from the first pending records. Raises Doubt."""
        header = seal.header
        if check_seal(seal, self.head, self._chain.collection, self._chain.public_keys) is not None:
            raise Doubt
        if header.first_sequence != self.frontier.size or not 0 < header.records <= len(pending):
            raise Doubt
        records, frontier_before = pending.take(header.records), self.frontier.hashes
        self.chunks += self.frontier.extend(records.leaves)
        told = (header.data_bytes, header.first_time_ms, header.last_time_ms, seal.first_place, seal.frontier)
        found = (
            sum(records.sizes),
            self._chain.time_at(records.places[0]),
            self._chain.time_at(records.places[-1]),
            records.places[0],
            frontier_before,
        )
        if told != found or header.root != self.frontier.root():
            raise Doubt
        self.head = self.head.after(header)

    def is_at(self, other: Blocks) -> bool:
        """Whether both stand at the same place of the same chain."""
        return (self.head, self.frontier.size, self.frontier.hashes) == (
            other.head,
            other.frontier.size,
            other.frontier.hashes,
        )


@dataclass
class Stretch:
    """What is known of a stretch of the chain after its audit."""

    sequence: int
    """Which record was expected to be its first."""
    leading: Pending = field(default_factory=Pending)
    """Its records that belong to blocks which began before it."""
    anchor: int | None = None
    """The number of the first block whose records are all its own, if there is one: what its seal says of the chain
    before it is taken for granted."""
    blocks: Blocks | None = None
    """Where the chain stands after its last such block, if it has an anchor."""
    trailing: Pending = field(default_factory=Pending)
    """Its records after that block."""
    seals: dict[int, int] = field(default_factory=dict)
    """How many records are sealed after the seal at each place in it, whichever blocks those are the seals of."""
    records: int = 0
    watched: dict[int, int] = field(default_factory=dict)
    """The places of those records that the caller wants to know, by sequence number."""


class Whole:
    """The chain from its beginning on, as far as it was audited: where it stands, and what was seen of it."""

    def __init__(self, chain: Chain, watched_sequence: int) -> None:
        self.chain = chain
        self.watched_sequence = watched_sequence
        self.blocks = Blocks(chain, Head(), Frontier())
        self.pending = Pending()
        """The records after the last block that was closed."""
        self.records = 0
        self.seals: dict[int, int] = {}
        """How many records are sealed after the seal at each place."""
        self.watched: dict[int, int] = {}
        self.chunks: list[bytes] = []
        """The roots of all chunks of the tree that are complete."""

    @property
    def block_count(self) -> int:
        """How many blocks there are."""
        return self.blocks.head.next_number

    @property
    def wanted(self) -> tuple[int, int]:
        """The records whose places are to be known: the manifest says where the second is."""
        return self.watched_sequence - 1, self.watched_sequence

    @property
    def watched_places(self) -> tuple[int, int]:
        """Where the records before and at the watched sequence number are."""
        before, at = self.wanted
        return self.watched.get(before, 0), self.watched.get(at, PLACE_MASK)

    def add(self, stretch: Stretch, seals: Sequence[int]) -> None:
        """Append the next stretch, where the seals of the chain are at these places.

        Raises Doubt, and changes nothing, where it does not follow from those before.
        """
        found, before = list(stretch.seals), len(self.seals)
        if stretch.sequence != self.records or found != seals[before : before + len(found)]:
            raise Doubt
        blocks, pending = self.blocks.copy(), self.pending.copy()
        pending.extend(stretch.leading)
        first = len(seals) if stretch.anchor is None else stretch.anchor
        for number in range(blocks.head.next_number, first):
            seal = self.chain.seal_expected_at(seals[number])
            if seal is None or seal.header.records > len(pending):
                break
            blocks.close(seal, pending)
        if stretch.anchor is not None and not blocks.is_at(
            Blocks.before(self.chain, self.chain.seal_expected_at(seals[stretch.anchor]))
        ):
            raise Doubt
        self.chunks += blocks.chunks
        if stretch.blocks is not None:
            blocks, pending = stretch.blocks, stretch.trailing
            self.chunks += blocks.chunks
        self.blocks, self.pending = blocks, pending
        self.records += stretch.records
        self.seals |= stretch.seals
        self.watched |= stretch.watched

    def stand_before(self, seal: Seal | None, pending: Pending) -> None:
        """Stand where the block of a seal begins that was closed already, with these records after it. Raises Doubt."""
        self.blocks = Blocks.before(self.chain, seal)
        self.pending = pending
        del self.chunks[self.blocks.frontier.size // CHUNK :]
