"""What a log on the disk should hold, as a list, and the lives that it and the log are led through together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from unittest.mock import patch

from blockdb.cluster.consensus import disk, reading
from blockdb.cluster.consensus.disk import DiskLog
from blockdb.format.consensus import Entry, HardState, Kind, Member, Members
from blockdb.format.keyring import DataKeys
from blockdb.layout import RaftFiles
from blockdb.raft.messages import SnapshotHead
from blockdb.storage.door import Door
from blockdb.storage.sealed_door import SealedDoor
from tests.storage.doors import StillDoor

CLUSTER, NODE = "c1", "node1"
MEMBERS = Members((Member("node1", "localhost:1", "localhost:2"), Member("node2")))
FILE_BYTES = 700
KEYS = DataKeys({b"12345678": bytes(range(32))}, b"12345678")


@contextmanager
def small_files() -> Iterator[None]:
    """So that a few entries fill a file, and the memory."""
    with patch.object(disk, "FILE_BYTES", FILE_BYTES), patch.object(reading, "RECENT_BYTES", 1_000):
        yield


def files_in(root: Path) -> RaftFiles:
    return RaftFiles(root / "raft")


def open_log(root: Path, door: Door | None = None) -> DiskLog:
    return DiskLog.open(door or StillDoor(), files_in(root), CLUSTER, NODE)


def sealed(door: Door) -> Door:
    return SealedDoor(door, KEYS)


def entry(index: int, term: int, size: int = 20) -> Entry:
    """An entry whose data follow from its index and term."""
    return Entry(index, term, Kind(index % 3), b"%d.%d" % (index, term) * (size // 3))


@dataclass
class Model:
    """What the log holds."""

    head: SnapshotHead = field(default_factory=lambda: SnapshotHead(0, 0, Members()))
    entries: list[Entry] = field(default_factory=list)
    state: HardState = field(default_factory=HardState)

    @property
    def last(self) -> int:
        return self.head.index + len(self.entries)

    def store(self, state: HardState | None, entries: Sequence[Entry]) -> None:
        if entries:
            del self.entries[entries[0].index - self.head.index - 1 :]
            self.entries.extend(entries)
        self.state = state or self.state

    def term(self, index: int) -> int:
        return self.head.term if index == self.head.index else self.entries[index - self.head.index - 1].term

    def compact(self, head: SnapshotHead) -> None:
        del self.entries[: head.index - self.head.index]
        self.head = head

    def begin_anew(self, head: SnapshotHead) -> None:
        self.head, self.entries = head, []

    def copy(self) -> Model:
        return Model(self.head, list(self.entries), self.state)

    def differs(self, log: DiskLog) -> str:
        """What the log says otherwise; nothing where it says the same."""
        if (log.head, log.last_index) != (self.head, self.last):
            return f"it has {log.head} to {log.last_index}, not {self.head} to {self.last}"
        if log.entries(self.head.index + 1, self.last) != self.entries:
            return "other entries"
        if [log.term(index) for index in range(self.head.index, self.last + 1)] != [
            self.term(index) for index in range(self.head.index, self.last + 1)
        ]:
            return "other terms"
        state = log.hard_state
        same = (state.term, state.vote) == (self.state.term, self.state.vote)
        same &= state.commit <= max(self.head.index, self.state.commit)
        return "" if same else f"{state}, not {self.state}"


Step = tuple[str, int, int]
"""What is done, and two numbers that say how."""


def take(step: Step, log: DiskLog | None, model: Model) -> None:
    """Do a step, to the log first."""
    what, first, second = step
    index = model.head.index + (first % (len(model.entries) + 1))
    if what == "store":
        term = max(model.state.term, 1) + (second % 4 == 0)
        vote = model.state.vote if term == model.state.term else ""
        state = HardState(term, vote or (NODE if second % 3 else ""), index)
        begin = index + 1 if second % 5 == 0 else model.last + 1
        stored = [entry(begin + at, term, second * 3) for at in range(second % 6)]
        given = None if term == model.state.term and second % 2 else state
        if log is not None:
            log.store(given, stored)
        model.store(given, stored)
    elif what == "compact":
        head = SnapshotHead(index, model.term(index), MEMBERS)
        if log is not None:
            log.compact(head)
        model.compact(head)
    elif what == "begin anew":
        head = SnapshotHead(index + second, model.state.term, MEMBERS)
        if log is not None:
            log.begin_anew(head)
        model.begin_anew(head)
    elif log is not None:
        log.force()


def a_life(seed: int, count: int) -> list[Step]:
    """Steps as a node takes them."""
    rng = Random(seed)
    whats = rng.choices(["store", "force", "compact", "begin anew"], [12, 6, 2, 1], k=count)
    return [(what, rng.randrange(40), rng.randrange(30)) for what in whats]
