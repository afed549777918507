"""Which collections have the most records: looked at a few at a time, off the event loop, the oldest news first."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import blockdb

if TYPE_CHECKING:
    from blockdb import AnyDatabase

    from .widgets.brief_panels import Size

__all__ = ["Largest"]

MOST_LOOKED_AT = 64
"""To tell what is in a collection it has to be opened; of more than so many, the first by name count."""
ROUND_S = 0.05


class Largest:
    """What was found of the collections of one database."""

    def __init__(self, database: AnyDatabase) -> None:
        self.database = database
        self.total = 0
        """How many collections there are."""
        self._sizes: dict[str, Size] = {}
        """The first of them was looked at longest ago."""

    @property
    def sizes(self) -> list[Size]:
        """Those that were looked at, the largest first."""
        return sorted(self._sizes.copy().values(), key=lambda size: (-size[1], size[0]))

    def look(self) -> None:
        """Looks at one or a few, for a twentieth of a second or so. Waits; raises BlockDBError and OSError."""
        names = self.database.collection_names()
        self.total = len(names)
        names = names[:MOST_LOOKED_AT]
        for gone in self._sizes.keys() - set(names):
            del self._sizes[gone]
        fresh = [name for name in names if name not in self._sizes]
        end_s = time.monotonic() + ROUND_S
        for name in fresh or list(self._sizes)[:1]:
            self._look_at(name)
            if time.monotonic() > end_s:
                return

    def _look_at(self, name: str) -> None:
        try:
            statistics = self.database.collection(name).stats()
        except (blockdb.CollectionNotFound, blockdb.Corruption, blockdb.Forbidden):
            found = (name, 0, 0)  # dropped meanwhile, damaged, or none of ours
        else:
            found = (name, statistics.records, statistics.data_bytes)
        self._sizes.pop(name, None)
        self._sizes[name] = found
