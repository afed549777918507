"""What the holders of a partition tell each other: once a second how far they are, and answers to questions."""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine
from time import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from blockdb.cluster.comparing import NO_HEAD, Comparing
from blockdb.cluster.replicated_log import StateMachine
from blockdb.errors import BlockDBError, InvalidData, Unavailable

if TYPE_CHECKING:
    from blockdb.cluster.jetstream.driving import Driver

__all__ = ["Pulse", "Pulses"]

_log = logging.getLogger("blockdb.cluster.jetstream")

_STALE_PULSES: Final = 4
_KIND: Final = "holder"
"""Of subjects for questions to one holder: a read-only copy of the cluster may ask them, unlike those to partitions."""
_SOUND: Final = frozenset({"Leader", "Follower", "Replica"})


class Pulse(msgspec.Struct, frozen=True, array_like=True):
    """What a holder says of itself."""

    id: str
    state: str
    last: int
    """The last message of the stream that it knows of."""
    applied: int
    """The index up to which it has applied all."""
    head: dict[bytes, tuple[int, bytes]] = {}
    """By the 16 bytes of a collection's id: number and hash of its newest sealed block."""


class _Question(msgspec.Struct, frozen=True, array_like=True):
    """What one holder asks another one."""

    sender: str
    kind: str
    body: bytes


class _Answer(msgspec.Struct, frozen=True, array_like=True):
    """What it is answered: the body, or why there is none."""

    body: bytes
    error: str = ""


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Pulse).decode
_decode_question: Final = msgspec.msgpack.Decoder(_Question).decode
_decode_answer: Final = msgspec.msgpack.Decoder(_Answer).decode
_decode_piece: Final = msgspec.msgpack.Decoder(tuple[int, int]).decode


class Pulses:
    """Belongs to the loop. Implements `blockdb.cluster.comparing.Surroundings`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.comparing = Comparing(self)
        self.heard: dict[str, tuple[int, Pulse]] = {}
        """When each holder was heard, in milliseconds since 1970, and what it said."""
        self._present: set[str] = set()

    async def start(self) -> None:
        """Begin to listen."""
        driver, names = self._driver, self._driver.shared.names
        await driver.subscribe(names.subject("pulse", driver.partition), self._on_pulse)
        await driver.subscribe(names.subject(_KIND, driver.partition, driver.own.id), self._on_question)

    # ── what is said ─────────────────────────────────────────────────────────────────────────────────────────────

    async def beat(self) -> None:
        """Tell how far this node is, and compare what others told."""
        driver = self._driver
        if driver.mending is None:
            await self.comparing.look_up_head(driver.applied)
        pulse = Pulse(driver.own.id, driver.state, driver.last, driver.applied, dict(self.comparing.head))
        if driver.is_reachable:
            await driver.client.publish(driver.shared.names.subject("pulse", driver.partition), _encode(pulse))
        self._look_who_is_there()
        if driver.mending is None:
            heads = {id_: self.heard[id_][1].head if id_ in self.heard else NO_HEAD for id_ in driver.others}
            await self.comparing.compare(heads)

    async def _on_pulse(self, message: Msg) -> None:
        try:
            pulse = _decode(message.data)
        except msgspec.DecodeError:
            _log.warning("%s: a pulse cannot be read; another node may be of a newer version.", self._driver.stream)
            return
        if pulse.id != self._driver.own.id:
            self.heard[pulse.id] = (int(time() * 1000), pulse)

    def is_present(self, id_: str) -> bool:
        """Whether a holder was heard of lately; this node always is."""
        heard_ms = self.heard[id_][0] if id_ in self.heard else 0
        is_late = time() * 1000 - heard_ms > _STALE_PULSES * 1000 * self._driver.settings.pulse_s
        return id_ == self._driver.own.id or not is_late

    def _look_who_is_there(self) -> None:
        present = {id_ for id_ in self._driver.others if self.is_present(id_)}
        for id_ in present ^ self._present:
            self._driver.tell("contact", other=id_, what="reached" if id_ in present else "lost")
        self._present = present

    def who_has(self, index: int) -> list[str]:
        """The holders that are there, sound, and that far; the furthest first."""
        pulses = [self.heard[id_][1] for id_ in self._driver.others if self.is_present(id_)]
        able = [pulse for pulse in pulses if pulse.applied >= index and pulse.state in _SOUND]
        return [pulse.id for pulse in sorted(able, key=lambda pulse: -pulse.applied)]

    # ── questions ────────────────────────────────────────────────────────────────────────────────────────────────

    async def ask(self, id_: str, kind: str, body: bytes, timeout_s: float) -> bytes:
        """Have another holder answer. Raises Unavailable where it does not, or with what it says."""
        driver = self._driver
        question = _encode(_Question(driver.own.id, kind, body))
        subject = driver.shared.names.subject(_KIND, driver.partition, id_)
        try:
            answer = _decode_answer((await driver.client.request(subject, question, timeout_s)).data)
        except (NatsError, TimeoutError, msgspec.DecodeError) as error:
            raise Unavailable(f"'{id_}' did not answer: {error!r}.") from None
        if answer.error:
            raise Unavailable(answer.error)
        return answer.body

    async def _on_question(self, message: Msg) -> None:
        self._driver.begin(self._answer(message))

    async def _answer(self, message: Msg) -> None:
        try:
            answer = _Answer(await self._reply(_decode_question(message.data)))
        except (BlockDBError, LookupError, msgspec.DecodeError) as error:
            answer = _Answer(b"", str(error) or repr(error))
        await message.respond(_encode(answer))

    async def _reply(self, question: _Question) -> bytes:
        snapshots = self._driver.snapshots
        if question.kind == "hashes":
            return await self.comparing.answer(question.body)
        if question.kind == "copy":
            return await snapshots.on_copy(question.sender)
        if question.kind == "piece":
            return await snapshots.on_piece(*_decode_piece(question.body))
        raise InvalidData(f"A node was asked for '{question.kind}', which it does not know: is it older?")

    # ── for comparing ────────────────────────────────────────────────────────────────────────────────────────────

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
        return self._driver.tell

    def ask_hashes(self, other: str, question: bytes) -> Coroutine[Any, Any, bytes]:
        """As Surroundings says."""
        return self.ask(other, "hashes", question, self._driver.settings.request_timeout_s)

    def rebuild(self, why: str) -> None:
        """As Surroundings says."""
        self._driver.rebuild(why)
