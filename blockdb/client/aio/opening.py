"""Connecting on an event loop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from blockdb.client.aio.database import AsyncDatabase
from blockdb.client.aio.link import AsyncLink
from blockdb.client.aio.transport import AsyncTransport
from blockdb.client.opening import Connecting

__all__ = ["connect_async"]


async def connect_async(url: str | Iterable[str], **options: Any) -> AsyncDatabase:
    """See `blockdb.connect_async`."""
    given = Connecting.of(url, **options)
    link = AsyncLink(AsyncTransport(given.nodes, given.policy, given.identity, given.context), given.key_of)
    try:
        opened = await link.run(given.plan())
    except BaseException:
        await link.close()
        raise
    return AsyncDatabase(link, opened.about, opened.plans_of, opened.whole)
