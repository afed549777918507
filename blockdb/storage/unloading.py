"""Memory of mapped tables, while a writer alone looks at them: it is given back, and stays in the system's cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from blockdb.lsm.table import Table
from blockdb.storage.reader import Reader

MISSES: Final = 8
"""Each look-up of a new key that a table's filter let through maps what lies around a slot: up to 2 MiB, as the system
keeps files. So after so many of them it is given back.
"""


STEPS: Final = 64
"""A walk through a table is of a thousand steps or two, so that it has a sixteenth of it in memory."""


class Unloading:
    """Gives back the memory of a writer's tables, unless somebody has read in the collection since the last flush.

    Where that is done for nothing, the next read costs a page fault, and no more.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._reads_before: object = None
        self._misses = 0

    def note_miss(self) -> None:
        """A key was looked up in a table that does not have it. O(1) amortised."""
        self._misses += 1
        if self._misses >= MISSES and not self._reader.is_parked:
            self._misses = 0
            self.unload(self._reader.view.tables)

    def unload(self, tables: Iterable[Table]) -> None:
        """Give back what these take, if nobody reads. O(tables)."""
        if self._reader.reads == self._reads_before:
            for table in tables:
                self._reader.door.unload(table.buffer)

    def along(self, table: Table, steps: Iterator[None]) -> Iterator[None]:
        """Go through a table in steps, and keep little of it in memory on the way."""
        for number, _ in enumerate(steps):
            if not number % STEPS:
                self.unload([table])
            yield
        self.unload([table])

    def note_flush(self) -> None:
        """A memtable became a table: whoever has not read since the one before does not read any more."""
        self.unload(self._reader.view.tables)
        self._reads_before = self._reader.reads
