"""What nodes tell each other about once a second: how far they are, and which blocks are the newest of their chains."""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop, Task, gather, sleep
from collections.abc import Callable, Coroutine
from time import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from blockdb.cluster.comparing import NO_HEAD, Comparing
from blockdb.cluster.replicated_log import StateMachine
from blockdb.errors import BlockDBError, InvalidData, Unavailable
from blockdb.format.consensus import Member, Members

if TYPE_CHECKING:
    from blockdb.cluster.consensus.driving import Driver

__all__ = ["Pulse", "Pulses"]

_log = logging.getLogger("blockdb.cluster.consensus")


class Pulse(msgspec.Struct, frozen=True, array_like=True):
    """What a node says of itself."""

    member: Member
    state: str
    last_index: int
    commit: int
    applied: int
    head: dict[bytes, tuple[int, bytes]] = {}
    """By the 16 bytes of a collection's id: number and hash of its newest sealed block."""
    is_member: bool = True
    """In an answer: whether who is answered belongs to the cluster, as far as this node knows."""


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Pulse).decode


class Pulses:
    """Belongs to the loop. Implements `blockdb.cluster.comparing.Surroundings`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.comparing = Comparing(self)
        self.heard: dict[str, tuple[int, Pulse]] = {}
        """When each node was heard, in milliseconds since 1970, and what it said."""
        self.is_removed = False
        """Whether this node belongs to the cluster no longer, as who has most of the log says."""
        self._task: Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = self._driver.loop.create_task(self._beat())

    def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()

    # ── what is said ─────────────────────────────────────────────────────────────────────────────────────────────

    def on_pulse(self, sender: str, body: bytes) -> bytes:
        """What another node says of itself, answered with the same of this one. Raises InvalidData."""
        try:
            pulse = _decode(body)
        except msgspec.DecodeError as error:
            raise InvalidData(f"A node told of itself in words that are not understood: {error}.") from None
        self._heard(sender, pulse)
        if pulse.member.id == sender:
            self._driver.meet(Members((pulse.member,)))
        return _encode(self._pulse(sender))

    def _pulse(self, to: str) -> Pulse:
        status, own = self._driver.watching.status, self._driver.settings.own
        is_member, head = to in self._driver.raft.members, dict(self.comparing.head)
        return Pulse(own, status.state, status.last_index, status.commit, status.applied, head, is_member)

    def _heard(self, id_: str, pulse: Pulse) -> None:
        self.heard[id_] = (int(time() * 1000), pulse)

    async def _beat(self) -> None:
        while True:
            await sleep(self._driver.settings.pulse_s)
            try:
                await self._beat_once()
            except Exception:
                _log.exception("%s could not compare itself with other nodes.", self._driver.settings.own.id)

    async def _beat_once(self) -> None:
        own = self._driver.settings.own.id
        others = [each.id for each in self._driver.raft.members.all if each.id != own]
        if not self._driver.rebuilding.is_needed:
            await self.comparing.look_up_head(self._driver.applying.index)
        known = {*others, *self._driver.strangers}
        await gather(*(self._tell(id_) for id_ in known))
        told = [self.heard[id_][1] for id_ in known if id_ in self.heard]
        newest = max(told, key=lambda pulse: pulse.commit, default=None)
        self.is_removed = newest is not None and not newest.is_member
        if not self._driver.rebuilding.is_needed:
            heads = {id_: self.heard[id_][1].head if id_ in self.heard else NO_HEAD for id_ in others}
            await self.comparing.compare(heads)

    async def _tell(self, id_: str) -> None:
        if self._driver.peers is not None:
            timeout_s = max(1.0, self._driver.settings.pulse_s)
            try:
                self._heard(
                    id_, _decode(await self._driver.peers.ask(id_, "pulse", _encode(self._pulse(id_)), timeout_s))
                )
            except (BlockDBError, msgspec.DecodeError):
                return

    # ── whether all have the same ────────────────────────────────────────────────────────────────────────────────

    @property
    def machine(self) -> StateMachine:
        """As Surroundings says."""
        return self._driver.applying.machine

    @property
    def loop(self) -> AbstractEventLoop:
        """As Surroundings says."""
        return self._driver.loop

    @property
    def tell(self) -> Callable[..., None]:
        """As Surroundings says."""
        return self._driver.watching.tell

    def ask_hashes(self, other: str, question: bytes) -> Coroutine[Any, Any, bytes]:
        """As Surroundings says."""
        if self._driver.peers is None:
            raise Unavailable("There is no connection to other nodes.")
        return self._driver.peers.ask(other, "hashes", question)

    def rebuild(self, why: str) -> None:
        """As Surroundings says."""
        self._driver.rebuilding.begin(why)
