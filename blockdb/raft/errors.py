"""Why the core does not do what it was asked."""

from __future__ import annotations

from blockdb.errors import BlockDBError

__all__ = ["Broken", "NotLeader", "TooMuch"]


class NotLeader(BlockDBError):
    """Only the leader can do this. `leader` is its id, empty where none is known."""

    def __init__(self, leader: str) -> None:
        self.leader = leader
        super().__init__(f"this node is not the leader; {leader or 'nobody that it knows'} is")


class TooMuch(BlockDBError):
    """Not now: too much waits to be committed, leadership is about to move, or a change of members is under way."""


class Broken(BlockDBError):
    """What must never happen did: the node must stop at once. It is a bug, or somebody else's state."""
