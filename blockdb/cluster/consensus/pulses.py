"""What nodes tell each other about once a second: how far they are, and which blocks are the newest of their chains.

A node whose chain is not that of the others stops serving. Chains are compared by whoever is at least as far; the first
block that differs is found by asking the other node for more hashes.
"""

from __future__ import annotations

import logging
from asyncio import Task, gather, run_coroutine_threadsafe, sleep, to_thread
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from blockdb.cluster.replicated_log import Histories
from blockdb.errors import BlockDBError, InvalidData, Unavailable
from blockdb.format.consensus import Member, Members

if TYPE_CHECKING:
    from blockdb.cluster.consensus.driving import Driver

__all__ = ["Pulse", "Pulses"]

_log = logging.getLogger("blockdb.cluster.consensus")

_MOST_HASHES: Final = 1_000
_NO_HEAD: Final[Mapping[bytes, tuple[int, bytes]]] = {}


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


class Question(msgspec.Struct, frozen=True, array_like=True):
    """Hashes of so many blocks of a collection from one on; with no count, those of the records of that block."""

    collection: bytes
    block: int
    count: int


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Pulse).decode
_decode_question: Final = msgspec.msgpack.Decoder(Question).decode
_decode_hashes: Final = msgspec.msgpack.Decoder(list[bytes]).decode


class Pulses:
    """Belongs to the loop; chains are looked at in threads."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.heard: dict[str, tuple[int, Pulse]] = {}
        """When each node was heard, in milliseconds since 1970, and what it said."""
        self.agrees: dict[str, bool | None] = {}
        self.diverged = ""
        """Where this node's chain is another one than that of the others."""
        self.is_removed = False
        """Whether this node belongs to the cluster no longer, as who has most of the log says."""
        self._head = _NO_HEAD
        self._head_index = -1
        """What was applied when the head was looked up last."""
        self._task: Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = self._driver.loop.create_task(self._beat())

    def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()

    @property
    def shown(self) -> str:
        """This node's head in words."""
        return shown(self._head)

    @property
    def _histories(self) -> Histories | None:
        """How the machine's chains are looked at, if it has chains."""
        return getattr(self._driver.applying.machine, "heads", None)

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
        is_member = to in self._driver.raft.members
        return Pulse(own, status.state, status.last_index, status.commit, status.applied, dict(self._head), is_member)

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
            await self._look_up_head()
        known = {*others, *self._driver.strangers}
        await gather(*(self._tell(id_) for id_ in known))
        told = [self.heard[id_][1] for id_ in known if id_ in self.heard]
        newest = max(told, key=lambda pulse: pulse.commit, default=None)
        self.is_removed = newest is not None and not newest.is_member
        if not self._driver.rebuilding.is_needed:
            await self._compare(others)

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

    async def _look_up_head(self) -> None:
        histories, index = self._histories, self._driver.applying.index
        if histories is not None and index != self._head_index:
            try:
                self._head, self._head_index = await to_thread(histories.head), index
            except (BlockDBError, LookupError):
                return  # the machine has stopped, or its database is only just being made

    async def _compare(self, others: list[str]) -> None:
        """Hold the heads of the others against the own chains.

        Who disagrees with most of all members is wrong. Where it stands one against one nobody can tell: both say so.
        """
        histories = self._histories
        if histories is None:
            return
        found = None
        for id_ in others:
            head = self.heard[id_][1].head if id_ in self.heard else _NO_HEAD
            if not head:
                self.agrees[id_] = None  # it has nothing yet, or something else than before
            if not _is_as_far(self._head, head):
                continue
            try:
                difference = await to_thread(histories.compare, head)
            except BlockDBError:
                return
            if difference is not None and self.agrees.get(id_) is not False:
                self._driver.watching.tell("diverged", other=id_, what=f"{difference} is not what '{id_}' has")
            self.agrees[id_] = difference is None
            found = found if difference is None else (id_, difference)
        against = [id_ for id_ in others if self.agrees.get(id_) is False]
        if 2 * len(against) > len(others) + 1 and found is not None:
            await self._diverge(histories, *found)

    def agree(self) -> None:
        """The chains are another's now."""
        self.diverged, self._head, self._head_index = "", _NO_HEAD, -1
        self.agrees.clear()

    async def _diverge(self, histories: Histories, other: str, difference: object) -> None:
        with suppress(BlockDBError, msgspec.DecodeError):  # it is known that they differ, if not where
            difference = await to_thread(self._first, histories, other, difference)
        self.diverged = str(difference)
        diverge = getattr(self._driver.applying.machine, "diverge", None)
        if diverge is not None:
            await to_thread(diverge, difference)
        self._driver.watching.tell("diverged", other=other, what=self.diverged)
        self._driver.rebuilding.begin(f"from {self.diverged} on its history is another one than that of the cluster")

    def _first(self, histories: Histories, other: str, difference: object) -> object:
        """Where the chains part: in a thread."""

        def ask(collection: bytes, first: int, count: int) -> Sequence[bytes]:
            return self._hashes_of(other, Question(collection, first, count))

        def ask_leaves(collection: bytes, block: int) -> Sequence[bytes]:
            return self._hashes_of(other, Question(collection, block, 0))

        return histories.first_difference(difference, ask, ask_leaves)

    def _hashes_of(self, other: str, question: Question) -> Sequence[bytes]:
        peers = self._driver.peers
        if peers is None:
            raise Unavailable("There is no connection to other nodes.")
        asking = peers.ask(other, "hashes", _encode(question))
        return _decode_hashes(run_coroutine_threadsafe(asking, self._driver.loop).result())

    async def on_question(self, body: bytes) -> bytes:
        """Another node's question about this one's chains. Raises InvalidData, and what looking at them raises."""
        try:
            question = _decode_question(body)
        except msgspec.DecodeError as error:
            raise InvalidData(f"A node asked for hashes in words that are not understood: {error}.") from None
        histories = self._histories
        if histories is None:
            return _encode([])
        if not question.count:
            return _encode(await to_thread(histories.leaf_hashes, question.collection, question.block))
        count = min(question.count, _MOST_HASHES)
        return _encode(await to_thread(histories.block_hashes, question.collection, question.block, count))


def _is_as_far(own: Mapping[bytes, tuple[int, bytes]], other: Mapping[bytes, tuple[int, bytes]]) -> bool:
    """Whether there is a block of the other's head that one has too."""
    return any(number <= own[collection][0] for collection, (number, _) in other.items() if collection in own)


def shown(head: Mapping[bytes, tuple[int, bytes]]) -> str:
    """`<collection id> <block number> <hash>` of the collection with the most blocks; empty where there is none."""
    if not head:
        return ""
    collection, (number, hash_) = max(head.items(), key=lambda item: (item[1][0], item[0]))
    return f"col_{UUID(bytes=collection)} {number} {hash_.hex()}"
