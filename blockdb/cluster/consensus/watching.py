"""What a node shows of itself and of the others: status, events, and whether all of them have the same chain."""

from __future__ import annotations

from asyncio import Task, gather, sleep, wrap_future
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import time
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from blockdb.cluster.events import ClusterEvent
from blockdb.cluster.replicated_log import LogStatus, MemberStatus, StateMachine
from blockdb.cluster.waiting import Listeners
from blockdb.errors import BlockDBError
from blockdb.format.consensus import HardState, Member, Members, Role
from blockdb.raft.ready import Status

if TYPE_CHECKING:
    from blockdb.cluster.consensus.driving import Driver

__all__ = ["Watching"]

_STALE_PULSES: Final = 3

T = TypeVar("T")


class Pulse(msgspec.Struct, frozen=True, array_like=True):
    """What nodes tell each other about once a second."""

    member: Member
    state: str
    last_index: int
    commit: int
    applied: int
    head: str = ""


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Pulse).decode


class Watching:
    """Belongs to the loop but for `status` and `listeners`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.listeners = Listeners()
        self.status: LogStatus
        """What was published last; replaced as a whole, never changed."""
        self._seen: Status | None = None
        self._term = self._elections = self._last_election_ms = 0
        self._vote = ""
        self._pulses: dict[str, tuple[int, Pulse]] = {}
        """When it came, in milliseconds since 1970, and what it said."""
        self._agrees: dict[str, bool | None] = {}
        self._head = ""
        self._diverged = ""
        self._task: Task[None] | None = None

    def start(self) -> None:
        """Begin to compare with others."""
        self._task = self._driver.loop.create_task(self._beat())

    def stop(self, why: str = "") -> None:
        """Say that this node takes part no longer."""
        if self._task is not None:
            self._task.cancel()
        self.publish()
        self.status = replace(self.status, state="Stopped", stopped=why)
        self.tell("stopped", what=why)

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────

    def tell(self, kind: str, index: int = 0, other: str = "", what: str = "") -> None:
        """Something happened."""
        own = self._driver.settings.own.id
        self.listeners.tell(ClusterEvent(_now_ms(), own, kind, self._driver.raft.term, index, other, what))

    def hard_state(self, state: HardState) -> None:
        """Term and vote are about to be on the disk."""
        if state.term != self._term:
            self._term, self._vote = state.term, ""
            self.tell("term")
        if state.vote != self._vote:
            self._vote = state.vote
            if state.vote == self._driver.settings.own.id:
                self.tell("election")
            self.tell("vote", other=state.vote)

    def members_changed(self, members: Members, index: int) -> None:
        """A list of members was committed."""
        self.tell("members", index, what=", ".join(f"{each.id} ({each.role.name.lower()})" for each in members.all))

    def contact(self, id_: str, is_reached: bool) -> None:
        """Another node is reached, or lost."""
        self.tell("contact", other=id_, what="reached" if is_reached else "lost")

    # ── status ───────────────────────────────────────────────────────────────────────────────────────────────────

    def publish(self) -> None:
        """Say how it stands now, and tell what is new."""
        status = self._driver.raft.status()
        before, self._seen = self._seen, status
        if before is None or status.leader != before.leader:
            if status.leader:
                self._elections += 1
                self._last_election_ms = _now_ms()
            self.tell("leader", other=status.leader, what="" if status.leader else "nobody leads")
        if before is None or status.state != before.state:
            self.tell("state", what=status.state)
            if before is not None and before.state == "Mending":
                self.tell("mended")
                self._driver.storing.mended()
        settings = self._driver.settings
        self.status = LogStatus(
            settings.cluster_id,
            settings.own.id,
            "raft",
            _state(status.state, self._driver.raft.members.get(settings.own.id)),
            status.term,
            status.leader,
            status.last_index,
            status.commit,
            self._driver.applying.index or status.applied,
            status.first_index,
            tuple(self._member(member, status) for member in self._driver.raft.members.all),
            self._last_election_ms,
            self._elections,
            self._diverged,
        )

    def _member(self, member: Member, status: Status) -> MemberStatus:
        if member.id == self._driver.settings.own.id:
            applied = self._driver.applying.index or status.applied
            state = _state(status.state, member)
            lag = status.commit - min(status.commit, applied)
            forced = self._driver.view.forced_index
            return MemberStatus(member, state, _now_ms(), forced, status.commit, applied, lag, self._head, None)
        heard_ms, pulse = self._pulses.get(member.id, (0, None))
        contact = self._driver.peers.contacts().get(member.id) if self._driver.peers is not None else None
        last_heard_ms = max(heard_ms, contact.last_heard_ms if contact is not None else 0)
        progress = status.progress.get(member.id)
        match = progress.match if progress is not None else 0
        commit, applied, head = (pulse.commit, pulse.applied, pulse.head) if pulse is not None else (0, 0, "")
        is_reached = _now_ms() - last_heard_ms < _STALE_PULSES * 1000 * self._driver.settings.pulse_s
        state = pulse.state if pulse is not None else ("Learner" if member.role else "Follower")
        state = "Leader" if member.id == status.leader else "Follower" if state == "Leader" else state
        return MemberStatus(
            member,
            _state(state, member) if is_reached else "Unreachable",
            last_heard_ms,
            match,
            min(commit or match, status.commit),
            applied,
            max(0, status.commit - max(match, applied)),
            head,
            self._agrees.get(member.id),
        )

    # ── whether all have the same ────────────────────────────────────────────────────────────────────────────────

    def on_pulse(self, sender: str, body: bytes) -> bytes:
        """What another node says of itself, answered with the same of this one."""
        pulse = _decode(body)
        self._heard(sender, pulse)
        if pulse.member.id == sender:
            self._driver.meet(Members((pulse.member,)))
        return _encode(self._pulse())

    def _pulse(self) -> Pulse:
        status = self.status
        return Pulse(
            self._driver.settings.own, status.state, status.last_index, status.commit, status.applied, self._head
        )

    def _heard(self, id_: str, pulse: Pulse) -> None:
        self._pulses[id_] = (_now_ms(), pulse)

    async def _beat(self) -> None:
        while True:
            await sleep(self._driver.settings.pulse_s)
            self._head = await self._call(_head, "")
            others = [each.id for each in self._driver.raft.members.all if each.id != self._driver.settings.own.id]
            await gather(*(self._ask(id_) for id_ in others))
            await self._compare(others)

    async def _ask(self, id_: str) -> None:
        if self._driver.peers is not None:
            try:
                answer = await self._driver.peers.ask(
                    id_, "pulse", _encode(self._pulse()), self._driver.settings.pulse_s
                )
                self._heard(id_, _decode(answer))
            except (BlockDBError, msgspec.DecodeError):
                return

    async def _compare(self, others: list[str]) -> None:
        """Hold the heads of the others against the own chain.

        Who disagrees with most of them is wrong; where it stands one against one, who does not lead gives way.
        """
        for id_ in others:
            head = self._pulses[id_][1].head if id_ in self._pulses else ""
            if head:
                said = await self._call(partial(_compare, head), None)
                self._agrees[id_] = said if said is not None else self._agrees.get(id_)
        against = [id_ for id_ in others if self._agrees.get(id_) is False]
        allies = 1 + sum(self._agrees.get(id_) is True for id_ in others)
        is_outvoted = len(against) > allies or (len(against) == allies and self._driver.raft.leader in against)
        if is_outvoted and not self._diverged:
            self._diverged = f"{self._head} is not what {', '.join(against)} have"
            self.tell("diverged", what=self._diverged)
            self._driver.diverged(self._diverged)

    async def _call(self, function: Callable[[StateMachine], T], default: T) -> T:
        try:
            return await wrap_future(self._driver.applying.call(function))
        except BlockDBError:
            return default


def _head(machine: StateMachine) -> str:
    """The machine's chain head, if it has such."""
    head = getattr(machine, "head", None)
    return str(head()) if head is not None else ""


def _compare(head: str, machine: StateMachine) -> bool | None:
    """Whether another node's head is part of the machine's chain; None: it cannot tell (yet)."""
    compare = getattr(machine, "compare", None)
    return compare(head) if compare is not None else None


def _state(state: str, member: Member | None) -> str:
    """A member's state by the name that it has for people."""
    return "Replica" if state == "Learner" and member is not None and member.role is Role.REPLICA else state


def _now_ms() -> int:
    return int(time() * 1000)
