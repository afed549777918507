"""A lane for each node of a cluster: what the nodes that answer say, made into one picture of one moment.

Each node knows itself best, so a lane of a node that was asked has its own words. What nobody was asked is taken from
the leader of the newest term, or from whoever comes nearest to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Protocol

import msgspec

__all__ = ["LEADER", "STATES", "UNREACHABLE", "Lane", "MemberSeen", "Moment", "Placed", "Sample", "Seen", "sample_of"]

LEADER, UNREACHABLE = "Leader", "Unreachable"

STATES = {
    "Leader": ("◆", "leader", "accent"),
    "Follower": ("○", "follower", "text"),
    "Candidate": ("▲", "candidate", "warning"),
    "PreCandidate": ("△", "asking", "warning"),
    "Learner": ("◌", "learner", "primary"),
    "Replica": ("◇", "replica", "secondary"),
    "Mending": ("✚", "mending", "warning"),
    "Diverged": ("≠", "diverged", "error"),
    UNREACHABLE: ("×", "unreachable", "error"),
    "killed": ("✗", "killed", "error"),
    "paused": ("‖", "paused", "warning"),
}
"""A glyph, a word and a role of the palette for each state, and for each fault that hides the state."""

Moment = Annotated[int, msgspec.Meta(ge=0, lt=253_402_300_800_000)]
"""Milliseconds since 1970, before the year 10000."""


class MemberSeen(Protocol):
    """A member as the node that was asked knows it."""

    @property
    def id(self) -> str:
        """Its name in the cluster."""

    @property
    def address(self) -> str:
        """`host:port` at which it serves."""

    @property
    def role(self) -> str:
        """`voter`, `learner` or `replica`."""

    @property
    def state(self) -> str:
        """What it is now: `Leader`, `Follower`, …"""

    @property
    def last_heard_ms(self) -> int:
        """When it was heard of last, in milliseconds since 1970."""

    @property
    def match(self) -> int:
        """Up to where its log is known to be the leader's."""

    @property
    def commit(self) -> int:
        """Up to where it is decided."""

    @property
    def applied(self) -> int:
        """Up to where it is stored."""

    @property
    def lag(self) -> int:
        """How many entries it is behind."""

    @property
    def head(self) -> str:
        """Its newest sealed block."""

    @property
    def agrees(self) -> bool | None:
        """Whether its chain is that of who was asked."""


class Seen(Protocol):
    """What a node says of itself and of the others."""

    @property
    def cluster_id(self) -> str:
        """The name of the cluster."""

    @property
    def node_id(self) -> str:
        """Who was asked."""

    @property
    def state(self) -> str:
        """What it is now: `Leader`, `Follower`, …"""

    @property
    def term(self) -> int:
        """The term that it is in."""

    @property
    def leader(self) -> str:
        """Who leads; empty: nobody that it knows of."""

    @property
    def last_index(self) -> int:
        """The end of its log."""

    @property
    def commit(self) -> int:
        """Up to where it is decided."""

    @property
    def applied(self) -> int:
        """Up to where it is stored."""

    @property
    def diverged(self) -> str:
        """Where its chain is another; empty: nowhere."""

    @property
    def members(self) -> Sequence[MemberSeen]:
        """All nodes that it knows."""


class Lane(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node at one moment. Indexes are places in the replicated log; 0 is one that is not known."""

    id: str
    state: str
    """As the node says of itself (`Leader`, `Follower`, …), or `Unreachable`."""
    role: str = "voter"
    address: str = ""
    term: int = 0
    last: int = 0
    commit: int = 0
    applied: int = 0
    lag: int = 0
    """How many entries it is behind what is committed."""
    head: str = ""
    """`<collection id> <block number> <hash>` of its newest sealed block, as far as known."""
    agrees: bool | None = None
    """Whether its chain is that of the others; None: not compared yet."""
    heard_ms: Moment = 0
    """When it was heard of last, in milliseconds since 1970; 0: never."""
    fault: str = ""
    """What was done to it in the demonstration: `killed`, `paused`, `cut off`."""

    @property
    def is_leader(self) -> bool:
        """Whether it believes that it leads."""
        return self.state == LEADER

    @property
    def is_there(self) -> bool:
        """Whether it answers, and nothing was done to it."""
        return self.state != UNREACHABLE and not self.fault


class Placed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A partition at one moment: who keeps it."""

    label: str
    """Such as `users:3`."""
    leader: str = ""
    """Empty where nobody that was asked knows of one."""
    term: int = 0
    commit: int = 0
    holders: tuple[tuple[str, str, int], ...] = ()
    """Of each node that keeps it its id, what it is (a learner is on its way), and how far it is behind."""


class Sample(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="sample"):
    """All lanes at one moment, in the order of their ids, and the partitions, where there are any."""

    time_ms: Moment
    lanes: tuple[Lane, ...] = ()
    partitions: tuple[Placed, ...] = ()

    @property
    def leader(self) -> Lane | None:
        """Who leads: of several that believe so, the one of the newest term."""
        return max((lane for lane in self.lanes if lane.is_leader), key=lambda lane: lane.term, default=None)

    def lane(self, id_: str) -> Lane | None:
        """The lane of a node."""
        return next((lane for lane in self.lanes if lane.id == id_), None)


def sample_of(
    seen: Iterable[Seen], time_ms: int, faults: Mapping[str, str] | None = None, known: Sequence[str] = ()
) -> Sample:
    """The lanes of a moment, from what the nodes that answered said; nodes of `known` have one in any case."""
    views = {view.node_id: view for view in seen}
    by_authority = sorted(views.values(), key=_authority, reverse=True)
    commit = max((view.commit for view in views.values()), default=0)
    ids = {member.id for view in by_authority[:1] for member in view.members} | set(views) | set(known)
    faults = faults or {}
    lanes = (_lane(id_, views.get(id_), by_authority, commit, time_ms) for id_ in sorted(ids))
    faulty = tuple(msgspec.structs.replace(lane, fault=faults.get(lane.id, "")) for lane in lanes)
    return Sample(time_ms, faulty, _placed(by_authority))


def _placed(views: Sequence[Seen]) -> tuple[Placed, ...]:
    """The partitions, each as one sees it that keeps it: best its leader."""
    found: dict[str, tuple[tuple[bool, bool, int], Any]] = {}
    for view in views:
        for each in getattr(view, "partitions", ()):
            rank = (each.is_held, each.leader == view.node_id, each.commit)
            if each.name not in found or rank > found[each.name][0]:
                found[each.name] = rank, each
    return tuple(
        Placed(
            each.label,
            each.leader,
            each.term,
            each.commit,
            tuple((node.id, "Learner" if node.role == "learner" else node.state, node.lag) for node in each.nodes),
        )
        for _, each in found.values()
    )


def _authority(view: Seen) -> tuple[bool, int, int]:
    return view.state == LEADER, view.term, view.commit


def _lane(id_: str, own: Seen | None, by_authority: Sequence[Seen], commit: int, now_ms: int) -> Lane:
    told = _told(id_, by_authority)
    if own is None and told is None:
        return Lane(id_, UNREACHABLE)
    lane = Lane(id_, UNREACHABLE) if told is None else _as_told(*told)
    if own is None:
        return lane
    return msgspec.structs.replace(
        lane,
        state=own.state,
        term=own.term,
        last=own.last_index,
        commit=own.commit,
        applied=own.applied,
        lag=max(0, commit - own.applied),
        head=lane.head or _own_head(own),
        agrees=_agrees(own, lane.agrees),
        heard_ms=lane.heard_ms or now_ms,
    )


def _told(id_: str, by_authority: Sequence[Seen]) -> tuple[Seen, MemberSeen] | None:
    """What another node says of it: the one with the most authority of those that know it; else it itself."""
    known = [(view, member) for view in by_authority for member in view.members if member.id == id_]
    return next((each for each in known if each[0].node_id != id_), known[0] if known else None)


def _as_told(view: Seen, member: MemberSeen) -> Lane:
    return Lane(
        member.id,
        member.state,
        role=member.role,
        address=member.address,
        term=view.term if member.state == LEADER and member.id == view.leader else 0,
        last=member.match,
        commit=member.commit,
        applied=member.applied,
        lag=member.lag,
        head=member.head,
        agrees=member.agrees,
        heard_ms=member.last_heard_ms,
    )


def _own_head(own: Seen) -> str:
    return next((member.head for member in own.members if member.id == own.node_id), "")


def _agrees(own: Seen, told: bool | None) -> bool | None:
    """Whether its chain is the others': as they say; else as it says of those that it has compared itself with."""
    if own.diverged:
        return False
    if told is not None:
        return told
    compared = [member.agrees for member in own.members if member.id != own.node_id and member.agrees is not None]
    return any(compared) if compared else None
