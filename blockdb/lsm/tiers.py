"""Which tables to merge: size-tiered, oldest first, neighbours only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Tiered(Protocol):
    """A table, as far as the choice is concerned."""

    @property
    def tier(self) -> int:
        """0 for a flushed memtable, one more than its parts for a merged one."""


def choose(tables: Sequence[Tiered], threshold: int) -> slice | None:
    """The run of tables to merge next, or None. `tables` are in commit order, so that tiers never rise.

    A run is `threshold` or more neighbours of one tier. The lowest tier goes first: it is the cheapest, and the one
    that grows. O(n).
    """
    stop = len(tables)
    while stop:
        start = stop
        while start and tables[start - 1].tier == tables[stop - 1].tier:
            start -= 1
        if stop - start >= threshold:
            return slice(start, stop)
        stop = start
    return None
