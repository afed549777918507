"""A file of pages in memory: each page is checked before it is first believed."""

from __future__ import annotations

from collections.abc import Callable

from blockdb.errors import Corruption
from blockdb.format.buffer import Buffer
from blockdb.format.pages import HEADER_BYTES, PAGE_BYTES, Paged, is_page_intact, pages_of


class PagedFile:
    """What tables and index files have in common. `path` and `what` (it is) are for messages only."""

    def __init__(self, buffer: Buffer, path: str, header: Paged, what: str) -> None:
        self.path = path
        self.buffer = buffer
        self._paged = header
        self._what = what
        self.on_damage: Callable[[], None] = lambda: None
        """Called where a page turns out to be damaged."""
        self._checked = bytearray(pages_of(header))

    def check(self) -> None:
        """Check every page now. Raises Corruption."""
        for page in range(len(self._checked)):
            self._check_page(page)

    def _check_range(self, start: int, stop: int) -> None:
        """Have the pages checked that hold the bytes from offset `start` to `stop`."""
        for page in range((start - HEADER_BYTES) // PAGE_BYTES, (stop - 1 - HEADER_BYTES) // PAGE_BYTES + 1):
            if not self._checked[page]:
                self._check_page(page)

    def _check_page(self, page: int) -> None:
        if not is_page_intact(self.buffer, self._paged, page):
            self.on_damage()
            raise Corruption(
                self.path, HEADER_BYTES + page * PAGE_BYTES, f"a page of the {self._what} does not match its check"
            )
        self._checked[page] = 1
