"""The course of a prefix: how many records whose keys begin so came when, worked out from blocks, off the event loop.

Of a long chain every second, fourth … block is looked at, `MOST_BLOCKS` at most, so that ten million records cost as
much as a hundred thousand. How many records there are between two of them is known; which share of them has the prefix
is that of the one block. Blocks that were looked at are kept, and those of a longer chain are among those of a shorter.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockdb import AnyCollection, Block

__all__ = ["Course", "Stretch"]

MOST_BLOCKS = 256
MOST_RECORDS = 1000
"""Of a block with more records than that, so many are looked at."""


@dataclass(frozen=True)
class Stretch:
    """Records `first` to `end` (which is not among them), and the times between which they were stored.

    `share` is how many of them have the prefix, 0 … 1.
    """

    first: int
    end: int
    first_ms: int
    end_ms: int
    share: float


class Course:
    """The course of one prefix of one collection. `look` is called by a thread; the rest is safe for another."""

    def __init__(self, collection: AnyCollection, prefix: bytes = b"") -> None:
        self.collection = collection
        self.prefix = prefix
        self.stretches: tuple[Stretch, ...] = ()
        self.is_sample = False
        """Whether some records were not looked at."""
        self.has_many_chains = False
        """Whether there are several partitions: then there is no course, for each has a chain of its own."""
        self._blocks: dict[int, Block] = {}
        self._shares: dict[int, tuple[float, bool]] = {}
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Ends a look from any thread, and waits for nothing."""
        self._stopped.set()

    def look(self) -> None:
        """Looks at what has come since, and all of it the first time; stretches come as they are known.

        O(MOST_BLOCKS · MOST_RECORDS) records are read. Raises BlockDBError.
        """
        counts = self.collection.record_counts()
        self.has_many_chains = len(counts) > 1
        if self.has_many_chains or not counts[0]:
            return
        records, blocks = counts[0], self.collection.stats().blocks
        step = 1
        while blocks > step * MOST_BLOCKS:
            step *= 2
        known, is_sample = [], False
        for first, end, first_ms, end_ms, number in self._spans(blocks, records, step):
            if self._stopped.is_set():
                return
            share, is_part = self._share(number, first, end if number is None or step == 1 else None)
            is_sample = is_sample or (bool(self.prefix) and (is_part or step > 1))
            known.append(Stretch(first, end, first_ms, end_ms, share))
            if len(known) > len(self.stretches):
                self.stretches = tuple(known)
        self.stretches, self.is_sample = tuple(known), is_sample

    def _spans(self, blocks: int, records: int, step: int) -> Iterator[tuple[int, int, int, int, int | None]]:
        """From each block that is looked at to the next one, and what is in the open block (None)."""
        at = range(0, blocks, step)
        for number in at:
            block = self._block(number)
            if number + step < blocks:
                behind = self._block(number + step)
                end_ms = block.last_time_ms if step == 1 else behind.first_time_ms
                yield block.first_sequence, behind.first_sequence, block.first_time_ms, end_ms, number
            else:
                last = self._block(blocks - 1)
                yield block.first_sequence, last.size, block.first_time_ms, last.last_time_ms, number
        covered = self._block(blocks - 1).size if blocks else 0
        if covered < records:
            first_ms, last_ms = (next(iter(self.collection.records(n, 1))).time_ms for n in (covered, records - 1))
            yield covered, records, first_ms, last_ms, None

    def _block(self, number: int) -> Block:
        block = self._blocks.get(number)
        if block is None:
            block = self._blocks[number] = self.collection.block(number)
        return block

    def _share(self, number: int | None, first: int, end: int | None) -> tuple[float, bool]:
        """Which share of a block has the prefix, and whether not all of it was looked at."""
        if not self.prefix:
            return 1.0, False
        known = None if number is None else self._shares.get(number)
        if known is not None:
            return known
        count = self._block(number).count if number is not None else (end or first) - first
        looked_at = [record.key for record in self.collection.records(first, min(count, MOST_RECORDS))]
        fitting = sum(key.startswith(self.prefix) for key in looked_at)
        share = fitting / max(1, len(looked_at)), count > MOST_RECORDS
        if number is not None:
            self._shares[number] = share
        return share

    # ── what is drawn ──

    @property
    def span_ms(self) -> tuple[int, int]:
        """When the first record was stored, and the last."""
        return (self.stretches[0].first_ms, self.stretches[-1].end_ms) if self.stretches else (0, 0)

    @property
    def count(self) -> int:
        """How many records have the prefix; about, if it is a sample."""
        return round(sum((stretch.end - stretch.first) * stretch.share for stretch in self.stretches))

    def by_time(self, width: int) -> list[float]:
        """How many came in each of `width` parts of the time, all as long."""
        begin, end = self.span_ms
        return self._spread(width, [(it, it.first_ms - begin, it.end_ms - begin) for it in self.stretches], end - begin)

    def by_block(self, width: int) -> list[float]:
        """How many came in each of `width` parts of the chain, with as many records each."""
        total = self.stretches[-1].end if self.stretches else 0
        return self._spread(width, [(it, it.first, it.end) for it in self.stretches], total)

    def _spread(self, width: int, placed: list[tuple[Stretch, int, int]], length: int) -> list[float]:
        """The records of each stretch, spread evenly from its begin to its end."""
        parts, scale = [0.0] * width, width / max(1, length)
        for stretch, begin, end in placed:
            records = (stretch.end - stretch.first) * stretch.share
            low, high = begin * scale, max(begin * scale, end * scale)
            first, last = min(int(low), width - 1), min(int(high), width - 1)
            if first == last:
                parts[first] += records
                continue
            for part in range(first, last + 1):
                overlap = min(high, part + 1) - max(low, part)
                parts[part] += records * overlap / (high - low)
        return parts
