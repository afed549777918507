"""What the logs of a node have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from blockdb.cluster.jetstream.connection import Connection
from blockdb.cluster.jetstream.names import Names
from blockdb.cluster.jetstream.rosters import Rosters
from blockdb.cluster.jetstream.settings import JetStreamSettings
from blockdb.cluster.jetstream.streams import Streams
from blockdb.cluster.waiting import Listeners
from blockdb.nodes import StreamGroup

__all__ = ["Shared"]


@dataclass(frozen=True, slots=True)
class Shared:
    """Given by the engine to each log that it makes. `own` of the settings is this node."""

    settings: JetStreamSettings
    names: Names
    connection: Connection
    streams: Streams
    rosters: Rosters
    listeners: Listeners
    """Who is told of events that concern all partitions: the connection, the server of this node."""
    group: Callable[[str], StreamGroup | None]
    """The Raft group of a partition's stream as it was seen last (not older than a few seconds). Cheap; never waits."""
