"""The other nodes, as one thing: what is sent to them, and what they send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from blockdb.cluster.peers.handling import Contact, PeerHandler
from blockdb.cluster.peers.limits import Limits
from blockdb.cluster.peers.tls import PeerTls
from blockdb.format.consensus import Member, Members
from blockdb.raft.messages import Message, SnapshotHead

__all__ = ["Peers"]


class Peers:
    """Connections of a node to all others. It belongs to the loop on which `start` is awaited, and is called there."""

    def __init__(
        self,
        own: Member,
        cluster_id: str,
        handler: PeerHandler,
        *,
        tls: PeerTls | None = None,
        insecure_public: bool = False,
        listen_address: str = "",
        limits: Limits | None = None,
    ) -> None:
        """`cluster_id` is what all nodes of the cluster have in common, and what stands in their certificates.

        `listen_address` is where to listen if not at `own.peer_address`, which others are told (as behind a proxy).
        Without TLS only loopback addresses are listened at and dialled, unless `insecure_public`. Raises ConfigError.
        """
        raise NotImplementedError

    @property
    def port(self) -> int:
        """Where it listens, once started."""
        raise NotImplementedError

    async def start(self) -> None:
        """Listen, and dial whom `update` named. Raises ConfigError, InvalidData, StorageError for the address."""
        raise NotImplementedError

    def update(self, members: Members) -> None:
        """Who the other nodes are from now on (the own one among them is passed over). Raises nothing."""
        raise NotImplementedError

    def send(self, to_id: str, message: Message) -> None:
        """Send a message of consensus, if it can be. Neither blocks nor raises; messages to one node keep their order,
        and any of them may be lost. To a node that is not a member it is lost."""
        raise NotImplementedError

    async def send_snapshot(
        self, to_id: str, head: SnapshotHead, chunks: AsyncIterator[bytes] | Iterator[bytes]
    ) -> None:
        """Send a snapshot on a connection of its own, and return once the other node has taken it over.

        An `Iterator` is read in a thread. Raises Unavailable with what went wrong, or what the other node says.
        """
        raise NotImplementedError

    async def ask(self, to_id: str, name: str, body: bytes = b"", timeout_s: float = 5.0) -> bytes:
        """Ask a node something, and give its answer. Raises Unavailable, and what `PeerHandler.on_ask` hands over."""
        raise NotImplementedError

    def contacts(self) -> dict[str, Contact]:
        """How it stands with each of the other nodes."""
        raise NotImplementedError

    async def close(self) -> None:
        """End all connections, and whoever waits for one. Idempotent."""
        raise NotImplementedError
