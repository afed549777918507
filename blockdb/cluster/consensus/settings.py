"""What a node of the log is told: who it is, how it comes to its cluster, its pace and its bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from blockdb.cluster.peers import Limits, PeerTls
from blockdb.errors import ConfigError
from blockdb.format.consensus import NOBODY, Member, Members

__all__ = ["TICKS_PER_HEARTBEAT", "RaftSettings"]

TICKS_PER_HEARTBEAT: Final = 10


@dataclass(frozen=True, slots=True)
class RaftSettings:
    """Of one node. Times in the unit that their name says."""

    own: Member
    cluster_id: str = ""
    """What all nodes have in common; may be left out by who joins, or who has a log already."""
    bootstrap: Members = NOBODY
    """The members that a new cluster begins with, the same on each of them; a node that has a log looks at that."""
    join: tuple[str, ...] = ()
    """Peer addresses of members, one of which takes this node in if it has no log yet."""
    heartbeat_ms: int = 150
    election_ms: int = 300
    append_timeout_s: float = 10.0
    """How long a command or a barrier may be undecided before nobody waits for it any longer."""
    change_timeout_s: float = 60.0
    """The same of changes of the members: a new voter has to catch up first."""
    join_timeout_s: float = 60.0
    max_waiting: int = 10_000
    """How many commands of this node may wait; and how many bytes of them."""
    max_waiting_bytes: int = 256 << 20
    compact_bytes: int = 64 << 20
    """After so many bytes that were applied the log is cut behind what the machine has on the disk."""
    compact_entries: int = 100_000
    """Or after so many entries."""
    keep_entries: int = 10_000
    """How many entries are kept for members that are behind, which would need a snapshot without them."""
    pulse_s: float = 1.0
    """How often nodes tell each other how far they are, and their chain heads."""
    tls: PeerTls | None = None
    insecure_public: bool = False
    listen_address: str = ""
    limits: Limits = field(default_factory=lambda: Limits(max_frame_bytes=96 << 20, max_queued_bytes=160 << 20))

    def __post_init__(self) -> None:
        if self.heartbeat_ms < TICKS_PER_HEARTBEAT:
            raise ConfigError(f"A heartbeat every {self.heartbeat_ms} ms is too often: give 10 ms or more.")
        if self.election_ms <= self.heartbeat_ms:
            raise ConfigError(
                f"The election timeout ({self.election_ms} ms) must be longer than the time between heartbeats "
                f"({self.heartbeat_ms} ms); twice as long is usual."
            )

    @property
    def tick_s(self) -> float:
        """Seconds of a tick."""
        return self.heartbeat_ms / 1000 / TICKS_PER_HEARTBEAT

    @property
    def election_ticks(self) -> int:
        """The election timeout in ticks."""
        return max(TICKS_PER_HEARTBEAT + 1, round(self.election_ms / 1000 / self.tick_s))
