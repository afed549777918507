"""What a remote `find` gives: an iterator of documents that knows where the next page begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from blockdb.client.link import Link
from blockdb.client.plans.plan import Pages
from blockdb.documents.document import Document

__all__ = ["RemoteResults"]

PagesFrom = Callable[[str | None, int | None], Pages[Document]]
"""The same query anew: behind a cursor (None: from its beginning), so many documents at most (None: all)."""


class RemoteResults(Iterator[Document]):
    """See `blockdb.Results`: fetched a page at a time, all of them as of one moment. For one thread."""

    def __init__(self, link: Link, pages: Pages[Document], again: PagesFrom) -> None:
        self._link = link
        self._pages = pages
        self._again = again
        self._begun_at = pages.cursor
        """The cursor behind which the page that is being given begins."""
        self._page = link.run(pages.next())
        self._at = 0

    def __iter__(self) -> RemoteResults:
        return self

    def __next__(self) -> Document:
        while self._at == len(self._page):
            if self._pages.is_over:
                raise StopIteration
            self._begun_at = self._pages.cursor
            self._page, self._at = self._link.run(self._pages.next()), 0
        self._at += 1
        return self._page[self._at - 1]

    @property
    def cursor(self) -> str | None:
        """See `blockdb.Results.cursor`. In the middle of a page the server is asked for it."""
        if not self._at:
            return self._begun_at if self._begun_at and self._page else None
        if self._at == len(self._page):
            return self._pages.cursor
        pages = self._again(self._begun_at, self._at)
        self._link.run(pages.next())
        return pages.cursor
