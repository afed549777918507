"""Auditing the key order of tables.

A lookup of every record of the chain comes to a word with its place, so all words that there should be are in the
table; as many slots are used as there are records, so there are no others. Where a lookup ends, the beginning of the
key is noted beside the slot. The order names slots whose keys ascend, each above the one before: so it names all
records, in the order of their keys. Only where the beginnings of two keys are alike, the keys are read from the chain.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, takewhile
from mmap import mmap
from operator import lt
from typing import Final

import numpy as np

from blockdb.audit.columns import Numbers, Positions, beginnings_of, numbers
from blockdb.audit.doubt import Doubt
from blockdb.audit.lookups import keys_at
from blockdb.audit.tables import TableAudit
from blockdb.format.buffer import Buffer
from blockdb.format.place import PLACE_MASK

DISTINCT_SLOTS: Final = 16_000_000
"""So many slots are compared at a time where there is no order to go by: some 700 MB of memory at most."""


class Order:
    """The keys of a table as its order names them. Methods raise Doubt."""

    def __init__(self, table: TableAudit, segments: Sequence[Buffer]) -> None:
        self.words = numbers(table.words)
        self.slots_in_order = np.frombuffer(table.order, np.uint32)
        self._segments = segments

    def __len__(self) -> int:
        return len(self.slots_in_order)

    def __getitem__(self, position: int) -> bytes:
        return self.keys(self.slots(position, position + 1))[0]

    def slots(self, first: int, stop: int) -> Positions:
        """The slots at these positions. O(n)."""
        if not 0 <= first <= stop <= len(self):
            raise Doubt
        return self.slots_in_order[first:stop].astype(np.int64)

    def keys(self, slots: Positions) -> list[bytes]:
        """The keys of the records to which these slots lead, read from the chain. O(n)."""
        try:
            words = self.words[slots]
        except IndexError:
            raise Doubt from None
        if not words.all():
            raise Doubt
        return keys_at(self._segments, (words & PLACE_MASK).tolist())

    def used_slots(self, first: int, stop: int) -> int:
        """How many slots are used in the part of all slots that these positions are of all positions. O(n)."""
        slots = len(self.words)
        return int(np.count_nonzero(self.words[first * slots // len(self) : stop * slots // len(self)]))


class Beginnings:
    """Eight bytes of each key, as a number, by table and slot: those after what all keys have in common.

    That takes eight bytes a slot, in memory that several processes may share.
    """

    def __init__(self, orders: Sequence[Order], sizes: Sequence[int], memory: int | None) -> None:
        """`sizes` are the slots of the tables, `memory` the descriptor of what is shared. Raises Doubt."""
        ends = [order[at] for order in orders for at in (0, len(order) - 1)]
        pairs = zip(min(ends, default=b""), max(ends, default=b""), strict=False)
        self._common = bytes(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        total = sum(sizes)
        try:
            shared = mmap(-1 if memory is None else memory, max(8 * total, 1))
        except (OSError, ValueError):  # the system gives no memory: one by one, less is needed
            raise Doubt from None
        column = numbers(memoryview(shared)[: 8 * total])
        stops = list(accumulate(sizes))
        self.columns = [column[stop - size : stop] for stop, size in zip(stops, sizes, strict=True)]

    def of(self, keys: list[bytes]) -> Numbers:
        """How these keys begin. Raises Doubt where one does not as all of them should.

        Between the first key and the last one there is none that does not have what those two have in common.
        """
        return beginnings_of(keys, self._common)


@dataclass(frozen=True)
class KeyRange:
    """The keys whose beginnings are from `low` on and before `high`."""

    positions: Sequence[Sequence[int]]
    """For each table, from which position of its key order to which."""
    low: int
    high: int


def key_ranges(orders: Sequence[Order], beginnings: Beginnings, most: int) -> list[KeyRange]:
    """Cut all keys into ranges, with about `most` of a table in each. O(n / most · log n). Raises Doubt."""
    marks = [_Marks(order, column) for order, column in zip(orders, beginnings.columns, strict=True)]
    limits = sorted({mark[at] for mark in marks for at in range(most, len(mark), most)})
    cuts = [[bisect_left(mark, limit) for mark in marks] for limit in limits]
    cuts = [[0] * len(marks), *cuts, list(map(len, marks))]
    limits = [0, *limits, 1 << 64]
    return [
        KeyRange(list(zip(first, stop, strict=True)), low, high)
        for (first, stop), (low, high) in zip(pairwise(cuts), pairwise(limits), strict=True)
    ]


class _Marks:
    """What is noted beside the slots of a table, in the order of its keys, one at a time."""

    def __init__(self, order: Order, column: Numbers) -> None:
        self._slots = order.slots_in_order.data
        self._column = column.data

    def __len__(self) -> int:
        return len(self._slots)

    def __getitem__(self, position: int) -> int:
        try:
            return self._column[self._slots[position]]
        except IndexError:
            raise Doubt from None


def _noted(column: Numbers, slots: Positions) -> Numbers:
    try:
        return column[slots]
    except IndexError:
        raise Doubt from None


def audit_range(orders: Sequence[Order], beginnings: Beginnings, cut: KeyRange) -> list[int]:
    """Audit a range of keys: in each table they ascend, and no key is in two tables. O(n log n). Raises Doubt.

    Returns how many slots are used in each table, of the part of its slots that corresponds to the range.
    """
    slots = [order.slots(first, stop) for order, (first, stop) in zip(orders, cut.positions, strict=True)]
    marks = list(map(_noted, beginnings.columns, slots))
    for number, order in enumerate(orders):
        _check_ascending(order, slots[number], marks[number], cut)
    if len(orders) > 1:
        _check_distinct(orders, slots, marks)
    return [order.used_slots(first, stop) for order, (first, stop) in zip(orders, cut.positions, strict=True)]


def _check_ascending(order: Order, slots: Positions, marks: Numbers, cut: KeyRange) -> None:
    if not len(slots):
        return
    if marks[0] < cut.low or marks[-1] >= cut.high:
        raise Doubt
    order.keys(slots[:1])  # a slot at which no lookup ended may be the first one alone: the others are above it
    alike = np.flatnonzero(marks[:-1] >= marks[1:])
    if len(alike) and not all(map(lt, order.keys(slots[alike]), order.keys(slots[alike + 1]))):
        raise Doubt


def _check_distinct(orders: Sequence[Order], slots: Sequence[Positions], marks: Sequence[Numbers]) -> None:
    """No key is there twice. Those with the same beginning may still be different."""
    ascending = np.sort(np.concatenate(marks), kind="stable")  # most often some that ascend already
    twice = ascending[1:][ascending[1:] == ascending[:-1]]
    if not len(twice):
        return
    keys: list[bytes] = []
    for order, part, noted in zip(orders, slots, marks, strict=True):
        keys += order.keys(part[np.isin(noted, twice)])
    if len(set(keys)) != len(keys):
        raise Doubt


def check_distinct(orders: Sequence[Order], beginnings: Beginnings, place: int) -> None:
    """No key is in two tables, of those records before a place whose beginnings were noted. O(slots). Raises Doubt.

    For a chain of which only a part can be read, so that nothing can be said of the order.
    """
    parts = sum(map(len, beginnings.columns)) // DISTINCT_SLOTS + 1
    for part in range(parts):
        used = [
            np.flatnonzero((order.words != 0) & (order.words & PLACE_MASK < place) & (noted % parts == part))
            for order, noted in zip(orders, beginnings.columns, strict=True)
        ]
        _check_distinct(orders, used, list(map(_noted, beginnings.columns, used)))
