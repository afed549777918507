"""The keys of a moment of the past, in order, as a table lists them.

How many keys there were before a given one no index tells: they are walked, some thousand at a time, and every so many
one is kept as a mark, from which a page is a short way. The walk begins where somebody wants to look, at the top, at a
key or at the end, and goes on from there in both directions; so the list grows while it is shown, as fast as keys can
be walked, and what somebody jumps to is there at once. It is O(n / MARK_ROWS) of memory.

Rows are numbered from the first one that was walked, `_Side` has them from where the walk began.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from time import perf_counter
from typing import TYPE_CHECKING, Final

import blockdb

from .listing import Row, row_of, rows_of_items

if TYPE_CHECKING:
    from blockdb import AnyCollection, AsOf

__all__ = ["END", "MARK_ROWS", "ByKeyThen", "End"]

MARK_ROWS = 1024
SHARE_AT_WORK = 0.5
"""Of the time: the rest is left to the screen, which the same interpreter draws."""


class End:
    """Behind the last key."""


END: Final = End()


class _Side:
    """What was walked in one direction: the outermost key of each stretch that is `MARK_ROWS` long, but the last."""

    def __init__(self, *, done: bool) -> None:
        self.marks: list[bytes] = []
        self.rows = 0
        self.done = done


class ByKeyThen:
    """The records that were there at a moment and whose keys begin with `prefix`, in the order of their keys.

    `walk` is run by a thread of its own; `stop` ends it from any thread, and waits for nothing.
    """

    def __init__(
        self, collection: AnyCollection, as_of: AsOf, prefix: bytes = b"", at: bytes | End | None = None
    ) -> None:
        """The walk begins `at` a key or the end; by default at the top."""
        self.collection = collection
        self.as_of = as_of
        self.prefix = prefix
        self._at = at
        self._up, self._down = _Side(done=at is None), _Side(done=at is END)
        self._last = b""
        self._counts, self._bases = [0], [0]
        self._base = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    @property
    def done(self) -> bool:
        """Whether all keys were walked."""
        return self._up.done and self._down.done

    @property
    def has_top(self) -> bool:
        """Whether the first row is that of the first key."""
        return self._up.done

    @property
    def has_end(self) -> bool:
        """Whether the last row is that of the last key."""
        return self._down.done

    # ── the walk ──

    def walk(self) -> None:
        """Walks all keys. Raises BlockDBError."""
        rest_s = 0.0
        while not self.done and not self._stopped.wait(rest_s):
            started_s = perf_counter()
            self.go_on()
            rest_s = (perf_counter() - started_s) * (1 / SHARE_AT_WORK - 1)

    def stop(self) -> None:
        """Ends the walk where it is."""
        self._stopped.set()

    def go_on(self) -> None:
        """Walks one stretch more in each direction."""
        self._go_down()
        self._go_up()

    def _go_down(self) -> None:
        with self._lock:
            if self._down.done:
                return
            begin = self._at if isinstance(self._at, bytes) else None
            keys = self._keys(self._last + b"\0" if self._down.rows else begin, None, MARK_ROWS)
            if keys:
                self._down.marks.append(keys[0])
                self._last = keys[-1]
            self._took(self._down, len(keys))

    def _go_up(self) -> None:
        with self._lock:
            if self._up.done:
                return
            begin = self._at if isinstance(self._at, bytes) else None
            end = self._up.marks[-1] if self._up.marks else begin
            keys = self._keys(None, end, MARK_ROWS, reverse=True)
            if keys:
                self._up.marks.append(keys[-1])
            self._took(self._up, len(keys))

    def _took(self, side: _Side, rows: int) -> None:
        side.rows += rows
        side.done = rows < MARK_ROWS
        if rows:
            self._counts.append(self._up.rows + self._down.rows)
            self._bases.append(self._up.rows)

    def _keys(self, start: bytes | None, end: bytes | None, limit: int, *, reverse: bool = False) -> list[bytes]:
        prefix = self.prefix or None
        bounds = {"start": start, "end": end, "limit": limit, "as_of": self.as_of}
        if reverse:
            return list(self.collection.keys(prefix=prefix, reverse=True, **bounds))  # type: ignore[arg-type]
        return list(self.collection.keys(prefix=prefix, **bounds))  # type: ignore[arg-type]

    # ── the list ──

    def count(self) -> int:
        if not self._counts[-1]:
            self.go_on()
        with self._lock:
            self._base = self._bases[-1]
            return self._counts[-1]

    def _base_at(self, count: int) -> int:
        """How many rows there were before where the walk began, when there were `count` in all."""
        with self._lock:
            return self._bases[max(0, bisect_right(self._counts, count) - 1)]

    def fetch(self, first: int, limit: int, count: int) -> list[Row]:
        row = first - self._base_at(count)
        if row >= 0 and row // MARK_ROWS >= len(self._down.marks):
            return []
        mark, at = self._mark_of(row)
        page = {"prefix": self.prefix or None, "start": mark, "offset": row - at, "as_of": self.as_of}
        limit = max(0, min(limit, count - first))
        try:
            return rows_of_items(self.collection.scan(**page, limit=limit))  # type: ignore[arg-type]
        except blockdb.Corruption:  # somewhere among these: each is tried alone, so that the others are still seen
            keys = self.collection.keys(**page, limit=limit)  # type: ignore[arg-type]
            return [row_of(self.collection, key, self.as_of) for key in keys]

    def _mark_of(self, row: int) -> tuple[bytes, int]:
        """The mark before a row, and the row that it stands at, both counted from where the walk began."""
        if row >= 0:
            stretch = row // MARK_ROWS
            return self._down.marks[stretch], stretch * MARK_ROWS
        stretch = (-row - 1) // MARK_ROWS
        return self._up.marks[stretch], -min((stretch + 1) * MARK_ROWS, self._up.rows)

    def locate(self, row: Row, count: int) -> int:
        return self._row_of(row.key) + self._base_at(count)

    def position(self, key: bytes) -> int:
        """The number of the first row whose key is not below `key`, as they are numbered since `count` was asked last.

        All between it and where the walk began are walked for that.
        """
        return self._row_of(key) + self._base

    def _row_of(self, key: bytes) -> int:
        if self._at is not None and (isinstance(self._at, End) or key < self._at):
            return self._row_above(key)
        while not self._down.done and self._last < key and not self._stopped.is_set():
            self._go_down()
        stretch = bisect_right(self._down.marks, key) - 1
        return 0 if stretch < 0 else self._row_from(stretch * MARK_ROWS, key)

    def _row_above(self, key: bytes) -> int:
        marks = self._up.marks
        while not self._up.done and not (marks and marks[-1] <= key) and not self._stopped.is_set():
            self._go_up()
        stretch = bisect_left(marks, True, key=lambda mark: mark <= key)  # they go down
        return -self._up.rows if stretch == len(marks) else self._row_from(-stretch * MARK_ROWS - 1, key)

    def _row_from(self, row: int, key: bytes) -> int:
        """The row of a key which is not before the mark that `row` is behind."""
        mark, at = self._mark_of(row)
        return at + (len(self._keys(mark, key, MARK_ROWS)) if key > mark else 0)
