"""A cluster as one of its nodes sees it, and what happens in it: what users are told."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

__all__ = [
    "ClusterEvent",
    "ClusterState",
    "GroupPeer",
    "NodeState",
    "PartitionMove",
    "PartitionState",
    "StreamGroup",
]

AWAY = "Unreachable"


class ClusterEvent(msgspec.Struct, frozen=True):
    """One thing that happened on a node."""

    time_ms: int
    """Milliseconds since 1970, by the node's clock."""
    node_id: str
    kind: str
    """`state` (it became what `what` says), `term`, `vote` (it voted for `other`), `election` (it stands), `leader`
    (`other` leads), `members`, `snapshot` (sent to or taken from `other`), `contact` (`other` is reached, or lost),
    `diverged`, `mended`, `stopped`."""
    term: int = 0
    index: int = 0
    other: str = ""
    """The other node that it is about."""
    what: str = ""
    """In words, short."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """A member of a cluster, as the node that was asked knows it."""

    id: str
    address: str
    """`host:port` where it serves its users."""
    peer_address: str
    """`host:port` where it talks to other nodes."""
    role: str
    """`voter`, `learner` (a voter to be, which has not caught up yet) or `replica`."""
    state: str
    """`Leader`, `Follower`, `Candidate`, `Learner`, `Replica`, `Mending` or `Unreachable`; empty: not known here."""
    last_heard_ms: int
    """When it was heard of last, in milliseconds since 1970; 0: never."""
    match: int
    """The last index that is known to be on its disk; 0: not known here."""
    commit: int
    applied: int
    lag: int
    """How many entries it is behind what is committed."""
    head: str
    """`<collection id> <block number> <hash>` of its newest sealed block; empty: it has told of none."""
    agrees: bool | None
    """Whether its chain is that of the node that was asked; None: not compared yet."""

    @property
    def is_active(self) -> bool:
        """Whether it was heard of lately."""
        return self.state != AWAY


@dataclass(frozen=True, slots=True)
class PartitionState:
    """A partition of a cluster whose engine has streams: who holds it, and how far they are."""

    name: str
    """`root` (what collections there are), or the UUID of a collection and a number."""
    collection: str
    """The name of the collection; empty: of root, or of one that was dropped."""
    number: int
    """Which partition of the collection it is."""
    is_held: bool
    """Whether the node that told of it holds it; of others it knows who does, and nothing more."""
    leader: str
    """Empty where none is known."""
    term: int
    first_index: int
    last_index: int
    commit: int
    nodes: tuple[NodeState, ...]
    """Those who hold it; a learner is on its way."""

    @property
    def label(self) -> str:
        """What it is called by who asks for it: `users:3`."""
        return f"{self.collection}:{self.number}" if self.collection else self.name


@dataclass(frozen=True, slots=True)
class PartitionMove:
    """A copy of a partition that changes its node."""

    partition: str
    """As `PartitionState.label`."""
    add: str
    """Which node is to hold it; empty: there are more copies than there should be."""
    remove: str
    """Which node is to hold it no longer; empty: there are fewer."""


@dataclass(frozen=True, slots=True)
class GroupPeer:
    """A server of a Raft group of NATS, as the group's leader knows it."""

    name: str
    """Of the server, which is the node's id where nodes start their own."""
    is_current: bool
    """Whether it has all that is decided."""
    is_online: bool
    active_ms: int
    """How long ago it was heard of, in milliseconds; 0 of the leader itself."""
    lag: int
    """How many operations it is behind."""


@dataclass(frozen=True, slots=True)
class StreamGroup:
    """A Raft group of NATS: that of all servers, or that of a stream."""

    partition: str
    """Whose stream it is; `meta` of the group of all servers."""
    name: str
    """What NATS calls it."""
    leader: str
    """The name of a server; empty: none is known."""
    term: int
    """0: not known (the servers of a NATS elsewhere do not tell)."""
    committed: int
    """Of the group's own log; 0: not known. Its messages have other numbers."""
    applied: int
    peers: tuple[GroupPeer, ...]
    first_sequence: int = 0
    """Of the messages in a stream."""
    last_sequence: int = 0
    messages: int = 0
    bytes: int = 0
    mirror_lag: int | None = None
    """Of a mirror: how many messages it is behind its source, as far as it knows."""
    mirror_silent_ms: int | None = None
    """Of a mirror: how long ago it heard of its source, in milliseconds."""


@dataclass(frozen=True, slots=True)
class ClusterState:
    """A cluster, as the node that was asked sees it at one moment."""

    cluster_id: str
    node_id: str
    """The node that was asked."""
    engine: str
    """`raft`, `jetstream`, or `lone`."""
    state: str
    """Its own, as in `NodeState`."""
    term: int
    leader: str
    """Empty where none is known."""
    first_index: int
    last_index: int
    commit: int
    applied: int
    last_election_ms: int
    """When it saw the leader change last, in milliseconds since 1970; 0: never."""
    elections: int
    """How many changes of the leader it has seen since it began."""
    diverged: str
    """Where its chain differs from that of the others; empty: nowhere."""
    members: tuple[NodeState, ...]
    partitions: tuple[PartitionState, ...] = ()
    """With the engine `jetstream`: which node holds which partition, `root` first."""
    groups: tuple[StreamGroup, ...] = ()
    """With the engine `jetstream`: the Raft groups of NATS, as far as its servers tell of them."""

    @property
    def active_nodes(self) -> int:
        """How many members were heard of lately, the node itself among them."""
        return sum(member.is_active for member in self.members)

    @property
    def health(self) -> str:
        """`healthy`: all are there; `degraded`: it answers, though some are missing; `unhealthy`: nobody leads."""
        if not self.leader or self.diverged or any(each.is_held and not each.leader for each in self.partitions):
            return "unhealthy"
        return "healthy" if self.active_nodes == len(self.members) else "degraded"
