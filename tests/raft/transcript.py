"""The language of the transcripts: each command does something to a group of nodes, and says what came of it.

cluster a b c                    a new group of voters
log a 1 1 2 [term=3]             (before `start`) the terms of its entries, and the node's own
start [max_append_bytes=1]       the group begins, with these settings
campaign a                       time passes for one node until it stands
tick a 20                        time passes for one node (or `all`)
run 20 [quietly]                 time passes for all of them, with `settle` after each tick
propose a x y | read a 7 | transfer a b | add a d [replica] | remove a b
handle a                         one Ready, and what it says
deliver [a>b]                    what is on the wire now arrives; answers stay on the wire
drop [a>b]                       what is on the wire is lost
hold [a>b] | release             what is on the wire is late: it is on the wire again after what was sent meanwhile
settle [quietly]                 handle and deliver until nothing is left
cut a b | heal                   nothing passes between a and b; `cut a` from and to everybody
slow a | force a                 its disk forces nothing until told to
crash a | restart a [mending[=9]] what was not forced is lost
lose a 5                         its disk loses the entries from there on
compact a 7                      its log begins behind that entry
state [a …]                      what the nodes have
"""

from __future__ import annotations

from collections.abc import Callable

from blockdb.errors import BlockDBError
from blockdb.format.consensus import Entry, HardState, Kind, Member, Members, Role, decode_members
from blockdb.raft.messages import (
    Append,
    AppendAnswer,
    Heartbeat,
    HeartbeatAnswer,
    Message,
    ReadAnswer,
    ReadRequest,
    SnapshotAnswer,
    SnapshotHead,
    SnapshotOffer,
    VoteAnswer,
    VoteRequest,
)
from blockdb.raft.raft import Raft
from blockdb.raft.ready import Ready
from tests.raft.group import Disk, Group

STEPS = 2_000


def show_members(members: Members) -> str:
    marks = {Role.VOTER: "", Role.LEARNER: "(learner)", Role.REPLICA: "(replica)"}
    return " ".join(member.id + marks[member.role] for member in members.all)


def show_entry(entry: Entry) -> str:
    what = {Kind.COMMAND: f":{entry.data.decode(errors='replace')}", Kind.BEGINNING: "", Kind.MEMBERS: ":"}[entry.kind]
    if entry.kind is Kind.MEMBERS:
        what += f"{{{show_members(decode_members(entry.data))}}}"
    return f"{entry.index}/{entry.term}{what}"


def show_message(message: Message) -> str:
    name, detail = type(message).__name__, ""
    match message:
        case VoteRequest():
            detail = f" log {message.last_index}/{message.last_term}"
            detail += " pre" * message.is_pre + " transfer" * message.is_transfer
        case VoteAnswer():
            detail = (" yes" if message.is_granted else " no") + " pre" * message.is_pre
        case Append():
            entries = " ".join(map(show_entry, message.entries))
            detail = f" after {message.previous_index}/{message.previous_term} [{entries}] commit {message.commit}"
        case AppendAnswer(is_refused=True):
            detail = f" refuses {message.index}, hint {message.hint_index}/{message.hint_term}"
            detail += " mending" * message.is_mending
        case AppendAnswer() | SnapshotAnswer():
            detail = f" {message.index}"
        case Heartbeat():
            detail = f" commit {message.commit} round {message.round}"
        case HeartbeatAnswer():
            detail = f" round {message.round}"
        case ReadAnswer():
            detail = f" index {message.index}"
        case SnapshotOffer():
            detail = f" {message.head.index}/{message.head.term} {{{show_members(message.head.members)}}}"
        case ReadRequest():
            detail = " mending" * message.is_mending
    return f"{name} t{message.term}{detail}"


def show_log(entries: list[Entry]) -> str:
    return " ".join(str(entry.term) for entry in entries)


class Interpreter:
    """Runs the commands of one transcript."""

    def __init__(self) -> None:
        self.logs: dict[str, list[int]] = {}
        self.terms: dict[str, int] = {}
        self.members = Members()
        self.group = Group(Members())
        self.lines: list[str] = []
        self.is_quiet = False
        self.held: list[tuple[str, str, Message]] = []

    def run(self, commands: str) -> str:
        self.lines = []
        for line in commands.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            name, *words = line.split()
            command: Callable[..., None] = getattr(self, f"do_{name}")
            try:
                command(*words)
            except BlockDBError as error:
                self.say(f"{type(error).__name__}: {error}")
        return "\n".join(self.lines or ["ok"])

    def say(self, line: str) -> None:
        if not self.is_quiet:
            self.lines.append(line)

    def raft(self, id_: str) -> Raft:
        return self.group.nodes[id_].raft

    # ── beginning ────────────────────────────────────────────────────────────────────────────────────────────────

    def do_cluster(self, *ids: str) -> None:
        self.members = Members(tuple(Member(id_) for id_ in sorted(ids)))
        self.logs = {}
        self.do_start()

    def do_log(self, id_: str, *terms: str) -> None:
        self.logs[id_] = [int(term) for term in terms if term.isdigit()]
        self.terms[id_] = max([*self.logs[id_], *(int(word[5:]) for word in terms if word.startswith("term="))])

    def do_start(self, *words: str) -> None:
        settings = {name: int(value) for name, _, value in (word.partition("=") for word in words)}
        disks = {}
        for id_, terms in self.logs.items():
            kept = [Entry(index, term, Kind.COMMAND, b"%d" % term) for index, term in enumerate(terms, 1)]
            disks[id_] = Disk(SnapshotHead(0, 0, self.members), kept, HardState(self.terms[id_]))
        self.group = Group(self.members, disks, **settings)

    def do_newcomer(self, id_: str) -> None:
        self.group.add(id_, Disk(SnapshotHead(0, 0, Members())))

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────

    def do_campaign(self, id_: str) -> None:
        raft = self.raft(id_)
        for _ in range(2 * raft.config.election_ticks):
            raft.tick()
            if raft.has_ready:
                return
        self.say(f"{id_} does not stand")

    def do_tick(self, id_: str, count: str) -> None:
        for _ in range(int(count)):
            for name in self.group.nodes if id_ == "all" else (id_,):
                self.raft(name).tick()
        self.say_states(*(self.group.nodes if id_ == "all" else (id_,)))

    def do_run(self, count: str, how: str = "") -> None:
        for _ in range(int(count)):
            for node in self.group.nodes.values():
                if node.is_up:
                    node.raft.tick()
            self.settle(is_quiet=how == "quietly")
        if how:
            self.do_state()

    def say_states(self, *ids: str) -> None:
        self.say(", ".join(f"{id_} {self.raft(id_).status().state} t{self.raft(id_).term}" for id_ in ids))

    def do_propose(self, id_: str, *commands: str) -> None:
        self.say(f"index {self.raft(id_).propose([command.encode() for command in commands])}")

    def do_read(self, id_: str, number: str) -> None:
        self.raft(id_).read(int(number))

    def do_transfer(self, id_: str, to: str) -> None:
        self.raft(id_).transfer(to)

    def do_add(self, id_: str, newcomer: str, role: str = "voter") -> None:
        self.say(f"index {self.raft(id_).add(Member(newcomer, role=Role[role.upper()]))}")

    def do_remove(self, id_: str, gone: str) -> None:
        self.say(f"index {self.raft(id_).remove(gone)}")

    def do_unreachable(self, id_: str, other: str) -> None:
        self.raft(id_).unreachable(other)

    # ── the wire ─────────────────────────────────────────────────────────────────────────────────────────────────

    def do_handle(self, *ids: str) -> None:
        for id_ in ids:
            before = len(self.group.wire)
            self.say_ready(id_, self.group.handle(id_))
            for _, to, message in self.group.wire[before:]:
                self.say(f"  {id_}>{to} {show_message(message)}")

    def say_ready(self, id_: str, ready: Ready) -> None:
        raft = self.raft(id_)
        parts = [f"{id_} {raft.status().state} t{raft.term}"]
        if ready.snapshot is not None:
            parts.append(f"begins behind {ready.snapshot.index}/{ready.snapshot.term}")
        if ready.entries:
            parts.append(f"stores {' '.join(map(show_entry, ready.entries))}")
        if ready.committed:
            parts.append(f"applies {ready.committed[0].index}-{ready.committed[-1].index}")
        parts += [f"read {number} at {index}" if index else f"read {number} fails" for number, index in ready.confirmed]
        self.say(", ".join(parts))

    def pick(self, pattern: str) -> list[tuple[str, str, Message]]:
        """Takes what fits off the wire."""
        sender, _, to = pattern.partition(">")
        picked = [each for each in self.group.wire if sender in ("", each[0]) and to in ("", each[1])]
        self.group.wire = [each for each in self.group.wire if all(each is not other for other in picked)]
        return picked

    def do_deliver(self, pattern: str = "") -> None:
        for sender, to, message in self.pick(pattern):
            arrived = self.group.deliver(sender, to, message)
            self.say(f"{sender}>{to} {show_message(message)}{'' if arrived else ' (lost)'}")

    def do_drop(self, pattern: str = "") -> None:
        for sender, to, message in self.pick(pattern):
            self.say(f"{sender}>{to} {show_message(message)} (lost)")

    def do_hold(self, pattern: str = "") -> None:
        self.held += self.pick(pattern)

    def do_release(self) -> None:
        self.group.wire += self.held
        self.held = []

    def do_settle(self, how: str = "") -> None:
        self.settle(is_quiet=how == "quietly")
        if how:
            self.do_state()

    def settle(self, is_quiet: bool) -> None:
        self.is_quiet = is_quiet
        for _ in range(STEPS):
            busy = [id_ for id_, node in self.group.nodes.items() if node.is_up and node.raft.has_ready]
            if not busy and not self.group.wire:
                break
            self.do_handle_quietly(*busy)
            self.do_deliver()
        else:
            raise AssertionError("it does not settle")
        self.is_quiet = False

    def do_handle_quietly(self, *ids: str) -> None:
        for id_ in ids:
            before = self.raft(id_).status().state
            ready = self.group.handle(id_)
            is_news = bool(ready.entries or ready.committed or ready.confirmed or ready.snapshot)
            if is_news or self.raft(id_).status().state != before:
                self.say_ready(id_, ready)

    def do_cut(self, id_: str, *others: str) -> None:
        for other in others or self.group.nodes:
            self.group.cut |= {(id_, other), (other, id_)}

    def do_heal(self) -> None:
        self.group.cut.clear()

    # ── disks ────────────────────────────────────────────────────────────────────────────────────────────────────

    def do_slow(self, id_: str) -> None:
        self.group.nodes[id_].is_slow = True

    def do_force(self, id_: str) -> None:
        node = self.group.nodes[id_]
        node.is_slow = False
        before = len(self.group.wire)
        self.group.send(id_, node.force())
        for _, to, message in self.group.wire[before:]:
            self.say(f"  {id_}>{to} {show_message(message)}")

    def do_crash(self, id_: str) -> None:
        self.group.nodes[id_].is_up = False
        self.group.wire = [each for each in self.group.wire if id_ not in each[:2]]

    def do_restart(self, id_: str, mending: str = "") -> None:
        node = self.group.nodes[id_]
        node.machine = min(node.machine, node.forced.last_index)
        node.start(int(mending.partition("=")[2] or 0), is_mending=bool(mending))

    def do_lose(self, id_: str, index: str) -> None:
        disk = self.group.nodes[id_].forced
        del disk.kept[int(index) - disk.head.index - 1 :]

    def do_compact(self, id_: str, index: str) -> None:
        node = self.group.nodes[id_]
        head = node.raft.head_at(int(index))
        node.view.compact(head)
        node.forced.compact(head)
        node.raft.compacted(head)

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────

    def do_state(self, *ids: str) -> None:
        for id_ in ids or self.group.nodes:
            node = self.group.nodes[id_]
            if not node.is_up:
                self.say(f"{id_} is down")
                continue
            status = node.raft.status()
            behind = f"behind {node.view.head.index}: " if node.view.head.index else ""
            self.say(
                f"{id_} {status.state} t{status.term} vote {status.vote or '-'} leader {status.leader or '-'} "
                f"log [{behind}{show_log(node.view.kept)}] commit {status.commit}"
            )

    def do_members(self, *ids: str) -> None:
        for id_ in ids or self.group.nodes:
            self.say(f"{id_}: {show_members(self.raft(id_).members)}")

    def do_progress(self, id_: str) -> None:
        for other, seen in self.raft(id_).status().progress.items():
            self.say(
                f"{other}: match {seen.match} next {seen.next} {seen.state}{'' if seen.is_active else ', not heard of'}"
            )
