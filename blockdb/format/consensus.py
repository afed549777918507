"""What consensus keeps on the disk: entries of the replicated log, the hard state, and who the members are.

The layouts are in docs/formats/raft.md.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

__all__ = ["NOBODY", "Entry", "HardState", "Kind", "Member", "Members", "Role"]


class Kind(IntEnum):
    """What an entry of the log is."""

    COMMAND = 0
    """Something to apply; consensus does not look into it."""
    BEGINNING = 1
    """The first entry of a leader's term: it is empty."""
    MEMBERS = 2
    """Who belongs to the cluster from this entry on, as `encode_members` writes it."""


class Role(IntEnum):
    """What a member is in the log's group."""

    VOTER = 0
    LEARNER = 1
    """Gets the log, does not count, and is made a voter by the leader once it has caught up."""
    REPLICA = 2
    """Gets the log, does not count, and stays so: it serves reads."""


class Member(msgspec.Struct, frozen=True, array_like=True):
    """A node of a cluster, and where it is reached."""

    id: str
    address: str = ""
    """`host:port` where it serves its users."""
    peer_address: str = ""
    """`host:port` where it talks to other nodes."""
    role: Role = Role.VOTER


class Members(msgspec.Struct, frozen=True, array_like=True):
    """Who belongs to a cluster, in the order of their ids."""

    all: tuple[Member, ...] = ()

    @property
    def voters(self) -> frozenset[str]:
        """The ids of those that count."""
        return frozenset(member.id for member in self.all if member.role is Role.VOTER)

    def __contains__(self, id_: object) -> bool:
        return any(member.id == id_ for member in self.all)

    def get(self, id_: str) -> Member | None:
        """The member of that id."""
        return next((member for member in self.all if member.id == id_), None)

    def with_member(self, member: Member) -> Members:
        """With a member added, or changed."""
        others = [other for other in self.all if other.id != member.id]
        return Members(tuple(sorted([*others, member], key=lambda each: each.id)))

    def without(self, id_: str) -> Members:
        """Without a member."""
        return Members(tuple(member for member in self.all if member.id != id_))


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entry of the replicated log. Indexes begin at 1."""

    index: int
    term: int
    kind: Kind
    data: bytes = b""


class HardState(msgspec.Struct, frozen=True, array_like=True):
    """What a node must never forget: forced to the disk before it answers."""

    term: int = 0
    vote: str = ""
    """Whom it voted for in that term; empty: nobody yet."""
    commit: int = 0
    """How far it knew the log to be committed: a hint, which may be older."""


NOBODY: Final = Members()
"""The members before there are any."""

_encoder: Final = msgspec.msgpack.Encoder()
_members_decoder: Final = msgspec.msgpack.Decoder(Members)


def encode_members(members: Members) -> bytes:
    """The data of an entry that says who belongs to the cluster."""
    return _encoder.encode(members)


def decode_members(data: bytes) -> Members:
    """Who belongs to the cluster. Raises ValueError."""
    return _members_decoder.decode(data)
