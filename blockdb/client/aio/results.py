"""What `find` gives on an event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable

from blockdb.client.aio.link import AsyncLink
from blockdb.client.plans.plan import Pages
from blockdb.client.results import PagesFrom, Reading
from blockdb.documents.document import Document

__all__ = ["AsyncResults"]


class AsyncResults(AsyncIterator[Document]):
    """See `blockdb.Results`: fetched a page at a time, all of them as of the moment of the first one."""

    def __init__(self, link: AsyncLink, pages: Pages[Document], again: PagesFrom) -> None:
        self._link = link
        self._reading = Reading(pages, again)

    def __aiter__(self) -> AsyncResults:
        return self

    async def __anext__(self) -> Document:
        while (found := self._reading.take()) is None:
            if self._reading.is_over:
                raise StopAsyncIteration
            await self._link.run(self._reading.turn())
        return found

    @property
    def cursor(self) -> Awaitable[str | None]:
        """See `blockdb.Results.cursor`. In the middle of a page the server is asked for it."""
        return self._link.run(self._reading.cursor())
