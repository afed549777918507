"""Rows of something very long, fetched page by page off the event loop. What has not come yet is None."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from textual.widget import Widget

import blockdb

from .offloop import in_background, off_loop

__all__ = ["PAGE_ROWS", "Pages", "page_of"]

PAGE_ROWS = 64
KEPT_PAGES = 48

T = TypeVar("T")
Fetch = Callable[[int, int, int], Sequence[T]]


def page_of(index: int) -> int:
    """The page that holds a row."""
    return index // PAGE_ROWS


class Pages(Generic[T]):
    """`total` rows, of which some pages are kept.

    `wanted` says which pages are worth having now, the most urgent first; it is asked again before each fetch, so that
    what went out of view meanwhile is never fetched. `arrived` is called when a page has come, `failed` when one could
    not be had.
    """

    def __init__(
        self,
        widget: Widget,
        wanted: Callable[[], Iterable[int]],
        arrived: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.total = 0
        self._widget = widget
        self._wanted, self._arrived, self._failed = wanted, arrived, failed
        self._fetch: Fetch[T] | None = None
        self._kept: OrderedDict[int, tuple[Sequence[T], int]] = OrderedDict()
        self._filling = False

    def use(self, fetch: Fetch[T] | None, total: int, pages: Mapping[int, Sequence[T]]) -> None:
        """Starts anew: another way to fetch (rows from, at most so many, of so many), and the pages known already."""
        self._fetch, self.total = fetch, total
        self._kept = OrderedDict((page, (rows, self._expected(page))) for page, rows in pages.items())

    def get(self, index: int) -> T | None:
        """A row, if its page has come."""
        rows, _ = self._kept.get(page_of(index), ((), 0))
        return rows[index % PAGE_ROWS] if index % PAGE_ROWS < len(rows) else None

    def fill(self) -> None:
        """Sees to it that the wanted pages come."""
        if not self._filling and self._missing() is not None:
            self._filling = True
            in_background(self._widget, self._fill, group="pages")

    def _expected(self, page: int) -> int:
        return min(PAGE_ROWS, self.total - page * PAGE_ROWS)

    def _missing(self) -> int | None:
        if self._fetch is None or not self.total:
            return None
        end = page_of(self.total - 1)
        known = self._kept
        lacking = (p for p in self._wanted() if 0 <= p <= end and (p not in known or known[p][1] < self._expected(p)))
        return next(lacking, None)

    async def _fill(self) -> None:
        try:
            while (page := self._missing()) is not None and (fetch := self._fetch) is not None:
                total, expected = self.total, self._expected(page)
                rows = await off_loop(fetch, page * PAGE_ROWS, PAGE_ROWS, total)
                if fetch == self._fetch and total == self.total:
                    self._keep(page, rows, expected)
        except (blockdb.BlockDBError, OSError) as error:
            self._failed(error)
        finally:
            self._filling = False

    def _keep(self, page: int, rows: Sequence[T], expected: int) -> None:
        self._kept[page] = rows, expected
        self._kept.move_to_end(page)
        while len(self._kept) > KEPT_PAGES:
            self._kept.popitem(last=False)
        self._arrived()
