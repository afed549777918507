"""Auditing the seals of a chain alone: headers, links, signatures and frontiers, a thousandth of the data.

The tables say where seals are, and are believed only as far as seals stand there, each the successor of the one
before; what no table has yet is searched. So a broken header, a cut or a foreign block is found at once, and any
state of the past that somebody kept outside can be compared without reading the records before it. That the records
have the roots that the seals name is for others to see.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from blockdb.audit.mismatch import Mismatch, of_seal, pinpoint
from blockdb.audit.stretch import Chain
from blockdb.format import segment
from blockdb.format.block import TAG, Seal, decode_seal, encode_seal
from blockdb.format.frame import CHECK_BYTES, BadFrame
from blockdb.format.place import OFFSET_MASK, place_of, split_place
from blockdb.format.record import RecordFrame
from blockdb.format.table import WORD_BYTES
from blockdb.format.walk import DamagedChain, walk_part
from blockdb.ledger.chain import Head
from blockdb.ledger.merkle import EMPTY_ROOT, Frontier

_TAG_OFFSET = CHECK_BYTES + 5
"""Where the tag of a block stands in the frame of its seal."""


@dataclass(frozen=True)
class Placed:
    """A seal and the place of its frame."""

    place: int
    seal: Seal

    @property
    def size(self) -> int:
        """How many records there are up to the end of its block."""
        return self.seal.header.first_sequence + self.seal.header.records


@dataclass(frozen=True)
class BadSeal:
    """The first seal that does not follow from those before."""

    place: int
    block: int
    wrong: Mismatch


def next_seal(chain: Chain, number: int, offset: int, stop: int | None = None) -> tuple[int, int, Seal] | None:
    """The first seal of a chain file from an offset on, where it begins, and where its frame ends.

    It is found by what all seals have, so what stands in a value may be taken for one.
    """
    buffer = chain.segments[number]
    limit = len(buffer) if stop is None else stop
    while (found := buffer.find(TAG, offset, limit)) >= 0:
        offset = found + 1
        try:
            seal, size = decode_seal(buffer, found - _TAG_OFFSET)
        except BadFrame:
            continue
        if seal.header.collection == chain.collection:
            return found - _TAG_OFFSET, found - _TAG_OFFSET + size, seal
    return None


class SealAudit:
    """The seals of a chain, each held against the one before it.

    `bad` is the first that does not follow, if any; `good` are those before it, of which `read_bytes` were read.
    """

    def __init__(
        self, chain: Chain, hints: Iterable[int], end: int | None, known: Sequence[Placed] | None = None
    ) -> None:
        """`hints` are where seals should be, as tables say, in order. O(seals), and O(bytes) behind the hints.

        With `known`, nothing is looked at: those are the seals that are good.
        """
        self._chain = chain
        self._end = end
        self._head = Head()
        self._root = EMPTY_ROOT
        self.good: list[Placed] = []
        self.bad: BadSeal | None = None
        self.read_bytes = 0
        if known is None:
            self._run(list(hints))
        else:
            self.good = list(known)

    def _run(self, hints: Sequence[int]) -> None:
        after = place_of(0, segment.HEADER_BYTES)
        for place in hints:
            if place >= after:
                self.read_bytes += WORD_BYTES
                after = self._take(after, place, self._seal_at(place))
        while self.bad is None and (found := self._searched(after)) is not None:
            after = self._take(after, *found)

    def _take(self, after: int, place: int, seal: Seal | None) -> int:
        """Take the seal at a place, and return where its frame ends; `after` is where the last one did.

        Where it is none that follows, the frames from there on tell: perhaps a table leaves out a seal, or names one
        that stands in a value.
        """
        if self.bad is not None:
            return after
        if seal is not None and self._wrong_with(seal) is None:
            self._add(place, seal)
            return place + len(encode_seal(seal))
        try:
            for at, beyond, frame in self._steps(after):
                after = beyond
                wrong = self._wrong_with(frame) if isinstance(frame, Seal) else None
                if wrong is not None:
                    self.bad = BadSeal(at, self._head.next_number, wrong)
                    return after
                if isinstance(frame, Seal):
                    self._add(at, frame)
                if after > place:
                    return after
        except DamagedChain as error:
            number, offset = split_place(error.offset)
            bad = pinpoint(self._chain.segments[number], offset, self._stop(number))
            self.bad = BadSeal(
                place_of(number, bad.offset), self._head.next_number, Mismatch(str(error), bad.expected, bad.found)
            )
        return max(after, place + 1)

    def _seal_at(self, place: int) -> Seal | None:
        try:
            return self._chain.seal_at(place)
        except (BadFrame, IndexError):
            return None

    def _add(self, place: int, seal: Seal) -> None:
        self._head = self._head.after(seal.header)
        self._root = seal.header.root
        self.good.append(Placed(place, seal))
        self.read_bytes += len(encode_seal(seal))

    def _stop(self, number: int) -> int:
        """Where a chain file ends, as far as it counts."""
        size = len(self._chain.segments[number])
        return min(size, self._end & OFFSET_MASK) if self._end is not None and number == self._end >> 32 else size

    def _steps(self, place: int) -> Iterator[tuple[int, int, RecordFrame | Seal]]:
        """The records and seals from a place on; DamagedChain is raised with a place too."""
        number, offset = split_place(place)
        while number < len(self._chain.segments):
            base = place_of(number, 0)
            try:
                for at, after, frame in walk_part(self._chain.segments[number], offset, self._stop(number)):
                    self.read_bytes += after - at
                    yield base + at, base + after, frame
            except DamagedChain as error:
                raise DamagedChain(base + error.offset, BadFrame(str(error))) from None
            number, offset = number + 1, segment.HEADER_BYTES

    def _searched(self, start: int) -> tuple[int, Seal] | None:
        """The first seal from a place on, and where it is, found by reading."""
        number, offset = split_place(start)
        while number < len(self._chain.segments):
            found = next_seal(self._chain, number, offset, self._stop(number))
            self.read_bytes += (self._stop(number) if found is None else found[0]) - offset
            if found is not None:
                return place_of(number, found[0]), found[2]
            number, offset = number + 1, segment.HEADER_BYTES
        return None

    @property
    def size(self) -> int:
        """How many records there are up to the last good block."""
        return self.good[-1].size if self.good else 0

    def _wrong_with(self, seal: Seal) -> Mismatch | None:
        """What is wrong with a seal as the successor of the last one."""
        return of_seal(seal, self._head, self._chain.collection, self._chain.public_keys) or self._wrong_size(seal)

    def _wrong_size(self, seal: Seal) -> Mismatch | None:
        header = seal.header
        if header.first_sequence != self.size or not header.records:
            what = f"block {header.number} does not cover the records that follow the block before it"
            return Mismatch(what, f"from record {self.size} on", f"from record {header.first_sequence} on")
        if len(seal.frontier) != self.size.bit_count():
            what = f"the frontier of block {header.number} is not that of {self.size} records"
            return Mismatch(what, f"{self.size.bit_count()} hashes", f"{len(seal.frontier)} hashes")
        root = Frontier(self.size, seal.frontier).root()
        if root != self._root:
            what = f"the frontier of block {header.number} does not have the root of the block before it"
            return Mismatch(what, self._root.hex(), root.hex())
        return None

    # States of the past.

    def root_at(self, size: int) -> bytes | None:
        """The root of the first `size` records, None where there are fewer. O(records in a block).

        Raises DamagedChain where those of the block that it lies in cannot be read.
        """
        if not size:
            return EMPTY_ROOT
        after = bisect_left(self.good, size, key=lambda placed: placed.seal.header.first_sequence)
        if not after:
            return self._root_from(Frontier(), place_of(0, segment.HEADER_BYTES), size)
        last = self.good[after - 1]
        if last.size == size:
            return last.seal.header.root
        frontier = Frontier(last.seal.header.first_sequence, last.seal.frontier)
        return self._root_from(frontier, last.seal.first_place, size)

    def records(self) -> Iterator[RecordFrame]:
        """All records, in commit order. Raises DamagedChain."""
        steps = self._steps(place_of(0, segment.HEADER_BYTES))
        return (frame for _, _, frame in steps if isinstance(frame, RecordFrame))

    def _root_from(self, frontier: Frontier, place: int, size: int) -> bytes | None:
        wanted = size - frontier.size
        records = (frame for _, _, frame in self._steps(place) if isinstance(frame, RecordFrame))
        leaves = [sha256(frame.leaf).digest() for frame in islice(records, wanted)]
        frontier.extend(leaves)
        return frontier.root() if len(leaves) == wanted else None
