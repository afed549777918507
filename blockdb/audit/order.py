"""Auditing the key order of tables.

A lookup of every record of the chain comes to a word with its place, so all words that there should be are in the
table; as many slots are used as there are records, so there are no others. Where a lookup ends, the beginning of the
key is noted beside the slot. The order names slots whose keys ascend, each above the one before: so it names all
records, in the order of their keys. Only where the beginnings of two keys are alike, the keys are read from the chain.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, compress, islice, pairwise, takewhile
from mmap import mmap
from operator import ge, itemgetter, lt
from struct import Struct
from typing import Final

from blockdb.audit.doubt import Doubt
from blockdb.audit.lookups import keys_at
from blockdb.audit.tables import TableAudit
from blockdb.format.buffer import Buffer
from blockdb.format.place import PLACE_MASK

DISTINCT_SLOTS: Final = 8_000_000
"""So many slots are compared at a time where there is no order to go by: some 700 MB of memory."""

_eight = Struct("8s").pack


class Order:
    """The keys of a table as its order names them. Methods raise Doubt."""

    def __init__(self, table: TableAudit, segments: Sequence[Buffer]) -> None:
        self._table = table
        self._segments = segments

    def __len__(self) -> int:
        return self._table.header.records

    def __getitem__(self, position: int) -> bytes:
        return self.keys(self.slots(position, position + 1))[0]

    def slots(self, first: int, stop: int) -> list[int]:
        """The slots at these positions. O(n)."""
        if not 0 <= first <= stop <= len(self):
            raise Doubt
        return self._table.order[first:stop].tolist()

    def keys(self, slots: Sequence[int]) -> list[bytes]:
        """The keys of the records to which these slots lead, read from the chain. O(n)."""
        try:
            words = list(map(self._table.words.__getitem__, slots))
        except IndexError:
            raise Doubt from None
        if not all(words):
            raise Doubt
        return keys_at(self._segments, [word & PLACE_MASK for word in words])

    def used_slots(self, first: int, stop: int) -> int:
        """How many slots are used in the part of all slots that these positions are of all positions. O(n)."""
        slots = len(self._table.words)
        part = self._table.words[first * slots // len(self) : stop * slots // len(self)]
        return len(part) - part.tolist().count(0)


class Beginnings:
    """Eight bytes of each key, as a number, by table and slot: those after what all keys have in common.

    That takes eight bytes a slot, in memory that several processes may share.
    """

    def __init__(self, orders: Sequence[Order], sizes: Sequence[int], memory: int | None) -> None:
        """`sizes` are the slots of the tables, `memory` the descriptor of what is shared. Raises Doubt."""
        ends = [order[at] for order in orders for at in (0, len(order) - 1)]
        self._lowest, self._highest = min(ends, default=b""), max(ends, default=b"")
        pairs = zip(self._lowest, self._highest, strict=False)
        common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        self._part = itemgetter(slice(common, common + 8))
        total = sum(sizes)
        try:
            shared = mmap(-1 if memory is None else memory, max(8 * total, 1))
        except (OSError, ValueError):  # the system gives no memory: one by one, less is needed
            raise Doubt from None
        view = memoryview(shared)[: 8 * total].cast("Q")
        stops = list(accumulate(sizes))
        self.columns = [view[stop - size : stop] for stop, size in zip(stops, sizes, strict=True)]

    def of(self, keys: Sequence[bytes]) -> list[int]:
        """The beginnings of these keys. Raises Doubt where one does not begin as all of them should."""
        if min(keys) < self._lowest or max(keys) > self._highest:
            raise Doubt
        joined = b"".join(map(self._part, keys))
        if len(joined) < 8 * len(keys):  # some are shorter
            joined = b"".join(map(_eight, map(self._part, keys)))
        numbers = array("Q", joined)
        numbers.byteswap()
        return numbers.tolist()


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
    """What is noted beside the slots of a table, in the order of its keys."""

    def __init__(self, order: Order, column: memoryview[int]) -> None:
        self._order = order
        self._column = column

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, position: int) -> int:
        [slot] = self._order.slots(position, position + 1)
        if slot >= len(self._column):
            raise Doubt
        return self._column[slot]


def audit_range(orders: Sequence[Order], beginnings: Beginnings, cut: KeyRange) -> list[int]:
    """Audit a range of keys: in each table they ascend, and no key is in two tables. O(n). Raises Doubt.

    Returns how many slots are used in each table, of the part of its slots that corresponds to the range.
    """
    slots = [order.slots(first, stop) for order, (first, stop) in zip(orders, cut.positions, strict=True)]
    try:
        marks = [list(map(column.__getitem__, part)) for column, part in zip(beginnings.columns, slots, strict=True)]
    except IndexError:
        raise Doubt from None
    for number, order in enumerate(orders):
        _check_ascending(order, slots[number], marks[number], cut)
    if len(orders) > 1 and len(set().union(*marks)) != sum(map(len, marks)):
        _check_distinct(orders, slots, marks)
    return [order.used_slots(first, stop) for order, (first, stop) in zip(orders, cut.positions, strict=True)]


def _check_ascending(order: Order, slots: Sequence[int], marks: Sequence[int], cut: KeyRange) -> None:
    if not slots:
        return
    if marks[0] < cut.low or marks[-1] >= cut.high:
        raise Doubt
    order.keys(slots[:1])  # a slot at which no lookup ended may be the first one alone: the others are above it
    alike = list(map(ge, marks, islice(marks, 1, None)))
    if any(alike):
        keys, following = order.keys(list(compress(slots, alike))), order.keys(list(compress(slots[1:], alike)))
        if not all(map(lt, keys, following)):
            raise Doubt


def _check_distinct(orders: Sequence[Order], slots: Sequence[Sequence[int]], marks: Sequence[Sequence[int]]) -> None:
    """Keys with the same beginning may still be different."""
    count = Counter(chain.from_iterable(marks))
    keys: list[bytes] = []
    for number, order in enumerate(orders):
        keys += order.keys([slot for slot, mark in zip(slots[number], marks[number], strict=True) if count[mark] > 1])
    if len(set(keys)) != len(keys):
        raise Doubt


def check_distinct(
    orders: Sequence[Order], beginnings: Beginnings, words: Sequence[memoryview[int]], place: int
) -> None:
    """No key is in two tables, of those records before a place whose beginnings were noted. O(slots). Raises Doubt.

    For a chain of which only a part can be read, so that nothing can be said of the order.
    """
    parts = sum(map(len, words)) // DISTINCT_SLOTS + 1
    for part in range(parts):
        used = [
            [
                slot
                for slot, (found, mark) in enumerate(zip(column, noted, strict=True))
                if found and found & PLACE_MASK < place and mark % parts == part
            ]
            for column, noted in zip(words, beginnings.columns, strict=True)
        ]
        marks = [list(map(noted.__getitem__, slots)) for noted, slots in zip(beginnings.columns, used, strict=True)]
        if len(set().union(*marks)) != sum(map(len, marks)):
            _check_distinct(orders, used, marks)
