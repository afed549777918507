"""What a remote `find` gives: an iterator of documents that knows where the next page begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from blockdb.client.link import Link
from blockdb.client.plans.plan import Pages, Plan
from blockdb.documents.document import Document

__all__ = ["PagesFrom", "Reading", "RemoteResults"]

PagesFrom = Callable[[str | None, int | None], Pages[Document]]
"""The same query anew: behind a cursor (None: from its beginning), so many documents at most (None: all)."""


class Reading:
    """Where somebody is who reads documents page by page."""

    def __init__(self, pages: Pages[Document], again: PagesFrom) -> None:
        self._pages = pages
        self._again = again
        self._page: list[Document] = []
        self._at = 0
        self._begun_at = pages.cursor
        """The cursor behind which the page begins that is being given."""

    @property
    def is_over(self) -> bool:
        """Whether there is no further page."""
        return self._pages.is_over

    def turn(self) -> Plan[None]:
        """Fetch the next page."""
        self._begun_at = self._pages.cursor
        self._page = yield from self._pages.next()
        self._at = 0

    def take(self) -> Document | None:
        """The next document of the page, if there is one."""
        if self._at == len(self._page):
            return None
        self._at += 1
        return self._page[self._at - 1]

    def cursor(self) -> Plan[str | None]:
        """Where to go on behind the last document that was taken; a part of the page is asked for anew for that."""
        if not self._at:
            return self._begun_at if self._page else None
        if self._at == len(self._page):
            return self._pages.cursor
        pages = self._again(self._begun_at, self._at)
        yield from pages.next()
        return pages.cursor


class RemoteResults(Iterator[Document]):
    """See `blockdb.Results`: fetched a page at a time, all of them as of one moment. For one thread."""

    def __init__(self, link: Link, pages: Pages[Document], again: PagesFrom) -> None:
        self._link = link
        self._reading = Reading(pages, again)
        link.run(self._reading.turn())

    def __iter__(self) -> RemoteResults:
        return self

    def __next__(self) -> Document:
        while (found := self._reading.take()) is None:
            if self._reading.is_over:
                raise StopIteration
            self._link.run(self._reading.turn())
        return found

    @property
    def cursor(self) -> str | None:
        """See `blockdb.Results.cursor`. In the middle of a page the server is asked for it."""
        return self._link.run(self._reading.cursor())
