"""What makes the core run: ticks, messages, and what a Ready asks for. All of it on one loop, none of it slow."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, TimerHandle
from collections import deque
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Final

import msgspec

from blockdb.cluster.applying import Applying
from blockdb.cluster.barriers import Reads
from blockdb.cluster.consensus.membership import Changes
from blockdb.cluster.consensus.pulses import Pulses
from blockdb.cluster.consensus.rebuilding import Rebuilding
from blockdb.cluster.consensus.settings import RaftSettings
from blockdb.cluster.consensus.snapshots import Snapshots
from blockdb.cluster.consensus.storing import Storing
from blockdb.cluster.consensus.view import View
from blockdb.cluster.consensus.watching import Watching
from blockdb.cluster.peers import Peers
from blockdb.cluster.proposals import Proposals
from blockdb.cluster.waiting import Listeners
from blockdb.errors import BlockDBError, InvalidData
from blockdb.format.consensus import Entry, Kind, Member, Members, decode_members
from blockdb.raft.errors import NotLeader, TooMuch
from blockdb.raft.messages import Message, Propose, SnapshotHead
from blockdb.raft.raft import Raft
from blockdb.raft.ready import Ready

__all__ = ["Driver"]

_MOST_TICKS_AT_ONCE: Final = 3
"""A loop that was held up makes up for so much time: its own pause must not look like the silence of a leader."""
_PROPOSE_BYTES: Final = 1 << 20
_CHORES_EVERY_TICKS: Final = 4
_MOST_STRANGERS: Final = 32


class Driver:
    """One node's part in the group. Made by `RaftLog`; belongs to the loop but for `wake_from_outside`.

    Implements `blockdb.cluster.peers.PeerHandler`.
    """

    def __init__(
        self,
        settings: RaftSettings,
        loop: AbstractEventLoop,
        raft: Raft,
        view: View,
        applying: Applying,
        proposals: Proposals,
        reads: Reads,
        listeners: Listeners,
        fail: Callable[[BaseException], None],
    ) -> None:
        self.settings = settings
        self.loop = loop
        self.raft = raft
        self.view = view
        self.applying = applying
        self.proposals = proposals
        self.reads = reads
        self.peers: Peers | None = None
        self.closing_peers: Future[None] | None = None
        self.storing: Storing
        self.watching = Watching(self, listeners)
        self.pulses = Pulses(self)
        self.changes = Changes(self)
        self.snapshots = Snapshots(self)
        self.rebuilding = Rebuilding(self)
        self.members: Members = raft.members
        """The newest list that is committed."""
        self.members_index = 0
        self.fail = fail
        """Tell that what must not fail did; from any thread."""
        self._committed: deque[Entry] = deque()
        """What is committed and waits for this node's own disk: its machine must never be ahead of its log."""
        self.strangers: dict[str, Member] = {}
        """Members that others know and this node does not, or no longer."""
        self._known: Members | None = None
        self._leader = ""
        self._queued = self._forced = 0
        """The last Ready that went to the disk, and the last one that is there."""
        self._decided_term = applying.term
        self._is_woken = self._is_called = self.is_stopped = False
        self._timer: TimerHandle | None = None
        self._last_tick = monotonic()
        self._ticks = 0
        self.watching.publish()

    def start(self) -> None:
        """Begin to tick."""
        self._last_tick = monotonic()
        self._tick()

    def stop(self, error: BlockDBError) -> bool:
        """Do nothing any more, and say whether that is new."""
        if self.is_stopped:
            return False
        self.is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        self.applying.stop(error)
        self.changes.stop(error)
        self.snapshots.stop()
        self.pulses.stop()
        self.rebuilding.stop()
        self.watching.stop(str(error))
        return True

    # ── when something is to be done ─────────────────────────────────────────────────────────────────────────────

    def wake(self) -> None:
        """Have a turn soon: on the loop."""
        if not self._is_woken:
            self._is_woken = True
            self.loop.call_soon(self.turn)

    def wake_from_outside(self) -> None:
        """The same, from any thread."""
        if not self._is_called:
            self._is_called = True
            self.on_loop(self._called)

    def progressed(self) -> None:
        """Something was applied: from any thread. The core hears of it with the next tick, unless somebody waits."""
        is_awaited = self.applying.term > self._decided_term or self.raft.commit > self.raft.handed
        if is_awaited or self.proposals.has_unsent:
            self.wake_from_outside()

    def on_loop(self, function: Callable[[], None]) -> None:
        """Have something done on the loop, from any thread; nothing is done once that has ended."""
        try:
            self.loop.call_soon_threadsafe(function)
        except RuntimeError:
            return

    def _called(self) -> None:
        self._is_called = False
        self.turn()

    def _tick(self) -> None:
        tick_s = self.settings.tick_s
        due = int((monotonic() - self._last_tick) / tick_s)
        self._last_tick += due * tick_s
        for _ in range(min(due, _MOST_TICKS_AT_ONCE)):
            self.raft.tick()
        self._ticks += 1
        self.turn()
        if not self.is_stopped:
            if self._ticks % _CHORES_EVERY_TICKS == 0:
                self._chores()
            self._timer = self.loop.call_later(max(0.0, self._last_tick + tick_s - monotonic()), self._tick)

    def _chores(self) -> None:
        self.proposals.give_up_late()
        self.reads.give_up_late()
        self.reads.ask_again()
        if not self.raft.is_leader:
            self.proposals.send_overdue()
        self.snapshots.compact_if_due()
        self.watching.publish()

    def turn(self) -> None:
        """Do what there is to do now."""
        self._is_woken = False
        if self.is_stopped:
            return
        try:
            self._applied()
            self._propose()
            self._ask_reads()
            while self.raft.has_ready:
                self._handle(self.raft.ready())
            self._look()
        except BaseException as error:
            self.fail(error)

    # ── into the core ────────────────────────────────────────────────────────────────────────────────────────────

    def _applied(self) -> None:
        applying = self.applying
        if applying.index > 0:
            self.raft.applied(applying.index)
        if applying.term > self._decided_term:
            self._decided_term = applying.term
            self.proposals.send_again(applying.term)

    def _propose(self) -> None:
        """Hand what waits to the leader: not before all that earlier leaders had is decided here."""
        leader = self.raft.leader
        while leader and self.proposals.has_unsent and self.raft.term == self._decided_term:
            commands = self.proposals.take(self.raft.term, _PROPOSE_BYTES)
            if not commands:
                return
            if not self.raft.is_leader:
                self._send(leader, Propose(self.settings.own.id, self.raft.term, tuple(commands)))
                continue
            try:
                self.raft.propose(commands)
            except (NotLeader, TooMuch):
                self.proposals.put_back()
                return

    def _ask_reads(self) -> None:
        if self.raft.leader and self.reads.is_waiting:
            self.raft.read(self.reads.take())

    def on_message(self, sender: str, message: Message) -> None:
        """As PeerHandler says."""
        if self.is_stopped:
            return
        try:
            self.raft.step(message)
        except BaseException as error:
            self.fail(error)
        self.wake()

    # ── out of the core ──────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, to: str, message: Message) -> None:
        if self.peers is not None:
            self.peers.send(to, message)

    def _handle(self, ready: Ready) -> None:
        if ready.snapshot is not None:
            self.view.begin_anew(ready.snapshot, ready.number)
            self._committed_members(ready.snapshot.members, ready.snapshot.index)
        if ready.entries:
            self.view.add(ready.entries, ready.number)
        for to, message in ready.at_once:
            self._send(to, message)
        self._store(ready)
        if ready.committed:
            for entry in ready.committed:
                if entry.kind is Kind.MEMBERS:
                    self._committed_members(decode_members(entry.data), entry.index)
            self._committed.extend(ready.committed)
            self._apply()
        for number, index in ready.confirmed:
            self.reads.confirmed(number, index)
        for id_ in ready.wants_snapshot:
            self.snapshots.send(id_)
        if ready.hard_state is not None:
            self.watching.hard_state(ready.hard_state)

    def _apply(self) -> None:
        """Have applied what is committed and on this node's disk."""
        able: list[Entry] = []
        while self._committed and self._committed[0].index <= self.view.forced_index:
            able.append(self._committed.popleft())
        if able:
            self.applying.put(able)

    def _store(self, ready: Ready) -> None:
        has_nothing = ready.hard_state is None and not ready.entries and ready.snapshot is None
        if has_nothing and self._queued == self._forced:
            self._queued = ready.number
            self._on_disk([ready])
        elif not has_nothing or ready.after_force:
            self._queued = ready.number
            self.storing.put(ready)

    def forced(self, readys: list[Ready]) -> None:
        """They are on the disk: called on the thread that has put them there."""

        def tell() -> None:
            if not self.is_stopped:
                self._on_disk(readys)
                self.turn()

        self.on_loop(tell)

    def _on_disk(self, readys: list[Ready]) -> None:
        self._forced = readys[-1].number
        self.view.forced(self._forced)
        for ready in readys:
            for to, message in ready.after_force:
                self._send(to, message)
        self.raft.forced(self._forced)
        self._apply()

    def _committed_members(self, members: Members, index: int) -> None:
        if index > self.members_index:
            self.members, self.members_index = members, index
            self._known = None
            self.watching.members_changed(members, index)

    def _look(self) -> None:
        """What may have changed with this turn."""
        leader, members = self.raft.leader, self.raft.members
        if leader != self._leader:
            self._leader = leader
            self.reads.ask_again(everything=True)
            self.watching.publish()
            self.wake()
        if members is not self._known:
            self._known = members
            known = {member.id: member for member in (*self.strangers.values(), *self.members.all, *members.all)}
            if self.peers is not None:
                self.peers.update(Members(tuple(known.values())))
            self.watching.publish()

    def meet(self, strangers: Members) -> None:
        """These are there, says somebody who knows: a node that is behind must answer members it has not heard of."""
        for member in strangers.all:
            if member.id not in self.raft.members and len(self.strangers) < _MOST_STRANGERS:
                self.strangers[member.id] = member
                self._known = None

    # ── what other nodes want beside that ────────────────────────────────────────────────────────────────────────

    async def on_snapshot(self, sender: str, head: SnapshotHead, chunks: AsyncIterator[bytes]) -> None:
        """As PeerHandler says."""
        await self.snapshots.receive(sender, head, chunks)

    def on_contact(self, id_: str, is_reached: bool) -> None:
        """As PeerHandler says."""
        self.watching.contact(id_, is_reached)
        if not is_reached and not self.is_stopped:
            self.raft.unreachable(id_)
            self.wake()

    async def on_ask(self, sender: str, name: str, body: bytes) -> bytes:
        """As PeerHandler says."""
        if name == "pulse":
            return self.pulses.on_pulse(sender, body)
        if name == "copy":
            return self.snapshots.on_ask(sender)
        if name == "hashes":
            return await self.pulses.comparing.answer(body)
        if name == "census":
            return msgspec.msgpack.encode(self.raft.status().last_index)
        if name in {"change", "join"}:
            return await self.changes.on_ask(name, body)
        raise InvalidData(f"A node was asked for '{name}', which it does not know: it may be an older version.")
