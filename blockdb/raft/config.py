"""What a node of the group is told about itself, its pace and its bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Chance", "RaftConfig"]


@dataclass(frozen=True, slots=True)
class RaftConfig:
    """How one node takes part. Times are in ticks, sizes in bytes."""

    id: str
    election_ticks: int = 20
    """An election begins once, for this long up to twice as long, no leader was heard."""
    heartbeat_ticks: int = 10
    max_append_bytes: int = 1 << 20
    """Of the entries of one Append; a longer entry goes alone."""
    max_in_flight: int = 64
    """How many Appends a member may be sent before it answers the first."""
    max_in_flight_bytes: int = 4 << 20
    """Of the entries in them: reading and writing them is work for the leader, who must not fall silent meanwhile."""
    max_uncommitted_bytes: int = 64 << 20
    """Of commands that the leader has taken and that are not committed; beyond that it takes no more."""
    max_committed_bytes: int = 4 << 20
    """Of the committed entries in one Ready."""
    max_unapplied_bytes: int = 64 << 20
    """Of committed entries that were handed out and are not applied; beyond that no more are handed out."""
    max_reads: int = 10_000
    """How many reads may wait; more are told to ask again."""

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("a node needs an id that is not empty")
        if not 0 < self.heartbeat_ticks < self.election_ticks:
            raise ValueError(
                f"heartbeats (every {self.heartbeat_ticks} ticks) must be more frequent than elections "
                f"({self.election_ticks} ticks)"
            )


class Chance(Protocol):
    """Where the length of an election timeout comes from; `random.Random` is one."""

    def randrange(self, stop: int, /) -> int:
        """A number from 0 to `stop` - 1."""
