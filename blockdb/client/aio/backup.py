"""A backup that a server makes, taken on an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from blockdb.client.aio.link import AsyncLink
from blockdb.client.carrying import FAILURES, failure_of
from blockdb.client.plans.plan import Ask
from blockdb.errors import Unavailable

__all__ = ["backup_of"]


async def backup_of(link: AsyncLink, asked: Ask) -> AsyncGenerator[bytes, None]:
    """The bytes for `blockdb.restore`. Raises Unavailable where they break off."""
    reply = await link.open(asked)
    try:
        async for piece in reply.pieces():
            yield piece
    except FAILURES as error:
        link.transport.check_open()
        raise Unavailable(f"The backup broke off: {failure_of(error).what}.") from None
    finally:
        await reply.close()
