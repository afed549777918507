"""A group of nodes in one process, for transcripts: their disks, their machines, and the messages between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from blockdb.format.consensus import Entry, HardState, Kind, Members
from blockdb.raft import Raft, RaftConfig, Ready
from blockdb.raft.messages import Message, SnapshotHead, SnapshotOffer


@dataclass
class Disk:
    """A LogView in memory. `forced` is what a crash leaves."""

    head: SnapshotHead
    kept: list[Entry] = field(default_factory=list)
    state: HardState = field(default_factory=HardState)

    @property
    def last_index(self) -> int:
        return self.head.index + len(self.kept)

    @property
    def changes(self) -> Sequence[Entry]:
        return [entry for entry in self.kept if entry.kind is Kind.MEMBERS]

    def term(self, index: int) -> int:
        if index == self.head.index:
            return self.head.term
        assert self.head.index < index <= self.last_index, f"{index} is not in the log"
        return self.kept[index - self.head.index - 1].term

    def entries(self, first: int, last: int, max_bytes: int) -> tuple[Entry, ...]:
        assert self.head.index < first <= last <= self.last_index, f"{first} to {last} is not in the log"
        found: list[Entry] = []
        for entry in self.kept[first - self.head.index - 1 : last - self.head.index]:
            max_bytes -= len(entry.data) or 1
            if found and max_bytes < 0:
                break
            found.append(entry)
        return tuple(found)

    def take(self, ready: Ready) -> None:
        if ready.snapshot is not None:
            self.head, self.kept = ready.snapshot, []
        if ready.entries:
            assert self.head.index < ready.entries[0].index <= self.last_index + 1, "a gap in the log"
            del self.kept[ready.entries[0].index - self.head.index - 1 :]
            self.kept.extend(ready.entries)
        self.state = ready.hard_state or self.state

    def compact(self, head: SnapshotHead) -> None:
        del self.kept[: head.index - self.head.index]
        self.head = head

    def copy(self) -> Disk:
        return replace(self, kept=list(self.kept))


class Fixed:
    """A chance that is none: the node of that number waits so much longer."""

    def __init__(self, number: int) -> None:
        self.number = number

    def randrange(self, stop: int, /) -> int:
        return self.number % stop


class Node:
    """A Raft with its disk and its machine."""

    def __init__(self, config: RaftConfig, number: int, disk: Disk) -> None:
        self.config, self.number = config, number
        self.view = disk
        self.forced = disk.copy()
        self.unforced: list[Ready] = []
        self.is_slow = False
        self.is_up = True
        self.machine = disk.head.index
        self.start()

    def start(self, mend_to: int = 0, is_mending: bool = False) -> None:
        self.view = self.forced.copy()
        self.unforced = []
        self.is_up = True
        self.raft = Raft(self.config, self.view.state, self.view, Fixed(self.number), self.machine, is_mending, mend_to)

    def handle(self) -> tuple[Ready, list[tuple[str, Message]]]:
        """Do what a Ready says; gives it, and what is sent."""
        ready = self.raft.ready()
        self.view.take(ready)
        self.unforced.append(ready)
        for entry in ready.committed:
            assert entry.index == self.machine + 1 or entry.index <= self.machine, "a gap in what is applied"
            self.machine = max(self.machine, entry.index)
        self.raft.applied(self.machine)
        sent = list(ready.at_once)
        if not self.is_slow:
            sent += self.force()
        self.raft.check()
        return ready, sent

    def force(self) -> list[tuple[str, Message]]:
        """Everything so far is on the disk; gives what may be sent now."""
        sent = []
        for ready in self.unforced:
            self.forced.take(ready)
            sent += ready.after_force
        if self.unforced:
            self.raft.forced(self.unforced[-1].number)
        self.unforced = []
        return sent


class Group:
    """Nodes, and the messages under way between them, in the order in which they were sent."""

    def __init__(self, members: Members, logs: dict[str, Disk] | None = None, **config: int) -> None:
        self.settings = config
        self.nodes: dict[str, Node] = {}
        self.wire: list[tuple[str, str, Message]] = []
        self.cut: set[tuple[str, str]] = set()
        for member in members.all:
            self.add(member.id, (logs or {}).get(member.id) or Disk(SnapshotHead(0, 0, members)))

    def add(self, id_: str, disk: Disk) -> None:
        self.nodes[id_] = Node(RaftConfig(id_, **self.settings), len(self.nodes), disk)

    def send(self, sender: str, envelopes: Iterable[tuple[str, Message]]) -> None:
        self.wire += [(sender, to, message) for to, message in envelopes]

    def handle(self, id_: str) -> Ready:
        node = self.nodes[id_]
        ready, sent = node.handle()
        self.send(id_, sent)
        for to in ready.wants_snapshot:
            head = node.raft.head_at(node.machine)
            self.send(id_, [(to, SnapshotOffer(id_, node.raft.term, head))])
        return ready

    def deliver(self, sender: str, to: str, message: Message) -> bool:
        """Whether it arrived."""
        node = self.nodes.get(to)
        arrives = node is not None and node.is_up and (sender, to) not in self.cut
        if node is not None and arrives:
            node.raft.step(message)
            if isinstance(message, SnapshotOffer):
                self._restore(node, message)
            node.raft.check()
        elif isinstance(message, SnapshotOffer):
            self.nodes[sender].raft.snapshot_sent(to, False)
        return arrives

    def _restore(self, node: Node, offer: SnapshotOffer) -> None:
        if node.raft.needs(offer.head):
            node.machine = max(node.machine, offer.head.index)
            node.raft.restored(offer.head, offer.sender)
        self.nodes[offer.sender].raft.snapshot_sent(node.config.id, True)
