"""What a scan merges: memtables and tables, as far as the scan sees them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from typing import Final, NamedTuple, Protocol

from blockdb.format.bulk import LONG, is_bulk
from blockdb.lsm.memtable import Memtable
from blockdb.lsm.merge import Cursor, Item, KeyCursor, PositionCursor, fill_each
from blockdb.lsm.table import Table

LONGEST_STEP: Final = 4096
"""Positions of a table that are looked at together where most of its records are hidden."""


class Ordered(Protocol):
    """Sorted keys."""

    def __len__(self) -> int:
        """How many there are."""

    def position(self, key: bytes) -> int:
        """How many of them are smaller than `key`."""


class Part(Protocol):
    """A run of records in commit order."""

    @property
    def first_sequence(self) -> int:
        """The sequence number of the first of them."""


class Horizon(NamedTuple):
    """A border in the commit order: the first `records` of the collection are before it, which lie before `place`."""

    records: int
    place: int

    def count_in(self, part: Part, size: int) -> int:
        """How many of the `size` records of a part of the collection are before it."""
        return min(max(self.records - part.first_sequence, 0), size)

    def is_beyond(self, other: Horizon) -> bool:
        """Whether there are records between them: places grow by more than records do."""
        return self.records > other.records and self.place > other.place


NOTHING: Final = Horizon(0, 0)
"""The border before everything."""

EVERYTHING: Final = Horizon(1 << 62, 1 << 62)
"""The border after everything."""


class Snapshot:
    """A memtable as a source of a scan: its records from one ordinal to another.

    Those before have expired, those after came when the scan had begun.
    """

    def __init__(self, memtable: Memtable, first: int, stop: int) -> None:
        self.memtable = memtable
        self.after, self.before = memtable.after, memtable.before
        self._first = first
        self._stop = stop

    @property
    def is_whole(self) -> bool:
        """Whether positions count: nothing of what was there when the scan began is hidden."""
        return not self._first

    def __len__(self) -> int:
        return len(self.memtable)

    def position(self, key: bytes) -> int:
        """How many keys are smaller."""
        return self.memtable.position(key)

    def window(self, first: int, stop: int) -> list[Item]:
        """The items at these positions, also those that are hidden: `visible` leaves them out."""
        return self.items(self.memtable.window(first, stop))

    def items(self, keys: list[bytes]) -> list[Item]:
        """The keys with their values."""
        return list(zip(keys, map(self.memtable.index.__getitem__, keys), strict=True))

    def visible(self, items: list[Item]) -> list[Item]:
        """Those of the items that are not among the records of this memtable which are hidden."""
        first, stop = self._first, self._stop
        if not first and len(self.memtable) == stop:
            return items
        ordinal = self.memtable.ordinals().get
        return [item for item in items if first <= ordinal(item[0], first) < stop]

    def places(self, first: int, stop: int) -> list[int]:
        """The places of the records at these positions, without those that are hidden. O(stop - first)."""
        keys, places = self.memtable.window(first, stop), self.memtable.places
        ordinals = map(self.memtable.ordinals().__getitem__, keys)
        return [places[ordinal] for ordinal in ordinals if self._first <= ordinal < self._stop]

    def count(self, first: int, stop: int) -> int:
        """How many records at these positions have not expired. O(1) where none or all are meant, else O(n)."""
        if not self._first:
            return max(stop - first, 0)
        if not first and stop == len(self):
            return stop - self._first
        keys, ordinals = self.memtable.window(first, stop), self.memtable.ordinals()
        return sum(ordinals[key] >= self._first for key in keys)

    def cursor(self, edge: bytes | None, reverse: bool, window: int) -> Cursor[bytes]:
        """A cursor that begins at the edge of a range, or at the end of the memtable if there is none."""
        return KeyCursor(self, edge, reverse, window)

    def cursor_at(self, at: int, reverse: bool, window: int) -> Cursor[bytes]:
        """A cursor that begins at a position: with the item there, or, walking down, with the one before it."""
        found = self.memtable.window(at, at + 1)
        if found or reverse:
            return KeyCursor(self, found[0] if found else None, reverse, window)
        # nothing was there when the scan began, and nothing else is wanted
        return PositionCursor(self, at, reverse, window)


class Rows:
    """A table as a source of a scan: its records from one place to another."""

    def __init__(self, table: Table, first: Horizon = NOTHING, stop: Horizon = EVERYTHING) -> None:
        self.table = table
        self._places = first.place, stop.place
        self._hidden, seen = 0, len(table)
        if first is not NOTHING or stop is not EVERYTHING:
            self._hidden = first.count_in(table.header, seen)
            seen = stop.count_in(table.header, seen)
        self.is_whole = seen - self._hidden == len(table)
        self.is_seen = self._hidden < seen

    def __len__(self) -> int:
        return len(self.table)

    def position(self, key: bytes) -> int:
        """How many keys are smaller."""
        return self.table.position(key)

    def window(self, first: int, stop: int) -> list[Item]:
        """The items at these positions."""
        return self.table.window(first, stop)

    def places(self, first: int, stop: int) -> list[int]:
        """The places of the records at these positions, without those that are hidden. O(stop - first)."""
        low, high = self._places
        return [place for place in self.table.places(first, stop) if low <= place < high]

    def count(self, first: int, stop: int) -> int:
        """How many records at these positions have not expired. O(1) where none or all are meant, else O(n)."""
        if not self._hidden:
            return max(stop - first, 0)
        if not first and stop == len(self):
            return stop - self._hidden
        steps = range(first, stop, LONGEST_STEP)
        return sum(len(self.places(step, min(step + LONGEST_STEP, stop))) for step in steps)

    def cursor(self, edge: bytes | None, reverse: bool, window: int) -> Cursor[bytes]:
        """A cursor that begins at the edge of a range, or at the end of the table if there is none."""
        end = len(self) if reverse else 0
        return self.cursor_at(end if edge is None else self.position(edge), reverse, window)

    def cursor_at(self, at: int, reverse: bool, window: int) -> Cursor[bytes]:
        """A cursor that begins at a position: with the item there, or, walking down, with the one before it."""
        if self.is_whole:
            return WholeCursor(self.table, at, reverse, window)
        return SkippingCursor(self, at, reverse, window)


Source = Snapshot | Rows


def sources_of(
    memtables: Sequence[Memtable], tables: Sequence[Table], first: Horizon = NOTHING, stop: Horizon = EVERYTHING
) -> list[Source]:
    """What holds records between two horizons, as of now."""
    if first is NOTHING and stop is EVERYTHING:
        whole = [Snapshot(memtable, 0, size) for memtable in memtables if (size := len(memtable))]
        return [*whole, *map(Rows, tables)]
    sources: list[Source] = []
    for memtable in memtables:
        size = len(memtable)
        hidden, seen = first.count_in(memtable, size), stop.count_in(memtable, size)
        if hidden < seen:
            sources.append(Snapshot(memtable, hidden, seen))
    rows = (Rows(table, first, stop) for table in tables)
    return sources + [source for source in rows if source.is_seen]


class WholeCursor(PositionCursor[bytes]):
    """Walks a table of which nothing is hidden."""

    def __init__(self, table: Table, at: int, reverse: bool, window: int) -> None:
        super().__init__(table, at, reverse, window)
        self.table = table

    def places(self, size: int) -> Sequence[int]:
        """Where the records of the next `size` items are."""
        return self.table.places(*self.pass_by(size))


class SkippingCursor(Cursor[bytes]):
    """Walks a table of which a part is hidden: that part is passed by its places alone, and its records not read."""

    def __init__(self, rows: Rows, at: int, reverse: bool, window: int) -> None:
        super().__init__(reverse, window)
        self.table = rows.table
        self._rows = rows
        self._at = at
        self._places: list[int] = []

    def fetch(self, size: int) -> list[Item]:
        """The next items."""
        return self.table.items_at(self.places(size))

    def places(self, size: int) -> Sequence[int]:
        """Where the records of the next `size` items are."""
        step = size
        while len(self._places) < size and (self._at if self._reverse else len(self._rows) - self._at):
            if self._reverse:
                first = max(self._at - step, 0)
                self._places = self._rows.places(first, self._at) + self._places
                self._at = first
            else:
                stop = min(self._at + step, len(self._rows))
                self._places += self._rows.places(self._at, stop)
                self._at = stop
            step = min(step * 2, LONGEST_STEP)
        cut = max(len(self._places) - size, 0) if self._reverse else size
        below, above = self._places[:cut], self._places[cut:]
        taken, self._places = (above, below) if self._reverse else (below, above)
        return taken


def fill(cursors: Sequence[Cursor[bytes]]) -> None:
    """Fetch the next windows of these cursors: small ones of several tables in one go, where that is done in bulk."""
    tables = [cursor for cursor in cursors if isinstance(cursor, (WholeCursor, SkippingCursor))]
    if len(tables) < 2:
        fill_each(cursors)
        return
    fill_each([cursor for cursor in cursors if not isinstance(cursor, (WholeCursor, SkippingCursor))])
    sizes = [cursor.next_size() for cursor in tables]
    places = [cursor.places(size) for cursor, size in zip(tables, sizes, strict=True)]
    if is_bulk(sum(sizes)) and max(sizes) < LONG:
        items = iter(tables[0].table.items_at([*chain.from_iterable(places)]))  # all have the same chain
        found = [[*islice(items, len(some))] for some in places]
    else:
        found = [cursor.table.items_at(some) for cursor, some in zip(tables, places, strict=True)]
    for cursor, some, size in zip(tables, found, sizes, strict=True):
        cursor.receive(some, size)
