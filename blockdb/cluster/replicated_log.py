"""The replicated log: the one interface between a database and whatever agrees on the order of its commands.

Raft is one implementation (`blockdb.cluster.consensus`), a stream of NATS another (`blockdb.cluster.jetstream`), a log
of one node a third (`blockdb.cluster.lone`). All are held against `tests/cluster/conformance.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from blockdb.cluster.events import ClusterEvent
from blockdb.format.consensus import Member, Members

__all__ = ["Command", "Histories", "LogStatus", "MemberStatus", "ReplicatedLog", "Snapshot", "StateMachine"]


@dataclass(frozen=True, slots=True)
class Command:
    """A command at its place in the log."""

    index: int
    term: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after the command at `index`, as a stream that is checked before it is used."""

    index: int
    chunks: Iterator[bytes]


class StateMachine(Protocol):
    """What commands are applied to. One thread calls it, one call at a time, but for `durable_index`."""

    def apply(self, commands: Sequence[Command]) -> None:
        """Apply commands, in order. The same commands make the same of every node. What raises stops the node."""

    @property
    def applied_index(self) -> int:
        """The last index that was applied, or passed over since it is no command. After opening: what it still has."""

    def pass_over(self, index: int) -> None:
        """Everything up to `index` that was not handed to `apply` is no command."""

    def make_durable(self) -> int:
        """Have what was applied on the disk, and say up to which index: the log before it may go."""

    def snapshot(self) -> Snapshot:
        """What it holds now. Commands go on being applied while it is read."""

    def restore(self, snapshot: Snapshot) -> None:
        """Become what a snapshot holds; nothing changes unless all of it is good. Raises InvalidData, StorageError."""


class Histories(Protocol):
    """What a state machine that keeps chains has as `heads`, so that nodes can compare them. Safe for threads.

    Where chains differ is told as an object that `str` puts into words; the machine's `diverge` gets it.
    """

    def head(self) -> Mapping[bytes, tuple[int, bytes]]:
        """Number and hash of the newest sealed block of each collection that was written to, by its 16 bytes."""

    def compare(self, other: Mapping[bytes, tuple[int, bytes]]) -> object | None:
        """Where this node differs from one whose head that was; None where it is not known to."""

    def first_difference(
        self,
        found: Any,
        ask: Callable[[bytes, int, int], Sequence[bytes]],
        ask_leaves: Callable[[bytes, int], Sequence[bytes]],
    ) -> object:
        """The first place where they part; `ask` and `ask_leaves` ask the other node what the methods below give."""

    def block_hashes(self, collection: bytes, first: int, count: int) -> Sequence[bytes]:
        """The hashes of so many sealed blocks from one on, those that there are."""

    def leaf_hashes(self, collection: bytes, block: int) -> Sequence[bytes]:
        """The hashes of the records of a block."""


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """A member as this node knows it."""

    member: Member
    state: str
    """`Leader`, `Follower`, `PreCandidate`, `Candidate`, `Learner`, `Replica`, `Mending` or `Unreachable`; of a node
    itself also `Removed`, `Starting` or `Stopped`."""
    last_heard_ms: int
    """When it was heard of last, in milliseconds since 1970; 0: never."""
    match: int
    """The last index that is known to be on its disk; 0: not known here."""
    commit: int = 0
    applied: int = 0
    lag: int = 0
    """How many entries it is behind what is committed."""
    head: str = ""
    """The chain head that it told last: `<collection id> <block number> <hash>` of its newest sealed block."""
    agrees: bool | None = None
    """Whether its chain is this node's; None: not compared yet."""


@dataclass(frozen=True, slots=True)
class LogStatus:
    """The log as this node sees it, at one moment."""

    cluster_id: str
    node_id: str
    engine: str
    """`raft`, `jetstream` or `lone`."""
    state: str
    """As in `MemberStatus`."""
    term: int
    leader: str
    """Empty where none is known."""
    last_index: int
    commit: int
    applied: int
    first_index: int
    members: tuple[MemberStatus, ...]
    last_election_ms: int = 0
    elections: int = 0
    """How many changes of the leader this node has seen since it began."""
    diverged: str = ""
    """Where the first difference from the others is, on a node that stopped serving because of it."""
    stopped: str = ""
    """Why it takes part no longer, where its state is `Stopped`."""
    step: int = 1
    """By how much the index grows from one entry to the next: an entry may have room for several commands."""


class ReplicatedLog(Protocol):
    """A log whose commands every member applies in the same order. Safe for threads."""

    def start(self, machine: StateMachine) -> None:
        """Begin to take part, and to apply to `machine` from the index after its own on. Raises StorageError."""

    def append(self, commands: Sequence[bytes]) -> Future[int]:
        """Have commands decided, in this order, from any member; the future has the index of the last, once decided.

        Unavailable says that they were not, or that nobody can tell: a command that must not count twice needs a name
        of its own. InvalidData where one is too long. Bounded: it raises RateLimited where too much waits already.
        """

    def barrier(self) -> Future[int]:
        """An index so new that a read which sees it applied sees all that was acknowledged before this call."""

    def wait_applied(self, index: int, timeout_s: float) -> None:
        """Return once this node has applied it. Raises Unavailable."""

    def members(self) -> Members:
        """Who belongs to the cluster, as far as this node knows."""

    def add_member(self, member: Member) -> Future[int]:
        """Take a member in. A voter is a learner until it has caught up; the future is done when it counts."""

    def remove_member(self, id_: str) -> Future[int]:
        """Let a member go. Raises InvalidData where there is none, or where it is the last voter."""

    def transfer(self, id_: str | None = None) -> Future[str]:
        """Have another voter lead (None: the one that is furthest), and give its id."""

    def status(self) -> LogStatus:
        """What it is doing. Cheap."""

    def subscribe(self, listener: Callable[[ClusterEvent], None]) -> Callable[[], None]:
        """Have `listener` told what happens, on the log's own thread: it must be quick. Gives what ends that."""

    def close(self) -> None:
        """Take part no longer. What is undecided fails with Unavailable. Idempotent."""
