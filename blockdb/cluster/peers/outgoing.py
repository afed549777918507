"""The way to one other node: a queue that forgets the oldest, and a connection that is made again when it ends."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

from blockdb.cluster.peers.asking import check_question
from blockdb.cluster.peers.bodies import Answer, Ask, body_of, decode, encode, encode_batch
from blockdb.cluster.peers.greeting import Identity, dial
from blockdb.cluster.peers.wire import Frame, Wire
from blockdb.errors import BlockDBError, Unavailable
from blockdb.format.consensus import Member
from blockdb.format.peer_frame import BadFrame, FrameKind
from blockdb.raft.messages import Message

__all__ = ["Outgoing"]

ARRAY_BYTES: Final = 16
"""What a body has besides one message."""
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
        self.dropped = 0
        self.queued_bytes = 0
        self._own = own
        self._limits = own.limits
        self._chance = chance
        self._on_contact = on_contact
        self._on_heard = on_heard
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[float, bytes]] = deque()
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

    # ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, message: Message) -> None:
        """Send it soon, or let it go."""
        data = encode(message)
        if len(data) > self._limits.max_frame_bytes - ARRAY_BYTES:
            self.dropped += 1
            _log.error("A message of %d bytes is too long for %s and was not sent.", len(data), self.member.id)
            return
        now = self._loop.time()
        self._queue.append((now, data))
        self.queued_bytes += len(data)
        if self._wire is None:
            self._forget_stale(now)
        while len(self._queue) > 1 and (
            self.queued_bytes > self._limits.max_queued_bytes or len(self._queue) > self._limits.max_queued_messages
        ):
            self._forget_oldest()
        if not self._is_flushing and self._wire is not None and not self._wire.is_full:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Send what waits: what was handed in together goes out together."""
        self._is_flushing = False
        wire = self._wire
        while wire is not None and self._queue and not wire.is_full and wire.end_reason is None:
            batch = [self._next()]
            size = len(batch[0])
            while self._queue and size + len(self._queue[0][1]) <= self._limits.batch_bytes:
                batch.append(self._next())
                size += len(batch[-1])
            self.sent += len(batch)
            wire.send(FrameKind.MESSAGES, encode_batch(batch))

    def _next(self) -> bytes:
        data = self._queue.popleft()[1]
        self.queued_bytes -= len(data)
        return data

    def _forget_oldest(self) -> None:
        self._next()
        self.dropped += 1

    def _forget_stale(self, now: float) -> None:
        while self._queue and self._queue[0][0] < now - self._limits.stale_s:
            self._forget_oldest()

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
            self._forget_stale(now)
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
        self._forget_stale(self._loop.time())
        wire.on_end, wire.on_writable = self._end, self._flush
        self._on_heard()
        self._on_contact(True)
        wire.handle(self._heard)
        for question in self._asks.values():
            wire.send(FrameKind.ASK, question.body)
        self._flush()

    def _end(self) -> None:
        self._wire = None
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
