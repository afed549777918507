"""Reading many records at once: columns of keys, values and places, in commit order or at given places."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from blockdb.format.record import RecordFrame
from blockdb.format.walk import DamagedChain, Run
from blockdb.storage.chain import Chain
from blockdb.storage.history import History
from blockdb.storage.sources import Horizon

FIRST_WINDOW: Final = 16
LAST_WINDOW: Final = 512
"""Records that are read together at first, since perhaps few are wanted, and in the end."""


MOST_BLOCKS: Final = 8
"""That many are read together where the chain is read backwards: a batch may reach over several."""


class Columns(NamedTuple):
    """Some records, a column for each part of them."""

    keys: Sequence[bytes]
    values: Sequence[bytes]
    places: Sequence[int]
    first_sequence: int | None = None
    """The sequence number of the first of them, where they stand one after the other and it is known."""

    def between(self, low: int, high: int) -> Columns:
        """Those at places from `low` on, before `high`, of records in commit order. O(log n)."""
        if not self.places or (low <= self.places[0] and self.places[-1] < high):
            return self
        first, stop = bisect_left(self.places, low), bisect_left(self.places, high)
        sequence = None if self.first_sequence is None else self.first_sequence + first
        return Columns(self.keys[first:stop], self.values[first:stop], self.places[first:stop], sequence)


def forward(chain: Chain, history: History, low: Horizon, high: Horizon) -> Iterator[Columns]:
    """The records between two borders in commit order. O(bytes). Raises Corruption."""
    if low.place >= high.place:
        return
    start = max(low, history.start)
    sequence = start.records
    for columns in _runs(chain, start.place, history.end):
        yield columns._replace(first_sequence=sequence).between(low.place, high.place)
        sequence += len(columns.places)
        if columns.places and columns.places[-1] >= high.place:
            return


def backward(chain: Chain, history: History, low: Horizon, high: Horizon) -> Iterator[Columns]:
    """The same from the last to the first: some blocks at a time, ever more of them, and each time turned round."""
    if low.place >= high.place:
        return
    above, step, stop = history.block_of(max(high.records - 1, 0)) + 1, 1, high.records
    while above:
        number = max(above - step, 0)
        extent = history.extent(number)
        first = Horizon(extent.first_sequence, extent.first_place)
        parts = [part for part in _first(forward(chain, history, first, high), stop - first.records) if part.places]
        for part in reversed(parts):
            seen = part.between(low.place, high.place)
            yield Columns(seen.keys[::-1], seen.values[::-1], seen.places[::-1])
        if first.place <= low.place:
            return
        above, step, stop = number, min(step * 2, MOST_BLOCKS), first.records


def at_places(chain: Chain, places: Iterable[int]) -> Iterator[Columns]:
    """The records at these places, in the order of the places given, read as they are asked for."""
    window, rest = FIRST_WINDOW, iter(places)
    while wanted := list(islice(rest, window)):
        keys, values = zip(*chain.items_at(wanted), strict=True)
        yield Columns(keys, values, wanted)
        window = min(window * 2, LAST_WINDOW)


def _first(parts: Iterable[Columns], count: int) -> Iterator[Columns]:
    """The first `count` records."""
    for part in parts:
        if len(part.places) >= count:
            yield Columns(part.keys[:count], part.values[:count], part.places[:count])
            return
        yield part
        count -= len(part.places)


def _runs(chain: Chain, start: int, stop: int) -> Iterator[Columns]:
    """All records from one place to another, in as few pieces as they come in."""
    at = start
    alone: list[tuple[int, RecordFrame]] = []
    """Records that are no part of a run, and were not given yet."""
    try:
        for stretch in chain.stretches(start, stop):
            alone.clear()
            for part in stretch.runs():
                if isinstance(part, Run) or len(alone) >= LAST_WINDOW:
                    yield from _together(alone)
                    alone.clear()
                if isinstance(part, Run):
                    yield Columns(part.keys, part.values, [stretch.base + offset for offset in part.offsets])
                    at = stretch.base + part.end
                elif isinstance(part[2], RecordFrame):
                    alone.append((stretch.base + part[0], part[2]))
                    at = stretch.base + part[1]
            yield from _together(alone)
    except DamagedChain:  # perhaps in a file whose place another one took: `walk` tells
        yield from _together(alone)
        for place, _, frame in chain.walk(at, stop, is_whole=True):
            if isinstance(frame, RecordFrame):
                yield from _together([(place, frame)])


def _together(alone: list[tuple[int, RecordFrame]]) -> Iterator[Columns]:
    if alone:
        frames = [frame for _, frame in alone]
        yield Columns([frame.key for frame in frames], [frame.value for frame in frames], [place for place, _ in alone])
