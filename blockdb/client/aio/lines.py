"""Connections on an event loop, on which whole answers come: a protocol of asyncio, and a pool of those that are kept.

What there is for this in libraries takes a hundred times the processor time of one put where many are under way.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Final

import httpcore

from blockdb.client.addresses import Node
from blockdb.client.carrying import KEEPALIVE_S, patience_s, silence_s
from blockdb.client.exchange import Attempt, Reply
from blockdb.client.incoming import Incoming
from blockdb.client.policy import Policy

__all__ = ["AsyncPool"]

FOR_EVER: Final = float("inf")

Within = Callable[[float, Awaitable["_Line"]], Awaitable["_Line"]]
"""Waits for something for so many seconds at most, and no longer than the pool is open. Raises TimeoutError."""


class _Line(asyncio.Protocol):
    """A connection, on which one request is asked at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._incoming: Incoming | None = None
        self._answer: asyncio.Future[Reply] | None = None
        self._deadline = self._due = FOR_EVER
        self._silence_s = FOR_EVER
        self._unsent = 0
        self._timer: asyncio.TimerHandle | None = None
        self.idle_since = 0.0
        """Since when nothing is asked on it, by the clock of the loop."""
        self.is_open = False
        """Whether something may be asked on it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The server is there."""
        self._transport = transport
        self.is_open = True

    def connection_lost(self, error: Exception | None) -> None:
        """It hung up, or was hung up on."""
        self.is_open = False
        if self._incoming is None:
            return
        try:
            if error is not None:
                raise httpcore.ReadError(str(error)) from error
            self._settle(self._incoming.end())
        except Exception as failure:
            self._fail(failure)

    def data_received(self, data: bytes) -> None:
        """A piece of the answer."""
        if self._incoming is None:  # the answer to nothing
            self.close()
            return
        try:
            reply = self._incoming.take(data)
        except Exception as error:
            self._fail(error)
            return
        if reply is None:
            self._due = self._loop.time() + self._silence_s
            return
        if not self._incoming.is_reusable or self._transport.get_write_buffer_size():
            self.close()
        self._settle(reply)

    async def ask(self, request: bytes, incoming: Incoming, deadline: float, silence_s: float) -> Reply:
        """The answer to a request, by `deadline` of the loop's clock. Raises one of FAILURES."""
        self._incoming, self._deadline, self._silence_s = incoming, deadline, silence_s
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self._answer = answer
        self._unsent = 0
        self._due = self._loop.time() + silence_s
        self._watch()
        self._transport.write(request)
        try:
            return await answer
        finally:
            if self._incoming is not None:  # whoever asked has gone
                self._incoming = self._answer = None
                self.close()

    def _watch(self) -> None:
        """Have it noticed when the time is over: one timer serves many requests."""
        due = min(self._due, self._deadline)
        if self._timer is not None and self._timer.when() > due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and due < FOR_EVER:
            self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._incoming is None:
            return
        now, unsent = self._loop.time(), self._transport.get_write_buffer_size()
        if unsent != self._unsent:  # something of the request was sent since then
            self._unsent, self._due = unsent, max(self._due, now + self._silence_s)
        if min(self._due, self._deadline) > now:
            self._watch()
        else:
            self._fail(httpcore.ReadTimeout("there was no answer in time"))

    def _settle(self, reply: Reply) -> None:
        answer, self._answer, self._incoming = self._answer, None, None
        if answer is not None and not answer.done():
            answer.set_result(reply)

    def _fail(self, error: Exception) -> None:
        answer, self._answer, self._incoming = self._answer, None, None
        self.close()
        if answer is not None and not answer.done():
            answer.set_exception(error)

    def interrupt(self) -> None:
        """Wake whoever waits for an answer, with its end."""
        self._fail(httpcore.ReadError("it was closed"))

    def close(self) -> None:
        """Hang up, whatever is still to be written."""
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport.abort()


class AsyncPool:
    """At most so many connections at a time. For the tasks of one event loop."""

    def __init__(self, policy: Policy, context: ssl.SSLContext, within: Within) -> None:
        self._policy = policy
        self._context = context
        self._within = within
        self._room = asyncio.Semaphore(policy.max_connections)
        self._idle: defaultdict[Node, list[_Line]] = defaultdict(list)
        self._busy: set[_Line] = set()
        self._is_closed = False

    async def ask(self, attempt: Attempt, request: bytes, left_s: float) -> Reply:
        """The whole answer, within so many seconds. Raises one of FAILURES."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + left_s
        if self._room.locked():
            try:
                async with asyncio.timeout_at(deadline if left_s < FOR_EVER else None):
                    await self._room.acquire()
            except TimeoutError:
                raise httpcore.PoolTimeout("all connections are in use") from None
        else:
            await self._room.acquire()
        line: _Line | None = None
        try:
            if self._is_closed:
                raise httpcore.ConnectError("it was closed meanwhile")
            line = self._kept(attempt.node, loop) or await self._connected(attempt.node, loop, left_s)
            self._busy.add(line)
            limit_s = silence_s(attempt.asked, self._policy)
            incoming = Incoming(self._policy.max_answer_bytes)
            reply = await line.ask(request, incoming, deadline, FOR_EVER if limit_s is None else limit_s)
            if line.is_open:
                line.idle_since = loop.time()
                self._idle[attempt.node].append(line)
            return reply
        finally:
            if line is not None:
                self._busy.discard(line)
            self._room.release()

    def _kept(self, node: Node, loop: asyncio.AbstractEventLoop) -> _Line | None:
        """The connection that was used last, if there is one."""
        idle = self._idle[node]
        while idle:
            line = idle.pop()
            if line.is_open and loop.time() - line.idle_since < KEEPALIVE_S:
                return line
            line.close()
        return None

    async def _connected(self, node: Node, loop: asyncio.AbstractEventLoop, left_s: float) -> _Line:
        async def connect() -> _Line:
            is_tls = node.scheme == "https"
            _, line = await loop.create_connection(
                lambda: _Line(loop),
                node.host,
                node.port,
                ssl=self._context if is_tls else None,
                server_hostname=node.host if is_tls else None,
            )
            return line

        try:
            return await self._within(min(patience_s(self._policy), left_s), connect())
        except TimeoutError:
            raise httpcore.ConnectTimeout("there was no connection in time") from None
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error

    def close(self) -> None:
        """Hang up, also on what is under way in other tasks."""
        self._is_closed = True
        for line in list(self._busy):
            line.interrupt()
        for idle in self._idle.values():
            while idle:
                idle.pop().close()
