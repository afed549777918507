"""What a node is to do next, and in which order: what must be on the disk before what is sent is said here.

The shape is that of etcd's `raft.Ready`, with what waits for the disk set apart, so that a slow disk does not hold up
what need not wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from blockdb.format.consensus import Entry, HardState
from blockdb.raft.messages import Message, SnapshotHead

__all__ = ["Envelope", "Ready", "Status"]

Envelope = tuple[str, Message]
"""To whom, and what."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What there is to do. The numbers count up; what several of them say is done in their order."""

    number: int
    hard_state: HardState | None = None
    """To be forced to the disk, together with the entries: one never without the other."""
    entries: tuple[Entry, ...] = ()
    """To be stored and forced; from the first one's index on they replace what the log has."""
    at_once: tuple[Envelope, ...] = ()
    """May be sent before anything of this is on the disk."""
    after_force: tuple[Envelope, ...] = ()
    """Must not be sent before all of this and of every earlier one is on the disk."""
    committed: tuple[Entry, ...] = ()
    """To be applied, in order. A majority has them; they may still be on the way to this node's own disk, and what they
    do must not be made durable before they are there."""
    confirmed: tuple[tuple[int, int], ...] = ()
    """Reads, by number: each may be served once its index is applied; with index 0 it is to be asked for again."""
    snapshot: SnapshotHead | None = None
    """The log begins anew behind this snapshot, which was checked and taken over already."""
    wants_snapshot: tuple[str, ...] = ()
    """Members whom only a snapshot helps: the driver sends its newest one, and calls `snapshot_sent` in the end."""


@dataclass(frozen=True, slots=True)
class Status:
    """A node at one moment, for whoever watches."""

    id: str
    state: str
    """`Leader`, `Follower`, `Candidate`, `PreCandidate`, `Learner` or `Mending`."""
    term: int
    vote: str
    leader: str
    first_index: int
    last_index: int
    commit: int
    applied: int
    progress: dict[str, Progress] = field(default_factory=dict)
    """Of the other members, as the leader knows them."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a member is."""

    match: int
    """The last index known to be on its disk."""
    next: int
    state: str
    """`probing`, `streaming` or `snapshot`."""
    in_flight: int
    is_active: bool
    """Whether it was heard of within an election timeout."""
