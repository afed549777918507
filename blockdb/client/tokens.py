"""The tokens of a server, or of all nodes of a cluster."""

from __future__ import annotations

from collections.abc import Iterable

from blockdb.client.link import Link
from blockdb.client.plans import tokens as plans
from blockdb.security.tokens import TokenInfo

__all__ = ["RemoteTokens"]


class RemoteTokens:
    """Who may ask the server for what. Safe for threads. All of it raises Forbidden, Unauthenticated, Unavailable."""

    def __init__(self, link: Link) -> None:
        """Use `RemoteDatabase.tokens`."""
        self._link = link

    def list(self) -> list[TokenInfo]:
        """The tokens in the order in which they were made, expired ones too. Hashes of secrets are not told."""
        return self._link.run(plans.show())

    def create(
        self,
        name: str,
        role: str,
        *,
        collections: Iterable[str] | None = None,
        prefix: bytes = b"",
        expires_ms: int | None = None,
    ) -> tuple[TokenInfo, str]:
        """Make a token: what is known of it, and the token itself, which the server does not know.

        `role` is `reader`, `writer`, `auditor` or `admin`; `collections`, `prefix` and `expires_ms` (Unix milliseconds)
        say what it is good for, and until when. Within a second it is good at all nodes of a cluster. Raises
        InvalidData for what cannot be.
        """
        return self._link.run(plans.create(name, role, collections, prefix, expires_ms))

    def revoke(self, token_id: str) -> TokenInfo:
        """Take a token away for good: within a second, at all nodes of a cluster. Raises InvalidData."""
        return self._link.run(plans.revoke(token_id))
