"""The engine: what makes the logs of partitions, knows who holds which, and carries questions to the holders.

A partition is a database over a replicated log of its own. `ROOT` is held by all nodes: its database says which
collections there are. Those of a collection are called by its UUID and a number from 0 on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Final, Protocol

from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.format.consensus import Member, Members
from blockdb.layout import DatabaseFiles

__all__ = ["ROOT", "Engine", "partition_name"]

ROOT: Final = "root"
"""The partition that every node holds; its members are the nodes."""


def partition_name(collection: bytes, number: int) -> str:
    """What a partition of a collection is called, of which the 16 bytes of the UUID are given."""
    return f"{collection.hex()}-{number}"


class Engine(Protocol):
    """What the nodes of a cluster share. Safe for threads; questions are answered on threads of the engine."""

    @property
    def name(self) -> str:
        """Such as `jetstream`."""

    @property
    def own(self) -> Member:
        """This node."""

    def start(self) -> None:
        """Connect, and know the rosters when this returns. Raises ConfigError, Unavailable."""

    def create(self, partition: str, holders: Members, replicas: int) -> None:
        """Have a log that so many machines keep, and its roster. Nothing where there is one. Raises Unavailable."""

    def remove(self, partition: str) -> None:
        """Remove a log and its roster for good. Nothing where there is none. Raises Unavailable."""

    def log_of(self, partition: str, files: DatabaseFiles) -> ReplicatedLog:
        """The log of a partition that was created; not started. `files` are those of its database here."""

    def rosters(self) -> Mapping[str, Members]:
        """Who holds which partition, as far as this node knows: those who are about to are learners. Cheap."""

    def watch(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` told whenever `rosters` has changed; gives what ends that. It must be quick."""

    def ask(self, partition: str, question: bytes, timeout_s: float) -> Future[bytes]:
        """Have one of the nodes that answer for a partition answer a question; Unavailable where none does in time.

        Who is asked may have done what it was asked for, and nobody hears of it.
        """

    def answer(self, partition: str, handler: Callable[[bytes], bytes]) -> Callable[[], None]:
        """Answer questions about a partition from now on; gives what ends that. What `handler` raises is nobody's."""

    def forget(self, node: str) -> None:
        """Let go of what is kept for a node that is gone for good. Raises InvalidData for this one, Unavailable."""

    def close(self) -> None:
        """Disconnect; the logs are closed. Idempotent."""
