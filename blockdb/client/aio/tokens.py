"""The tokens of a server, on an event loop: the twin of `blockdb.client.tokens`."""

from __future__ import annotations

from collections.abc import Iterable

from blockdb.client.aio.link import AsyncLink
from blockdb.client.plans import tokens as plans
from blockdb.security.tokens import TokenInfo

__all__ = ["AsyncTokens"]


class AsyncTokens:
    """Who may ask the server for what. For the tasks of one event loop."""

    def __init__(self, link: AsyncLink) -> None:
        """Use `AsyncDatabase.tokens`."""
        self._link = link

    async def list(self) -> list[TokenInfo]:
        """See `RemoteTokens.list`."""
        return await self._link.run(plans.show())

    async def create(
        self,
        name: str,
        role: str,
        *,
        collections: Iterable[str] | None = None,
        prefix: bytes = b"",
        expires_ms: int | None = None,
    ) -> tuple[TokenInfo, str]:
        """See `RemoteTokens.create`."""
        return await self._link.run(plans.create(name, role, collections, prefix, expires_ms))

    async def revoke(self, token_id: str) -> TokenInfo:
        """See `RemoteTokens.revoke`."""
        return await self._link.run(plans.revoke(token_id))
