"""A view: which memtables and tables hold the records, at one moment. Everything that reads goes through one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import itemgetter
from typing import Final

from blockdb.lsm.bloom import key_hash
from blockdb.lsm.key_filter import KeyFilter
from blockdb.lsm.memtable import Memtable
from blockdb.lsm.merge import LAST_WINDOW, Item, merge, split
from blockdb.lsm.table import Table
from blockdb.storage.sources import EVERYTHING, NOTHING, Horizon, Ordered, Snapshot, Source, fill, sources_of

Asking = Callable[[bytes], bool]
Getting = Callable[[bytes], bytes | None]

SPARE_ITEMS: Final = 6
"""Fetched of each source beyond its likely share of what is wanted, so that most scans fetch once."""


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

    def first(self, sources: Sequence[Ordered]) -> list[int]:
        """The position in each source of its first key that is in the range or after it."""
        return [0 if self.start is None else source.position(self.start) for source in sources]

    def last(self, sources: Sequence[Ordered]) -> list[int]:
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
    filter: KeyFilter | None = None
    """Over all keys of the tables, where there is one."""
    has: Asking = field(init=False, repr=False, compare=False)
    """Whether a key is stored. O(memtables + tables). Made ready for this view: every write asks, and most reads do."""
    recent: Getting = field(init=False, repr=False, compare=False)
    """The value of a key that is in a memtable. O(memtables). Likewise."""

    def __post_init__(self) -> None:
        """Make ready what is asked for single keys."""
        object.__setattr__(self, "has", _asking(self.memtables, self.tables, self.filter))
        object.__setattr__(self, "recent", _getting(self.memtables))

    def flushed(self, memtable: Memtable, table: Table, filter_: KeyFilter | None) -> View:
        """The view once the oldest memtable is a table, with a filter that has its keys too."""
        memtables = tuple(other for other in self.memtables if other is not memtable)
        return View(memtables, (*self.tables, table)).filtered(filter_)

    def merged(self, parts: Sequence[Table], whole: Table) -> View:
        """The view once neighbouring tables are one."""
        at = self.tables.index(parts[0])
        return replace(self, tables=(*self.tables[:at], whole, *self.tables[at + len(parts) :]))

    def filtered(self, filter_: KeyFilter | None) -> View:
        """The view with a filter over its tables; with none, where that filter does not have all of their keys."""
        covers = filter_ is not None and filter_.records >= self.table_records
        return replace(self, filter=filter_ if covers else None)

    @property
    def table_records(self) -> int:
        """How many records are in tables: the first ones."""
        return self.tables[-1].header.first_sequence + len(self.tables[-1]) if self.tables else 0

    @property
    def records(self) -> int:
        """How many records gets and scans find: a moment before their writer counts them. O(1)."""
        newest = self.memtables[0]
        return newest.first_sequence + len(newest)

    def find(self, key: bytes) -> tuple[int, bytes] | None:
        """The place of a key's record and its value, or None. O(memtables + tables)."""
        for memtable in self.memtables:
            value = memtable.index.get(key)
            if value is not None:
                return memtable.place_of(key), value
        return self.find_in_tables(key)

    def find_between(self, key: bytes, low: int, high: int) -> bytes | None:
        """The value of a key whose record lies at `low` or behind it, and before `high`. O(memtables + tables)."""
        for memtable in self.memtables:
            value = memtable.index.get(key)
            if value is not None:
                return value if memtable.has_between(key, low, high) else None
        found = self.find_in_tables(key)
        return found[1] if found is not None and low <= found[0] < high else None

    def find_in_tables(self, key: bytes) -> tuple[int, bytes] | None:
        """The same for a key that is in no memtable. O(tables)."""
        hashed = key_hash(key)
        filter_ = self.filter
        if filter_ is not None and hashed & filter_.mask not in filter_.marks:
            return None
        return _find(self.tables, key, hashed)

    def first_stored(self, keys: Sequence[bytes], distinct: Mapping[bytes, object]) -> bytes | None:
        """One of these keys that is stored, or None; `distinct` has the same keys. O(n)."""
        for memtable in self.memtables:
            if not memtable.index.keys().isdisjoint(distinct):
                return next(key for key in keys if key in memtable.index)
        if self.tables:
            if self.filter is not None:
                keys = self.filter.likely(keys)
            hashes = list(map(key_hash, keys))
            for table in self.tables:
                stored = table.first_of(keys, hashes)
                if stored is not None:
                    return stored
        return None

    def count(self, range_: Range, expired: Horizon = NOTHING) -> int:
        """How many keys are in the range. O(sources · log n), and O(n) in sources of which a part has expired."""
        if expired is NOTHING:
            parts: list[Ordered] = [*self.memtables, *self.tables]
            return max(sum(range_.last(parts)) - sum(range_.first(parts)), 0)
        sources = sources_of(self.memtables, self.tables, expired)
        edges = zip(sources, range_.first(sources), range_.last(sources), strict=True)
        return sum(source.count(first, stop) for source, first, stop in edges)

    def scan(
        self,
        range_: Range,
        offset: int,
        limit: int | None,
        reverse: bool,
        horizon: Horizon | None = None,
        expired: Horizon = NOTHING,
    ) -> Iterator[Item]:
        """The records of the range in key order, or against it, after `offset` of them, `limit` at most.

        O(log n) to begin; with horizons, between which alone records are seen, O(log n + offset).
        """
        sources = sources_of(self.memtables, self.tables, expired, horizon or EVERYTHING)
        hiding = [source for source in sources if isinstance(source, Snapshot)]
        edge = range_.stop if reverse else range_.start
        windows = _first_windows(sources, limit)
        if offset and horizon is None and all(source.is_whole for source in sources):
            place = sum(range_.last(sources)) - offset if reverse else sum(range_.first(sources)) + offset
            if place < 0:
                return iter(())
            positions = split(sources, place)
            cursors = [s.cursor_at(at, reverse, w) for s, at, w in zip(sources, positions, windows, strict=True)]
            offset = 0
        else:
            cursors = [source.cursor(edge, reverse, w) for source, w in zip(sources, windows, strict=True)]
        runs = _inside_runs(merge(cursors, reverse=reverse, fill=fill), hiding, range_, offset, limit, reverse)
        return chain.from_iterable(runs)

    def places(self, range_: Range, expired: Horizon, horizon: Horizon) -> Iterator[int]:
        """The places of the records of the range between two horizons, in no order, without reading them. O(n)."""
        for source in sources_of(self.memtables, self.tables, expired, horizon):
            (first,), (stop,) = range_.first([source]), range_.last([source])
            yield from source.places(first, stop)

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


def _find(tables: Sequence[Table], key: bytes, hashed: int) -> tuple[int, bytes] | None:
    for table in tables:
        if hashed in table.filter:
            found = table.find(key, hashed)
            if found is not None:
                return found
    return None


def _asking(memtables: Sequence[Memtable], tables: Sequence[Table], filter_: KeyFilter | None) -> Asking:
    """What tells whether a key is stored, with as few calls and look-ups as that takes."""
    index = memtables[0].index if memtables else {}
    if len(memtables) > 1:
        has_before = _asking(memtables[1:], tables, filter_)
        return lambda key: key in index or has_before(key)
    if filter_ is not None:
        mask, marks = filter_.mask, filter_.marks
        return lambda key: (
            key in index or ((hashed := key_hash(key)) & mask in marks and _find(tables, key, hashed) is not None)
        )
    if tables:
        return lambda key: key in index or _find(tables, key, key_hash(key)) is not None
    return index.__contains__


def _getting(memtables: Sequence[Memtable]) -> Getting:
    """What gives the value of a key that is in one of these, likewise."""
    index = memtables[0].index if memtables else {}
    get = index.get
    if len(memtables) < 2:
        return get
    get_before = _getting(memtables[1:])
    return lambda key: get_before(key) if (value := get(key)) is None else value


def _first_windows(sources: Sequence[Source], limit: int | None) -> list[int]:
    """How many items to fetch of each source at first: of the `limit` that are wanted its likely share, and some."""
    total = sum(map(len, sources))
    if limit is None:
        return [0] * len(sources)
    return [min(limit * len(source) // total + SPARE_ITEMS, LAST_WINDOW, limit + 1) for source in sources]


def _inside_runs(
    runs: Iterator[list[Item]],
    hiding: Sequence[Snapshot],
    range_: Range,
    offset: int,
    limit: int | None,
    reverse: bool,
) -> Iterator[list[Item]]:
    """The runs without what the scan does not show."""
    edge = range_.start if reverse else range_.stop
    for run in runs:
        inside = _inside(run, edge, reverse)
        ended = len(inside) < len(run)
        for source in hiding:
            inside = source.visible(inside)
        if offset:
            left_out = min(offset, len(inside))
            inside, offset = inside[left_out:], offset - left_out
        if limit is not None:
            inside = inside[:limit]
            limit -= len(inside)
            ended = ended or not limit
        yield inside
        if ended:
            return


def _inside(run: list[Item], edge: bytes | None, reverse: bool) -> list[Item]:
    """The items of a sorted run that are not beyond the edge of a range."""
    if edge is None or not run:
        return run
    if reverse:
        return run if run[-1][0] >= edge else [item for item in run if item[0] >= edge]
    return run if run[-1][0] < edge else run[: bisect_left(run, edge, key=itemgetter(0))]
