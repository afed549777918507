"""A node: the core, driven as it has to be, over a disk that forces late, a network that loses, and a machine.

The driver here is the small model of the one in `blockdb.cluster.consensus`: forces in order, sends what waits for
them afterwards, applies when it gets round to it, and takes over snapshots before the log begins anew behind them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from blockdb.format.consensus import Entry, Kind
from blockdb.raft import NotLeader, Raft, RaftConfig, Ready, TooMuch
from blockdb.raft.messages import Append, AppendAnswer, HeartbeatAnswer, Message, Propose, SnapshotHead
from tests.simulation.machine import Machine, command_of
from tests.simulation.plan import ELECTION_TICKS, HEARTBEAT_TICKS, TICK

if TYPE_CHECKING:
    from tests.simulation.clients import Call
    from tests.simulation.cluster import Cluster
    from tests.simulation.disk import Disk
    from tests.simulation.node import Node

MAX_UNCOMMITTED_BYTES = 400
TIGHT = {
    "max_append_bytes": 1,
    "max_in_flight": 2,
    "max_in_flight_bytes": 15,
    "max_committed_bytes": 20,
    "max_unapplied_bytes": 30,
    "max_reads": 2,
}
CHECK_EVERY = 16
"""After how many events the core has to look into itself."""

Answer = Callable[["Call", int | None, bool], None]


class Driver:
    """One node, through all its lives: what its core wants done, and when."""

    def __init__(self, id_: str, cluster: Cluster, disk: Disk, drift: float) -> None:
        self.id = id_
        self.disk = disk
        self.raft: Raft | None = None
        """None while it is down."""
        self.machine = Machine()
        self.life = 0
        """What was to happen in an earlier life does not."""
        self.term = 0
        """As it was seen last; never goes back, not even across lives, as far as it was told to anyone."""
        self.commit = 0
        self.ticks = 0
        self.led_ticks = 0
        self.heard: dict[str, int] = {}
        """When each member answered it last, by its own clock."""
        self.tick_time = int(TICK / drift)
        self.disk_slowness = 1
        self.is_paused = False
        self.is_gone = False
        """It was let go, and does not start again."""
        self._cluster, self._world = cluster, cluster.world
        self._clear()

    def _clear(self) -> None:
        self._inbox: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._to_apply: deque[Entry] = deque()
        self._is_forcing = self._is_applying = self._is_saving = False
        self._puts: dict[int, list[tuple[Call, Answer]]] = {}
        self._asked: dict[int, tuple[Call, Answer, int]] = {}
        """Reads whose index is not known, by number; with what was committed when they began."""
        self._reads: list[tuple[int, Call, Answer]] = []
        """Reads that wait until their index is applied."""

    @property
    def others(self) -> Mapping[str, Node]:
        """All nodes."""
        return self._cluster.nodes

    @property
    def is_mending(self) -> bool:
        """Whether it lacks what it acknowledged."""
        return self.disk.lost_behind > 0

    def has_forced(self, index: int, term: int) -> bool:
        """Whether an entry is on its disk, or was before damage took it."""
        return self.disk.forced.covers(index, term) or index <= self.disk.lost_behind

    # ── life and death ───────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Begin from what the disk has."""
        disk = self.disk
        self._clear()
        self.machine = disk.machine.copy()
        self.raft = self._cluster.core(
            RaftConfig(
                self.id,
                election_ticks=ELECTION_TICKS,
                heartbeat_ticks=HEARTBEAT_TICKS,
                max_uncommitted_bytes=MAX_UNCOMMITTED_BYTES,
                **(TIGHT if self._cluster.plan.is_tight else {}),
            ),
            disk.seen.hard_state,
            disk.seen,
            self._world.chance,
            applied=self.machine.head.index,
            is_mending=self.is_mending,
            mend_to=disk.lost_behind if self._world.chance.random() < 0.5 else 0,
        )
        self.term, self.commit = disk.forced.hard_state.term, self.machine.head.index
        self.heard.clear()
        self.led_ticks = 0
        self._say("starts", self.disk.seen.head.index, self.disk.seen.last_index, disk.seen.hard_state)
        self._world.after(self._world.spread(self.tick_time), self._tick, self.life)
        self._turn()

    def crash(self) -> None:
        """Stop at once."""
        if self.raft is not None:
            self._say("crashes")
            self.raft = None
            self.life += 1
            self.is_paused = False
            self.disk.crash(self._world.chance)

    def pause(self) -> None:
        """Neither hear nor do anything, and notice nothing of it."""
        if self.raft is not None:
            self._say("pauses")
            self.is_paused = True

    def resume(self) -> None:
        """Find everything that came meanwhile, at once."""
        if self.is_paused:
            self._say("goes on")
            self.is_paused = False
            inbox, self._inbox = self._inbox, []
            for action, arguments in inbox:
                action(*arguments)

    def burst(self, count: int) -> None:
        """The clock jumps ahead: many ticks at once."""
        for _ in range(count):
            if self.raft is not None and not self.is_paused:
                self._one_tick()

    def _waits(self, life: int, action: Callable[..., None], *arguments: Any) -> bool:
        """Whether something is not to happen now: not in this life, or not before the node goes on."""
        if life != self.life or self.raft is None:
            return True
        if self.is_paused:
            self._inbox.append((action, arguments))
            return True
        return False

    def _tick(self, life: int) -> None:
        if life != self.life or self.raft is None:
            return
        self._world.after(self.tick_time, self._tick, life)
        if not self.is_paused:
            self._one_tick()

    def _one_tick(self) -> None:
        raft = self.raft
        assert raft is not None
        self.ticks += 1
        raft.tick()
        if raft.has_ready or raft.term != self.term or raft.is_leader:
            self._turn()
            if raft.is_leader:
                self._cluster.checkers.leads(self)

    # ── what comes in ────────────────────────────────────────────────────────────────────────────────────────────

    def hear(self, message: Message) -> None:
        """A message arrives."""
        if self._waits(self.life, self.hear, message):
            return
        raft = self.raft
        assert raft is not None
        if self._world.trace is not None:
            self._say("hears", message)
        if type(message) in (AppendAnswer, HeartbeatAnswer) and message.term == raft.term:
            self.heard[message.sender] = self.ticks
        before = raft.commit
        raft.step(message)
        if isinstance(message, Append):
            self._cluster.checkers.hears(self, message, before)
        self._turn()

    # ── what clients want ────────────────────────────────────────────────────────────────────────────────────────

    def serve(self, call: Call, answer: Answer) -> None:
        """Serve a client's call, sometime."""
        if self._waits(self.life, self.serve, call, answer):
            return
        if call.is_read:
            self._ask(call, answer)
        else:
            self._propose(call, answer)
        if self.raft is not None:
            self._turn()

    def _ask(self, call: Call, answer: Answer) -> None:
        number = self._cluster.next_number()
        self._asked[number] = (call, answer, self._cluster.checkers.commit)
        assert self.raft is not None
        self.raft.read(number)

    def _propose(self, call: Call, answer: Answer) -> None:
        raft = self.raft
        assert raft is not None
        command = command_of(call.request, call.key)
        try:
            raft.propose([command])
        except NotLeader as error:
            if not error.leader or error.leader == self.id:
                return self._cluster.clients.refuse(call)
            self._send(error.leader, Propose(self.id, raft.term, (command,)))
        except TooMuch:
            return self._cluster.clients.refuse(call)
        self._puts.setdefault(call.request, []).append((call, answer))
        return None

    # ── what the core wants ──────────────────────────────────────────────────────────────────────────────────────

    def _turn(self) -> None:
        """Do what the core wants done, then look whether all is well."""
        raft = self.raft
        assert raft is not None
        while raft.has_ready:
            self._do(raft.ready())
        if self.is_mending and not raft.is_mending:
            self.disk.lost_behind = 0
        self._cluster.checkers.observe(self)
        if self._world.events % CHECK_EVERY == 0:
            raft.check()

    def _do(self, ready: Ready) -> None:
        disk, checkers = self.disk, self._cluster.checkers
        if ready.hard_state is not None or ready.entries or ready.snapshot is not None or ready.after_force:
            disk.write(ready)
            checkers.stores(self, ready)
            if self._world.trace is not None:
                self._say("stores", ready.hard_state, *ready.entries, ready.snapshot)
            self._force_soon()
        checkers.observe(self)  # before anybody is told of it
        for to, message in ready.at_once:
            self._send(to, message)
        if ready.committed:
            self._to_apply.extend(ready.committed)
            self._apply_soon()
        for number, index in ready.confirmed:
            self._confirm(number, index)
        for id_ in ready.wants_snapshot:
            self._send_snapshot(id_)

    def _send(self, to: str, message: Message) -> None:
        self._cluster.checkers.sends(self, to, message)
        self._cluster.network.send(to, message)

    def _force_soon(self) -> None:
        if not self._is_forcing and self.disk.pending:
            self._is_forcing = True
            delay = self._world.spread(self._cluster.plan.disk_delay * self.disk_slowness)
            self._world.after(delay, self._forced, self.life, len(self.disk.pending))

    def _forced(self, life: int, count: int) -> None:
        if self._waits(life, self._forced, life, count):
            return
        raft = self.raft
        assert raft is not None
        self._is_forcing = False
        for ready in self.disk.pending[:count]:
            self._cluster.checkers.forces(self, ready)
        done = self.disk.force(count)
        raft.forced(done[-1].number)
        for ready in done:
            for to, message in ready.after_force:
                self._send(to, message)
        self._force_soon()
        self._turn()

    # ── applying ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _apply_soon(self) -> None:
        if not self._is_applying and self._to_apply:
            self._is_applying = True
            self._world.after(self._world.spread(self._cluster.plan.apply_delay), self._apply, self.life)

    def _apply(self, life: int) -> None:
        if self._waits(life, self._apply, life):
            return
        raft = self.raft
        assert raft is not None
        self._is_applying = False
        entries, self._to_apply = self._to_apply, deque()
        for entry in entries:
            self._apply_one(entry)
        raft.applied(self.machine.head.index)
        self._serve_reads()
        every = self._cluster.plan.save_every
        if every and self.machine.head.index >= self.disk.machine.head.index + every:
            self.make_durable()
        self._turn()

    def _apply_one(self, entry: Entry) -> None:
        machine = self.machine
        if entry.index <= machine.head.index:  # a snapshot covers it
            return
        assert entry.index == machine.head.index + 1, f"{self.id} is to apply {entry.index} after {machine.head.index}"
        if self._world.trace is not None:
            self._say("applies", entry)
        request = machine.apply(entry)
        members = self.disk.seen.members_at(entry.index) if entry.kind is Kind.MEMBERS else machine.head.members
        machine.head = SnapshotHead(entry.index, entry.term, members)
        self._cluster.checkers.applies(self, entry.index, machine.chain)
        if request is not None:
            for call, answer in self._puts.pop(request, ()):
                answer(call, machine.values[call.key], machine.outcomes[request])

    def _confirm(self, number: int, index: int) -> None:
        call, answer, floor = self._asked.pop(number, (None, None, 0))
        if call is None or answer is None:
            return None
        if index == 0:
            return self._cluster.clients.refuse(call)
        self._cluster.checkers.confirms(self, index, floor)
        self._reads.append((index, call, answer))
        return self._serve_reads()

    def _serve_reads(self) -> None:
        applied = self.machine.head.index
        for index, call, answer in self._reads:
            if index <= applied:
                answer(call, self.machine.values.get(call.key), False)
        self._reads = [read for read in self._reads if read[0] > applied]

    def make_durable(self) -> None:
        """Force the machine, and then forget the log before it but for a few entries. It takes a while."""
        raise NotImplementedError

    def _send_snapshot(self, id_: str) -> None:
        raise NotImplementedError

    # ── for others ───────────────────────────────────────────────────────────────────────────────────────────────

    def is_elected(self) -> None:
        """It leads, in a term in which it did not before."""
        self._cluster.faults.elected(self._cluster.nodes[self.id])

    def _say(self, what: str, *details: object) -> None:
        if self._world.trace is not None:
            self._world.say(self.id, " ".join([what, *(str(detail) for detail in details if detail is not None)]))
