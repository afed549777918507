"""A node of a simulated cluster: its driver, its snapshots, and what is asked of it as a leader."""

from __future__ import annotations

from contextlib import suppress

from blockdb.errors import InvalidData
from blockdb.format.consensus import Members
from blockdb.raft import NotLeader, TooMuch
from blockdb.raft.messages import SnapshotOffer
from tests.simulation.checkers import must
from tests.simulation.driver import MAX_UNCOMMITTED_BYTES, Driver
from tests.simulation.machine import Machine, command_of
from tests.simulation.plan import MS

SNAPSHOT_DELAY = 20 * MS
SAVE_DELAY = 5 * MS


class Node(Driver):
    """One node of a simulated cluster, through all its lives."""

    # ── snapshots ────────────────────────────────────────────────────────────────────────────────────────────────

    def make_durable(self) -> None:
        """Force the machine, and then forget the log before it but for a few entries. It takes a while."""
        if self.raft is not None and not self._is_saving:
            self._is_saving = True
            self._world.after(self._world.spread(SAVE_DELAY), self._saved, self.life, self.machine.copy())

    def _saved(self, life: int, machine: Machine) -> None:
        if self._waits(life, self._saved, life, machine):
            return
        self._is_saving = False
        disk, head = self.disk, machine.head
        if disk.machine.head.index < head.index and disk.forced.covers(head.index, head.term):
            disk.machine = machine
            self._forget_behind(head.index - self._cluster.plan.keep)

    def _forget_behind(self, index: int) -> None:
        raft, disk = self.raft, self.disk
        assert raft is not None
        if disk.forced.head.index == disk.seen.head.index < index:
            head = raft.head_at(index)
            self._say("forgets up to", head)
            disk.compact(head)
            raft.compacted(head)
            self._turn()

    def _send_snapshot(self, id_: str) -> None:
        raft, machine = self.raft, self.disk.machine
        assert raft is not None
        offer = SnapshotOffer(self.id, raft.term, machine.head)
        self._say("sends a snapshot to", id_, offer.head)
        delay = self._world.spread(SNAPSHOT_DELAY)
        self._world.after(delay, self._cluster.deliver_snapshot, self.id, self.life, id_, offer, machine)

    def snapshot_sent(self, life: int, id_: str, ok: bool) -> None:
        """What became of a snapshot that this node sent."""
        if self._waits(life, self.snapshot_sent, life, id_, ok):
            return
        assert self.raft is not None
        self.raft.snapshot_sent(id_, ok)
        self._turn()

    def hear_snapshot(self, offer: SnapshotOffer, machine: Machine) -> None:
        """A snapshot has come in whole."""
        if self._waits(self.life, self.hear_snapshot, offer, machine):
            return
        raft = self.raft
        assert raft is not None
        self._say("gets", offer)
        raft.step(offer)
        if raft.needs(offer.head):
            self._world.after(self._world.spread(SAVE_DELAY), self._take_over, self.life, offer, machine)
        self._turn()

    def _take_over(self, life: int, offer: SnapshotOffer, machine: Machine) -> None:
        """The snapshot is checked; from here on it is what the node has, unless time went over it."""
        if self._waits(life, self._take_over, life, offer, machine):
            return
        raft = self.raft
        assert raft is not None
        if not raft.needs(offer.head):
            return
        self._say("takes over", offer.head)
        if self.machine.head.index < machine.head.index:  # else damage took entries that the machine has
            self.machine, self.disk.machine = machine.copy(), machine
        raft.restored(offer.head, offer.sender)
        self._serve_reads()
        self._turn()
        self._cluster.checkers.restores(self, machine.head, machine.chain)
        self._cluster.faults.restored(self)

    # ── what is asked of a leader ────────────────────────────────────────────────────────────────────────────────

    def unreachable(self, to: str) -> None:
        """The connection to another node broke."""
        if self.raft is not None and not self.is_paused:
            self.raft.unreachable(to)
            self._turn()

    def transfer(self, to: str) -> None:
        """Have another one lead."""
        assert self.raft is not None
        with suppress(NotLeader, TooMuch, InvalidData):
            self.raft.transfer(to)
            self._turn()

    def change(self, members: Members) -> None:
        """Have other members."""
        assert self.raft is not None
        with suppress(NotLeader, TooMuch, InvalidData):
            self.raft.change(members)
            self._turn()

    def flood(self) -> None:
        """Propose to a leader until it takes no more."""
        raft = self.raft
        assert raft is not None
        with suppress(NotLeader, TooMuch):
            for request in range(-1, -10 * MAX_UNCOMMITTED_BYTES, -1):
                raft.propose([command_of(request, request)])
                self._turn()
            must(False, f"{self.id} is cut off, and takes whatever comes")
