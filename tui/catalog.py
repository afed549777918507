"""The collections of a database as a list: names at once, and what is in each when somebody looks at it.

To tell what is in a collection it has to be opened. So that is asked of those in view alone, one after the other and
off the event loop, however many there are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from textual.widget import Widget

import blockdb
from blockdb.commands.display import printable

from .offloop import in_background, off_loop

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase, CollectionInfo
    from blockdb.commands.standing import Standing

__all__ = ["NOT_TOLD", "Known", "KnownCollections", "Names"]


NOT_TOLD = -1
"""Stands for how many bytes a collection had, where that would take long to find out."""
MOST_BLOCKS = 2000
"""The blocks of a moment are added up where there are no more than so many."""


class Names:
    """The names of the collections that have `part` in them, in order."""

    def __init__(self, database: AnyDatabase, part: str = "") -> None:
        self.part = part
        self._database = database
        self._names: Sequence[str] = ()

    def count(self) -> int:
        part = self.part.casefold()
        self._names = [name for name in self._database.collection_names() if part in name.casefold()]
        return len(self._names)

    def fetch(self, first: int, limit: int, count: int) -> Sequence[str]:
        return self._names[first : first + limit]

    def locate(self, row: str, count: int) -> int:
        """Where a name stands; where it would stand if the collection was dropped."""
        return self.position(row)

    def position(self, name: str) -> int:
        """The number of the first row whose name is not before this one."""
        return bisect_left(self._names, name)


@dataclass(frozen=True)
class Known:
    """What was found in a collection, or why it could not be looked at (fit to be shown)."""

    info: CollectionInfo | None
    blocks: int = 0
    indexes: int = 0
    trouble: str = ""
    later: bool = False
    """Whether it was made after the moment that is looked at."""


class KnownCollections:
    """What is known of collections. `wanted` names those in view; `came` is called when something has come."""

    def __init__(
        self,
        widget: Widget,
        wanted: Callable[[], Sequence[str]],
        came: Callable[[], None],
        standing_in: Callable[[AnyCollection], Standing | None],
    ) -> None:
        """`standing_in` gives where a collection stood at the moment that is looked at; None for now."""
        self._widget, self._wanted, self._came, self._standing_in = widget, wanted, came, standing_in
        self._database: AnyDatabase | None = None
        self._known: dict[str, Known] = {}
        self._stale: set[str] = set()
        self._looking = False

    def use(self, database: AnyDatabase | None) -> None:
        """Starts anew, with another database or none."""
        self._database = database
        self._known, self._stale = {}, set()

    def get(self, name: str) -> Known | None:
        """What is known of a collection, if it was looked at."""
        return self._known.get(name)

    def forget(self, name: str) -> None:
        """Forgets a collection, which was dropped."""
        self._known.pop(name, None)

    def renew(self) -> None:
        """Looks again at those in view: time has passed."""
        self._stale = set(self._known)
        self.fill()

    def fill(self) -> None:
        """Sees to it that those in view are looked at."""
        if not self._looking and self._next() is not None:
            self._looking = True
            in_background(self._widget, self._look, group="catalog")

    def _next(self) -> str | None:
        """The next one to look at: one of which nothing is known yet, else one that may have changed."""
        if self._database is None:
            return None
        wanted = self._wanted()
        fresh = (name for name in wanted if name not in self._known)
        return next(fresh, None) or next((name for name in wanted if name in self._stale), None)

    async def _look(self) -> None:
        try:
            while (name := self._next()) is not None and (database := self._database) is not None:
                known = await off_loop(_look_at, database, name, self._standing_in)
                if database is self._database:
                    self._stale.discard(name)
                    if known != self._known.get(name):
                        self._known[name] = known
                        self._came()
        finally:
            self._looking = False


def _look_at(database: AnyDatabase, name: str, standing_in: Callable[[AnyCollection], Standing | None]) -> Known:
    try:
        collection = database.collection(name)
        info, indexes = collection.describe(), len(collection.indexes())
        then = standing_in(collection)
        if then is None:
            return Known(info, collection.stats().blocks, indexes)
        if not then.records and info.created_at * 1000 > then.time_ms:
            return Known(None, trouble="It was not there yet.", later=True)
        return Known(_as_it_was(collection, info, then), then.blocks, indexes)
    except (blockdb.BlockDBError, OSError) as error:
        return Known(None, trouble=printable(f"{type(error).__name__}: {error}"))


def _as_it_was(collection: AnyCollection, info: CollectionInfo, then: Standing) -> CollectionInfo:
    """What a collection had at a moment of the past."""
    several = len(then.counts)
    size, time_ms = NOT_TOLD, then.time_ms
    if several == 1 and then.blocks <= MOST_BLOCKS:
        size = sum(block.data_bytes for block in collection.blocks(0, then.blocks))
        open_then = collection.records(then.covered, then.records - then.covered)
        size += sum(len(record.key) + len(record.value) for record in open_then)
    if several == 1 and then.records:
        time_ms = next(iter(collection.records(then.records - 1, 1))).time_ms
    stats = replace(
        info.stats,
        document_count=then.records,
        total_size_bytes=size,
        last_updated=time_ms // 1000,
        operations_count=then.records,
    )
    return replace(info, stats=stats)
