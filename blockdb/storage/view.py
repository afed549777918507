"""A view: which memtables and tables hold the records, at one moment. Everything that reads goes through one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from blockdb.lsm.bloom import key_hash
from blockdb.lsm.memtable import Memtable
from blockdb.lsm.merge import Item, Source, merge, split
from blockdb.lsm.table import Table


class Snapshot:
    """A memtable as a source of a scan: without the records that came after the scan began."""

    stable = False

    def __init__(self, memtable: Memtable) -> None:
        self._memtable = memtable
        self._records = len(memtable)

    def __len__(self) -> int:
        return len(self._memtable)

    def position(self, key: bytes) -> int:
        """How many keys are smaller."""
        return self._memtable.position(key)

    def window(self, first: int, stop: int) -> list[Item]:
        """The items at these positions, also those that came after the snapshot: `visible` leaves them out."""
        index, values = self._memtable.index, self._memtable.values
        return [(key, values[index[key]]) for key in self._memtable.window(first, stop)]

    def visible(self, items: list[Item]) -> list[Item]:
        """Those of the items that did not come into this memtable after the snapshot."""
        if len(self._memtable) == self._records:
            return items
        ordinal = self._memtable.index.get
        return [item for item in items if ordinal(item[0], -1) < self._records]


@dataclass(frozen=True, slots=True)
class Range:
    """Which keys a scan covers: from `start` on and before `stop`, in as far as they are given."""

    start: bytes | None = None
    stop: bytes | None = None

    @classmethod
    def of(cls, prefix: bytes | None, start: bytes | None, end: bytes | None) -> Range:
        """The keys that have the prefix and lie in [start, end)."""
        if prefix:
            start = prefix if start is None else max(start, prefix)
            after = _after_prefix(prefix)
            end = after if end is None else end if after is None else min(end, after)
        return cls(start, end)

    def first(self, sources: Sequence[Source[bytes]]) -> list[int]:
        """The position in each source of its first key that is in the range or after it."""
        return [0 if self.start is None else source.position(self.start) for source in sources]

    def last(self, sources: Sequence[Source[bytes]]) -> list[int]:
        """The position in each source of its first key that is after the range."""
        return [len(source) if self.stop is None else source.position(self.stop) for source in sources]


def _after_prefix(prefix: bytes) -> bytes | None:
    """The smallest key that is greater than all with this prefix; None where there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else None


@dataclass(frozen=True, slots=True)
class View:
    """Memtables, newest first, and tables, oldest first. Immutable: writers put another one in its place."""

    memtables: tuple[Memtable, ...]
    tables: tuple[Table, ...]

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None. O(memtables + tables)."""
        for memtable in self.memtables:
            ordinal = memtable.index.get(key)
            if ordinal is not None:
                return memtable.values[ordinal]
        hashed = key_hash(key)
        for table in self.tables:
            found = table.find(key, hashed)
            if found is not None:
                return found[1]
        return None

    def place(self, key: bytes) -> int | None:
        """The place of the key's record, or None."""
        for memtable in self.memtables:
            ordinal = memtable.index.get(key)
            if ordinal is not None:
                return memtable.places[ordinal]
        hashed = key_hash(key)
        for table in self.tables:
            found = table.find(key, hashed)
            if found is not None:
                return found[0]
        return None

    def count(self, range_: Range) -> int:
        """How many keys are in the range. O(sources · log n)."""
        sources = self._sources()
        return max(sum(range_.last(sources)) - sum(range_.first(sources)), 0)

    def scan(self, range_: Range, offset: int, limit: int | None, reverse: bool) -> Iterator[Item]:
        """The records of the range in key order, or against it, after `offset` of them, `limit` at most."""
        sources = self._sources()
        positions = range_.last(sources) if reverse else range_.first(sources)
        if offset:
            place = sum(positions) + (-offset if reverse else offset)
            if place < 0:
                return iter(())
            positions = split(sources, place)
        return self._emit(sources, positions, range_, limit, reverse)

    def block_place(self, number: int) -> int | None:
        """The place of the seal of a block, or None."""
        for table in self.tables:
            ordinal = number - table.header.first_block
            if 0 <= ordinal < table.header.seals:
                return table.seal(ordinal)
        for memtable in self.memtables:
            ordinal = number - memtable.first_block
            if 0 <= ordinal < len(memtable.seals):
                return memtable.seals[ordinal]
        return None

    def _sources(self) -> list[Source[bytes]]:
        sources: list[Source[bytes]] = [*map(Snapshot, self.memtables), *self.tables]
        return [source for source in sources if len(source)]

    @staticmethod
    def _emit(
        sources: Sequence[Source[bytes]], positions: Sequence[int], range_: Range, limit: int | None, reverse: bool
    ) -> Iterator[Item]:
        snapshots = [source for source in sources if isinstance(source, Snapshot)]
        edge = range_.start if reverse else range_.stop
        for run in merge(sources, positions, reverse=reverse):
            inside = _inside(run, edge, reverse)
            ended = len(inside) < len(run)
            for snapshot in snapshots:
                inside = snapshot.visible(inside)
            if limit is not None:
                inside = inside[:limit]
                limit -= len(inside)
                ended = ended or not limit
            yield from inside
            if ended:
                return


def _inside(run: list[Item], edge: bytes | None, reverse: bool) -> list[Item]:
    """The items of a sorted run that are not beyond the edge of a range."""
    if edge is None or not run:
        return run
    if reverse:
        return run if run[-1][0] >= edge else [item for item in run if item[0] >= edge]
    return run if run[-1][0] < edge else run[: bisect_left(run, edge, key=itemgetter(0))]
