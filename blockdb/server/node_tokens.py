"""Tokens of nodes: how one node of a cluster shows another that it is one, when it passes a request on.

They follow from the key that all nodes of a cluster sign with, so nothing has to be handed around: who has that key has
the directory of a node. The audit log names who asks with one as `node:<id>`.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final

from blockdb.security.roles import NODE, Principal, Role

__all__ = ["PREFIX", "NodeTokens"]

PREFIX: Final = "bdbn_"
_LABEL: Final = b"blockdb/node token 1\0"


class NodeTokens:
    """Makes the token of this node, and knows those of others. Safe for threads."""

    def __init__(self, seed: Callable[[], bytes]) -> None:
        """`seed` gives the secret bytes of the key that the cluster signs with."""
        self._seed = seed

    def token_of(self, node_id: str) -> str:
        """What that node shows."""
        return f"{PREFIX}{node_id}_{self._proof(node_id)}"

    def principal(self, token: str) -> Principal | None:
        """Who asks with this token; None: no node of this cluster."""
        node_id, _, proof = token.removeprefix(PREFIX).rpartition("_")
        if not token.startswith(PREFIX) or not token.isascii() or not compare_digest(proof, self._proof(node_id)):
            return None
        name = NODE + node_id
        return Principal(name, Role.ADMIN, token_id=name)

    def _proof(self, node_id: str) -> str:
        key = digest(self._seed(), _LABEL, sha256)
        return digest(key, node_id.encode(), sha256).hex()
