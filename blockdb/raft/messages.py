"""What nodes tell each other. Each message names its sender and the sender's term; what it is about comes after.

How they are written for the network is `blockdb.cluster.peers`' business, which refuses what is not one of these.
"""

from __future__ import annotations

from typing import Final

import msgspec

from blockdb.format.consensus import Entry, Members

__all__ = [
    "Append",
    "AppendAnswer",
    "Heartbeat",
    "HeartbeatAnswer",
    "Message",
    "Propose",
    "ReadAnswer",
    "ReadRequest",
    "SnapshotAnswer",
    "SnapshotHead",
    "SnapshotOffer",
    "TimeoutNow",
    "VoteAnswer",
    "VoteRequest",
]


class _Message(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    sender: str
    term: int


class VoteRequest(_Message, frozen=True):
    """A candidate asks for a vote, or, before it raises its term, whether it would get one (`is_pre`)."""

    last_index: int
    last_term: int
    is_pre: bool = False
    is_transfer: bool = False
    """The leader itself asked it to stand, so that those who hear from the leader may vote too."""


class VoteAnswer(_Message, frozen=True):
    """What became of that."""

    is_granted: bool
    is_pre: bool = False


class Append(_Message, frozen=True):
    """The leader sends entries that follow `previous_index`, or none to find out where the logs agree."""

    previous_index: int
    previous_term: int
    commit: int
    entries: tuple[Entry, ...] = ()


class AppendAnswer(_Message, frozen=True):
    """How far the log is the leader's and on the disk; or that it does not have what the entries follow."""

    index: int
    """The last index that agrees and is forced; where it was refused, the `previous_index` that was not found."""
    is_refused: bool = False
    hint_index: int = 0
    hint_term: int = 0
    """Where it was refused: the last entry that may agree (the end of the term before the conflict)."""
    is_mending: bool = False
    """Entries that it once acknowledged were lost to damage: the leader has to begin anew from the hint."""


class Heartbeat(_Message, frozen=True):
    """The leader is there."""

    commit: int
    """At most what the receiver is known to have."""
    round: int = 0
    """Which reads its answer confirms."""


class HeartbeatAnswer(_Message, frozen=True):
    """A member that has heard the leader of this term."""

    round: int = 0


class SnapshotHead(msgspec.Struct, frozen=True, array_like=True):
    """What a snapshot stands for: the log up to an index, and who belonged to the cluster then."""

    index: int
    term: int
    members: Members


class SnapshotOffer(_Message, frozen=True):
    """The leader no longer has what the receiver lacks: it gets a snapshot, whose bytes come beside the messages."""

    head: SnapshotHead


class SnapshotAnswer(_Message, frozen=True):
    """A snapshot was taken over, or could not be."""

    index: int
    is_refused: bool = False


class ReadRequest(_Message, frozen=True):
    """A member asks from where on a read is up to date; `number` is its own."""

    number: int
    is_mending: bool = False
    """It lost entries, and asks how far the leader's log goes: it cannot have acknowledged more than that."""


class ReadAnswer(_Message, frozen=True):
    """Reads may be served once everything up to `index` is applied; 0: not now, ask again. Or how far the log goes."""

    number: int
    index: int


class Propose(_Message, frozen=True):
    """A member passes commands on to the leader. Nothing is promised: who asked sees them applied, or asks again."""

    commands: tuple[bytes, ...]


class TimeoutNow(_Message, frozen=True):
    """The leader asks its successor to stand for election at once."""


Message = (
    VoteRequest
    | VoteAnswer
    | Append
    | AppendAnswer
    | Heartbeat
    | HeartbeatAnswer
    | SnapshotOffer
    | SnapshotAnswer
    | ReadRequest
    | ReadAnswer
    | Propose
    | TimeoutNow
)

MESSAGES: Final = Message.__args__
"""All of them."""
