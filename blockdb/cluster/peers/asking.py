"""Questions to a node at an address, by who knows nothing but that."""

from __future__ import annotations

from blockdb.cluster.peers.limits import Limits
from blockdb.cluster.peers.tls import PeerTls

__all__ = ["ask_address"]


async def ask_address(
    address: str,
    name: str,
    body: bytes,
    *,
    own_id: str,
    cluster_id: str = "",
    tls: PeerTls | None = None,
    insecure_public: bool = False,
    timeout_s: float = 5.0,
    limits: Limits | None = None,
) -> bytes:
    """Ask the node at a peer address, on a connection for this alone, and give its answer.

    `cluster_id` may be left out by who does not know it yet; with TLS both certificates must be of the same cluster all
    the same. Raises Unavailable where there is no answer, and what `PeerHandler.on_ask` hands over; ConfigError for an
    address that cannot be.
    """
    raise NotImplementedError
