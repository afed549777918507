"""The core: what one node of a Raft group does about what it is told.

Sources: Ongaro, "Consensus: Bridging Theory and Practice" (2014); the correction of single-server changes (Ongaro,
raft-dev, 2015); etcd's `raft` package, whose Ready, progress states and pre-vote this follows.
"""

from __future__ import annotations

from collections.abc import Sequence

from blockdb.format.consensus import HardState, Member, Members
from blockdb.raft.config import Chance, RaftConfig
from blockdb.raft.log import LogView
from blockdb.raft.messages import Message, SnapshotHead
from blockdb.raft.ready import Ready, Status

__all__ = ["Raft"]


class Raft:
    """One node of a group. Not safe for threads; nothing here waits, and everything to be done stands in `ready()`."""

    def __init__(
        self,
        config: RaftConfig,
        hard_state: HardState,
        log: LogView,
        chance: Chance,
        applied: int = 0,
        is_mending: bool = False,
        mend_to: int = 0,
    ) -> None:
        """Begin with what the disk has.

        `applied` is the last index that the state machine has. `is_mending`: entries that were acknowledged were lost
        to damage; the node neither stands nor votes until it has them again. `mend_to` is the last index that it may
        have acknowledged; 0: unknown, then it takes part again once a leader of a later term has supplied it.
        """
        raise NotImplementedError

    def tick(self) -> None:
        """One unit of time has gone by."""

    def step(self, message: Message) -> None:
        """A message came. What is out of date is passed over. Raises Broken, and nothing else."""

    def propose(self, commands: Sequence[bytes]) -> int:
        """Put commands into the log, and give the index of the last one. Raises NotLeader, TooMuch."""
        raise NotImplementedError

    def change(self, members: Members) -> int:
        """Put a new list of members into the log, and give its index; at most one of them may be another.

        A new voter becomes a learner first; the leader makes a voter of it once it has caught up. Raises NotLeader,
        TooMuch (a change is under way, or nothing of this term is committed yet), InvalidData.
        """
        raise NotImplementedError

    def add(self, member: Member) -> int:
        """`change`, for one who comes or whose addresses or role change."""
        raise NotImplementedError

    def remove(self, id_: str) -> int:
        """`change`, for one who goes."""
        raise NotImplementedError

    def read(self, number: int) -> None:
        """Ask from where on reads are up to date: `Ready.confirmed` says it (index 0: ask again, with a new number).

        An answer may be lost with its message, so whoever asks needs a timeout of its own.
        """

    def transfer(self, to: str) -> None:
        """Have another voter lead; given up after an election timeout. Raises NotLeader, TooMuch, InvalidData."""

    @property
    def has_ready(self) -> bool:
        """Whether `ready()` would have anything to do. O(1)."""
        raise NotImplementedError

    def ready(self) -> Ready:
        """What is to be done now. Its entries are the LogView's from here on (see there)."""
        raise NotImplementedError

    def forced(self, number: int) -> None:
        """Everything up to that Ready is on the disk."""

    def applied(self, index: int) -> None:
        """The state machine has everything up to `index`."""

    def head_at(self, index: int) -> SnapshotHead:
        """What a snapshot of the state after `index` stands for: index (not after what is handed out), term, members.

        Raises IndexError where the log does not have it any more, or where it is not committed.
        """
        raise NotImplementedError

    def compacted(self, head: SnapshotHead) -> None:
        """The LogView now begins behind `head` (as `head_at` gave it, at most what is applied)."""

    def needs(self, head: SnapshotHead) -> bool:
        """Whether a snapshot that was offered would bring this node forward: else it need not be taken over."""
        raise NotImplementedError

    def restored(self, head: SnapshotHead, sender: str = "") -> None:
        """The state machine has taken over a checked snapshot, which `sender` offered (it is told once that is forced).

        What of the log contradicts it is dropped: see `Ready.snapshot`. Entries up to its index that were handed out
        before are to be passed over by whoever applies.
        """

    def snapshot_sent(self, id_: str, ok: bool) -> None:
        """The snapshot for a member that `Ready.wants_snapshot` named went out as a whole, or did not."""

    def unreachable(self, id_: str) -> None:
        """Messages to a member were lost: it is probed before more is sent."""

    @property
    def members(self) -> Members:
        """Who belongs to the group: the newest list in the log, committed or not."""
        raise NotImplementedError

    @property
    def leader(self) -> str:
        """The leader's id; empty where none is known."""
        raise NotImplementedError

    @property
    def is_leader(self) -> bool:
        """Whether this node leads."""
        raise NotImplementedError

    @property
    def is_mending(self) -> bool:
        """Whether it lacks entries that it acknowledged: keep what says so on the disk until this is false."""
        raise NotImplementedError

    def status(self) -> Status:
        """What it is doing, for whoever watches."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise Broken unless everything that must hold in one node does. For tests: O(members)."""
