"""A cluster as one of its nodes sees it, and what happens in it: what users are told."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

__all__ = ["ClusterEvent", "ClusterState", "NodeState"]

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
    """`Leader`, `Follower`, `Candidate`, `Learner`, `Replica`, `Mending` or `Unreachable`."""
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
class ClusterState:
    """A cluster, as the node that was asked sees it at one moment."""

    cluster_id: str
    node_id: str
    """The node that was asked."""
    engine: str
    """`raft`, or `lone`."""
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

    @property
    def active_nodes(self) -> int:
        """How many members were heard of lately, the node itself among them."""
        return sum(member.is_active for member in self.members)

    @property
    def health(self) -> str:
        """`healthy`: all are there; `degraded`: it answers, though some are missing; `unhealthy`: nobody leads."""
        if not self.leader or self.diverged:
            return "unhealthy"
        return "healthy" if self.active_nodes == len(self.members) else "degraded"
