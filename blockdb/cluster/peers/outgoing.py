"""The way to one other node: what waits for it, and a connection that is made again when it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

from blockdb.cluster.peers.asking import check_question
from blockdb.cluster.peers.backlog import Backlog
from blockdb.cluster.peers.bodies import Answer, Ask, body_of, decode, encode
from blockdb.cluster.peers.greeting import Identity, dial
from blockdb.cluster.peers.wire import Frame, Wire
from blockdb.errors import BlockDBError, Unavailable
from blockdb.format.consensus import Member
from blockdb.format.peer_frame import BadFrame, FrameKind
from blockdb.raft.messages import Message

__all__ = ["Outgoing"]

ARRAY_BYTES: Final = 16
"""What a body has besides one message."""
BURST_BYTES: Final = 1 << 20
"""With so much sent, others have their turn on the loop."""
NUDGED_S: Final = 0.02
"""How long to wait before calling a node that has called."""

_log = logging.getLogger("blockdb.cluster.peers")


class _Question(NamedTuple):
    body: bytes
    answer: asyncio.Future[Answer]


class Outgoing:
    """What this node sends to another one, and the answers to that."""

    def __init__(
        self,
        own: Identity,
        member: Member,
        chance: Random,
        on_contact: Callable[[bool], None],
        on_heard: Callable[[], None],
    ) -> None:
        self.member = member
        self.sent = 0
        self._too_long = 0
        self._own = own
        self._limits = own.limits
        self._chance = chance
        self._on_contact = on_contact
        self._on_heard = on_heard
        self._loop = asyncio.get_running_loop()
        self._backlog = Backlog(own.limits)
        self._wire: Wire | None = None
        self._is_flushing = False
        self._ended = asyncio.Event()
        self._nudged = asyncio.Event()
        self._asks: dict[int, _Question] = {}
        self._next_ask = 0
        self._told = ""
        self._task = self._loop.create_task(self._keep_connected())

    @property
    def is_connected(self) -> bool:
        """Whether what is sent goes out at once."""
        return self._wire is not None

    @property
    def queued_bytes(self) -> int:
        """How much waits to be sent."""
        return self._backlog.bytes

    @property
    def dropped(self) -> int:
        """How many messages were not sent."""
        return self._backlog.dropped + self._too_long

    # ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, message: Message, data: bytes) -> None:
        """Send it soon, or let it go; `data` is its encoding."""
        if len(data) > self._limits.max_frame_bytes - ARRAY_BYTES:
            self._too_long += 1
            _log.error("A message of %d bytes is too long for %s and was not sent.", len(data), self.member.id)
            return
        now = self._loop.time()
        self._backlog.put(message, data, now)
        if self._wire is None:
            self._backlog.forget_stale(now)
        elif not self._wire.is_full:
            self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Send what waits; with much of it, let the loop do other things in between."""
        self._is_flushing = False
        wire, size = self._wire, 0
        while wire is not None and self._backlog.has_any and not wire.is_full and wire.end_reason is None:
            if size > BURST_BYTES:
                self._flush_soon()
                return
            kind, body, ended = self._backlog.next_frame()
            self.sent += ended
            size += len(body)
            wire.send(kind, body)

    # ── questions ────────────────────────────────────────────────────────────────────────────────────────────────

    async def ask(self, name: str, body: bytes, timeout_s: float) -> bytes:
        """Ask, and give the answer. Raises Unavailable, and what the other node hands over."""
        check_question(self._limits, body)
        if len(self._asks) >= self._limits.max_asks:
            raise Unavailable(f"{self.member.id} has {self._limits.max_asks} questions to answer already.")
        self._next_ask += 1
        number = self._next_ask
        question = _Question(encode(Ask(number, name, body)), self._loop.create_future())
        self._asks[number] = question
        if self._wire is not None:
            self._wire.send(FrameKind.ASK, question.body)
        try:
            async with asyncio.timeout(timeout_s):
                return body_of(await question.answer)
        except TimeoutError:
            where = f" at {self.member.peer_address}" if self._wire is None else ""
            raise Unavailable(f"{self.member.id}{where} did not answer within {timeout_s:g} s.") from None
        finally:
            del self._asks[number]

    def _fail_asks(self, why: str) -> None:
        for question in self._asks.values():
            if not question.answer.done():
                question.answer.set_exception(Unavailable(why))
                question.answer.exception()  # who asked may have given up

    # ── the connection ───────────────────────────────────────────────────────────────────────────────────────────

    def nudge(self) -> None:
        """It has called: it can be called too, now."""
        self._nudged.set()

    def look_after(self, now: float) -> None:
        """Ask whether it is there still; called now and then."""
        if self._wire is None:
            self._backlog.forget_stale(now)
        elif now - self._wire.heard_at > self._limits.silence_timeout_s:
            self._wire.abort(f"nothing was heard for {self._limits.silence_timeout_s:g} s")
        elif not self._wire.is_full:
            self._wire.send(FrameKind.PING)

    async def close(self) -> None:
        """Send no more. What was sent goes out still."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._wire is not None:
            self._flush()
            await self._wire.finish()
        self._fail_asks("This node is about to stop, or the other one is no longer a member.")

    async def _keep_connected(self) -> None:
        wait_s = self._limits.first_wait_s
        while True:
            self._nudged.clear()
            if await self._stay_connected() > self._limits.longest_wait_s:
                wait_s = self._limits.first_wait_s
            await self._pause(wait_s * self._chance.uniform(0.5, 1.5))
            wait_s = min(2 * wait_s, self._limits.longest_wait_s)

    async def _stay_connected(self) -> float:
        """Call it, and return when that has failed or the connection has ended: how many seconds it lasted."""
        try:
            wire = await dial(self._own, self.member.peer_address, self.member.id, "messages")
        except BlockDBError as error:
            self._tell(str(error))
            return 0
        except Exception:
            _log.exception("%s cannot be called.", self.member.id)
            return 0
        began = self._loop.time()
        self._begin(wire)
        await self._ended.wait()
        self._tell(wire.end_reason or "")
        return self._loop.time() - began

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._nudged.wait()
        except TimeoutError:
            return
        await asyncio.sleep(NUDGED_S)  # one that calls and turns us away would be called again and again

    def _tell(self, why: str) -> None:
        if why != self._told:
            self._told = why
            _log.warning("%s at %s is not reached: %s", self.member.id, self.member.peer_address, why)

    def _begin(self, wire: Wire) -> None:
        if wire.end_reason is not None:
            self._ended.set()
            return
        _log.info("%s at %s is reached.", self.member.id, self.member.peer_address)
        self._told = ""
        self._ended.clear()
        self._wire = wire
        self._backlog.forget_stale(self._loop.time())
        wire.on_end, wire.on_writable = self._end, self._flush
        self._on_heard()
        self._on_contact(True)
        wire.handle(self._heard)
        for question in self._asks.values():
            wire.send(FrameKind.ASK, question.body)
        self._flush()

    def _end(self) -> None:
        self._wire = None
        self._backlog.cut_short()
        self._ended.set()
        self._fail_asks(f"The connection to {self.member.id} ended before it answered.")
        self._on_contact(False)

    def _heard(self, frame: Frame) -> None:
        self._on_heard()
        kind, body = frame
        if kind is FrameKind.ANSWER:
            answer = decode(Answer, body)
            waiting = self._asks.get(answer.number)
            if waiting is not None and not waiting.answer.done():
                waiting.answer.set_result(answer)
        elif kind is not FrameKind.PONG:
            raise BadFrame(f"a frame of kind {kind.name} is no answer")
