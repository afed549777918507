"""What the connections tell, and to whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from blockdb.raft.messages import Message, SnapshotHead

__all__ = ["Contact", "PeerHandler"]


@dataclass(frozen=True, slots=True)
class Contact:
    """How it stands with another node, at one moment."""

    last_heard_ms: int = 0
    """When it said something last, in milliseconds since 1970; 0: never."""
    is_connected: bool = False
    """Whether what is sent to it now goes out at once."""
    queued_bytes: int = 0
    """What waits for being sent to it."""
    sent: int = 0
    """Messages of consensus that were sent."""
    dropped: int = 0
    """Those that were not, since too much waited, or since they were out of date when it was reached again."""


class PeerHandler(Protocol):
    """Who is told what other nodes say. All of it is called on the loop of `Peers`, so nothing may block."""

    def on_message(self, sender: str, message: Message) -> None:
        """A message of consensus. `message.sender` is `sender`, which the handshake (and its certificate) proved."""

    async def on_snapshot(self, sender: str, head: SnapshotHead, chunks: AsyncIterator[bytes]) -> None:
        """Take over a snapshot. Nothing of it counts before `chunks` ended of itself: only then is its digest right.

        `chunks` raises Unavailable where the stream is cut or stalls, InvalidData where it is not what was sent. The
        sender reads no faster than this does. One at a time. What is raised here is what the sender is told; returning
        tells it that the snapshot was taken over.
        """

    def on_contact(self, id_: str, is_reached: bool) -> None:
        """Another node can be sent to from now on, or no longer."""

    async def on_ask(self, sender: str, name: str, body: bytes) -> bytes:
        """Answer a question that is not one of consensus. `sender` need not be a member: a node that joins asks too.

        A BlockDBError is handed to whoever asked: InvalidData, ConfigError and Forbidden as such, all
        others as Unavailable.
        """
