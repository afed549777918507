"""Where a collection stood at a moment of the past: how many records and blocks it had, here or over the network."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockdb.errors import BlockNotFound, InvalidData

from .display import human_count, human_time
from .moment import moment_words

if TYPE_CHECKING:
    from blockdb import AnyCollection, AsOf, Block

__all__ = ["Bygone", "Standing", "standing_at"]


@dataclass(frozen=True)
class Standing:
    """What a collection had at a moment. Of several partitions each has numbers of its own."""

    as_of: AsOf
    """The moment, as reads take it."""
    counts: tuple[int, ...]
    """How many records each partition had."""
    blocks: int
    """How many blocks were full by then, in all partitions."""
    time_ms: int
    """When the newest of the records was stored, in Unix milliseconds; the time that was asked for where one was."""
    covered: int
    """How many records those blocks have."""
    head: Block | None = None
    """The last of them, where there is one chain and it has a block."""

    @property
    def records(self) -> int:
        """How many records there were."""
        return sum(self.counts)

    @property
    def next_sequence(self) -> int:
        """The number behind the highest that one of them has."""
        several = len(self.counts)
        return max(((count - 1) * several + number + 1 for number, count in enumerate(self.counts) if count), default=0)

    @property
    def words(self) -> str:
        """The moment as it is told: `block 42 · 2026-11-21 10:30:00`, with the block that was the last where it helps.

        A block is told with the time at which its last record was stored.
        """
        told = moment_words(self.as_of)
        if self.as_of.time_ms is not None:
            last = f"block {human_count(self.blocks - 1)}" if self.blocks else "no block"
            return f"{told[:19]}Z · {last}" if len(self.counts) == 1 else f"{told[:19]}Z"
        return f"{told} · {human_time(self.time_ms)[:19]}Z"

    def saw(self, sequence: int) -> bool:
        """Whether a record was there."""
        own, partition = divmod(sequence, len(self.counts))
        return own < self.counts[partition]


@dataclass(frozen=True)
class Bygone:
    """A moment as it was named in one collection: heights and sequence numbers are of one chain.

    In every other collection it is the time at which the newest record of then was stored in that one.
    """

    as_of: AsOf
    home: str
    """The name of that collection."""
    time_ms: int

    @classmethod
    def of(cls, standing: Standing, home: str) -> Bygone:
        """The moment at which that collection stood so."""
        return cls(standing.as_of, home, standing.time_ms)

    def in_(self, name: str) -> AsOf:
        """The moment as a collection of that name takes it."""
        from blockdb.types import AsOf

        return self.as_of if name == self.home else AsOf(time_ms=self.time_ms)


class _Chain:
    """One partition of a collection, in its own numbers."""

    def __init__(self, collection: AnyCollection, partition: int, partitions: int, count: int) -> None:
        self._collection, self._partition, self._partitions = collection, partition, partitions
        self.count = count

    def block(self, number: int) -> Block | None:
        """A sealed block; None where there is none."""
        try:
            return self._collection.block(number * self._partitions + self._partition)
        except BlockNotFound:
            return None

    def time_ms(self, number: int) -> int:
        """When a record was stored."""
        found = self._collection.records(number * self._partitions + self._partition, 1)
        return next(iter(found)).time_ms

    def first_block(self, is_behind: Callable[[Block], bool]) -> int:
        """The first block that is behind a moment, or the open one. O(log n) blocks are read."""

        def behind(number: int) -> bool:
            block = self.block(number)
            return block is None or is_behind(block)

        return bisect_left(range(self.count), True, key=behind)

    def count_by(self, time_ms: int) -> int:
        """How many records were stored at a time or earlier. O(log n) blocks and records are read."""
        number = self.first_block(lambda block: block.last_time_ms > time_ms)
        block, before = self.block(number), self.block(number - 1) if number else None
        low, high = 0 if before is None else before.size, self.count if block is None else block.size
        return bisect_right(range(high), time_ms, lo=low, key=self.time_ms)

    def covered(self, count: int) -> tuple[int, Block | None]:
        """How many blocks lie within the first so many records, and the last of them."""
        blocks = self.first_block(lambda block: block.size > count)
        return blocks, self.block(blocks - 1) if blocks else None


def standing_at(collection: AnyCollection, as_of: AsOf) -> Standing:
    """Where a collection stood. O(log n) reads; waits for the disk or the network.

    A block or a record of one of several partitions is, in the others, the time at which it was stored, as it is for
    reads. Raises BlockNotFound, and InvalidData for a record that is not there yet or for numbers of partitions.
    """
    if as_of.sequences is not None:
        raise InvalidData("AsOf(sequences=...) names no moment; give a block, a record or a time.")
    present = collection.record_counts()
    chains = [_Chain(collection, number, len(present), count) for number, count in enumerate(present)]
    if as_of.time_ms is not None:
        counts, time_ms = [chain.count_by(as_of.time_ms) for chain in chains], as_of.time_ms
    else:
        home, count = _home(collection, as_of, present)
        time_ms = chains[home].time_ms(count - 1)
        counts = [count if number == home else chain.count_by(time_ms) for number, chain in enumerate(chains)]
    covered = [chain.covered(count) for chain, count in zip(chains, counts, strict=True)]
    records = sum(last.size for _, last in covered if last is not None)
    head = covered[0][1] if len(covered) == 1 else None
    return Standing(as_of, tuple(counts), sum(blocks for blocks, _ in covered), time_ms, records, head)


def _home(collection: AnyCollection, as_of: AsOf, present: tuple[int, ...]) -> tuple[int, int]:
    """The partition of a block or a record, and how many records that partition had then."""
    if as_of.block is not None:
        return as_of.block % len(present), collection.block(as_of.block).size
    assert as_of.sequence is not None, "one of them is given"
    own, home = divmod(as_of.sequence, len(present))
    if own >= present[home]:
        raise InvalidData(
            f"There is no record {as_of.sequence} in {collection.name}: there are {sum(present)}, from 0 up."
        )
    return home, own + 1
