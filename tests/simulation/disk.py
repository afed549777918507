"""A node's disk: what was written, and what of it a crash would leave."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from random import Random

from blockdb.format.consensus import Entry, HardState, Kind, Members, decode_members
from blockdb.raft.messages import SnapshotHead
from blockdb.raft.ready import Ready
from tests.simulation.machine import BEFORE_ALL, Machine


@lru_cache(1024)
def _members_in(data: bytes) -> Members:
    return decode_members(data)


def members_of(entry: Entry) -> Members:
    """Who belongs to the cluster, as an entry says."""
    return _members_in(entry.data)


@dataclass(slots=True)
class Image:
    """A log and a hard state: the LogView that the core sees, or what is forced."""

    head: SnapshotHead = BEFORE_ALL
    tail: list[Entry] = field(default_factory=list)
    """The entries behind `head`."""
    hard_state: HardState = field(default_factory=HardState)
    changes: list[Entry] = field(default_factory=list)
    """Those of them that say who belongs to the cluster."""

    # ── what the core asks for ───────────────────────────────────────────────────────────────────────────────────

    @property
    def last_index(self) -> int:
        """The last entry; where there is none, what the snapshot covers."""
        return self.head.index + len(self.tail)

    def term(self, index: int) -> int:
        """The term of an entry, or of the last one that the snapshot covers."""
        if index == self.head.index:
            return self.head.term
        return self.tail[index - self.head.index - 1].term

    def entries(self, first: int, last: int, max_bytes: int) -> tuple[Entry, ...]:
        """Entries, at least one, up to so many bytes."""
        start, size = first - self.head.index - 1, 0
        assert 0 <= start <= last - self.head.index <= len(self.tail), "the core asks for what the log does not have"
        chosen = tuple(self.tail[start : last - self.head.index])
        for count, entry in enumerate(chosen):
            size += len(entry.data)
            if size > max_bytes and count:
                return chosen[:count]
        return chosen

    # ── changes ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def members(self) -> Members:
        """Who belongs to the cluster as of the end of the log."""
        return members_of(self.changes[-1]) if self.changes else self.head.members

    def members_at(self, index: int) -> Members:
        """Who belonged to it as of an entry."""
        entry = next((entry for entry in reversed(self.changes) if entry.index <= index), None)
        return self.head.members if entry is None else members_of(entry)

    def take(self, ready: Ready) -> None:
        """Store what a Ready has."""
        if ready.snapshot is not None:
            self.begin_behind(ready.snapshot)
        if ready.hard_state is not None:
            self.hard_state = ready.hard_state
        if ready.entries:
            self._cut_from(ready.entries[0].index)
            for entry in ready.entries:
                self.tail.append(entry)
                if entry.kind is Kind.MEMBERS:
                    self.changes.append(entry)

    def begin_behind(self, head: SnapshotHead) -> None:
        """Have nothing but a snapshot."""
        self.head = head
        self.tail.clear()
        self.changes.clear()

    def compact(self, head: SnapshotHead) -> None:
        """Forget the log up to what a snapshot covers."""
        del self.tail[: head.index - self.head.index]
        self.changes = [change for change in self.changes if change.index > head.index]
        self.head = head

    def cut_behind(self, index: int) -> None:
        """Lose what comes after an entry."""
        self._cut_from(index + 1)

    def copy(self) -> Image:
        """One that changes apart."""
        return Image(self.head, self.tail.copy(), self.hard_state, self.changes.copy())

    def covers(self, index: int, term: int) -> bool:
        """Whether an entry is here, or was before a snapshot replaced it."""
        return index < self.head.index or (index <= self.last_index and self.term(index) == term)

    def _cut_from(self, index: int) -> None:
        start = index - self.head.index - 1
        assert 0 <= start <= len(self.tail), f"a gap in the log: {index} is stored after {self.last_index}"
        del self.tail[start:]
        while self.changes and self.changes[-1].index >= index:
            self.changes.pop()


class Disk:
    """What survives a node: its log, and its machine as it was made durable last."""

    def __init__(self, head: SnapshotHead = BEFORE_ALL, *, keeps_gaps: bool = False) -> None:
        self._keeps_gaps = keeps_gaps
        """Whether a log that damage made shorter than what the machine has is left so."""
        self.seen = Image(head)
        """What is on the disk, or on its way."""
        self.forced = Image(head)
        """What a crash leaves."""
        self.machine = Machine(head)
        """The state machine as it was forced last."""
        self.pending: list[Ready] = []
        """Written, not forced."""
        self.lost_behind = 0
        """How long the log was before damage took entries that had been acknowledged; 0: none."""

    def write(self, ready: Ready) -> None:
        """Store what a Ready has; it is forced later."""
        self.seen.take(ready)
        self.pending.append(ready)

    def force(self, count: int) -> list[Ready]:
        """The first `count` of what was written is forced."""
        done, self.pending = self.pending[:count], self.pending[count:]
        for ready in done:
            self.forced.take(ready)
        return done

    def compact(self, head: SnapshotHead) -> None:
        """Forget entries that a durable snapshot covers."""
        self.seen.compact(head)
        self.forced.compact(head)

    def crash(self, chance: Random) -> None:
        """Of what was not forced some is there, in order, and the rest is not."""
        if self.pending:
            self.force(chance.randint(0, len(self.pending)))
            self.pending.clear()
        self._close_gap()

    def damage(self, behind: int) -> None:
        """Lose entries that were forced. The node is down; what is missing is noticed when it starts."""
        self.lost_behind = max(self.lost_behind, self.forced.last_index)
        self.forced.cut_behind(behind)
        self._close_gap()

    def _close_gap(self) -> None:
        """Where the log ends before what the machine has, or contradicts it, it begins anew behind that."""
        head, image = self.machine.head, self.forced
        is_left = self._keeps_gaps and self.lost_behind > 0 and image.last_index < head.index
        if not is_left and not image.covers(head.index, head.term):
            image.begin_behind(head)
        self.seen = image.copy()
