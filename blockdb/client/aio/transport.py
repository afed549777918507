"""Asking servers on an event loop: the twin of `blockdb.client.transport`, by the same rules."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from random import random
from time import monotonic
from typing import TypeVar

import anyio
import httpcore

from blockdb.client.addresses import Node
from blockdb.client.aio.lines import AsyncPool
from blockdb.client.body import Collector
from blockdb.client.carrying import FAILURES, KEEPALIVE_S, Identity, Writer, failure_of
from blockdb.client.exchange import Asked, Attempt, Failure, Nodes, Pause, Reply, Steps, exchange
from blockdb.client.incoming import headers_of
from blockdb.client.policy import Policy
from blockdb.client.transport import CLOSED, FORKED
from blockdb.errors import DatabaseClosed

__all__ = ["AsyncOpenReply", "AsyncTransport"]

R = TypeVar("R", bound=Reply)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AsyncOpenReply(Reply):
    """An answer whose body is still coming in, unless it tells of an error."""

    response: httpcore.Response | None = None

    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises one of FAILURES where the connection breaks."""
        assert self.response is not None, "an answer with a body is not open"
        return self.response.aiter_stream()

    async def close(self) -> None:
        """Let go of the connection."""
        if self.response is not None:
            with suppress(*FAILURES, anyio.ClosedResourceError):
                await self.response.aclose()


class AsyncTransport:
    """Asks servers. For the tasks of one event loop; not to be taken along through a fork."""

    def __init__(self, nodes: Iterable[Node], policy: Policy, identity: Identity, context: ssl.SSLContext) -> None:
        self.nodes = Nodes(tuple(nodes))
        self.policy = policy
        self._writer = Writer(identity, policy)
        self._is_closed = False
        self._pid = os.getpid()
        self._waiting: set[anyio.CancelScope] = set()
        self._whole = AsyncPool(policy, context, self._within)
        self._pool = httpcore.AsyncConnectionPool(
            context,
            max_connections=policy.max_connections,
            max_keepalive_connections=policy.max_connections,
            keepalive_expiry=KEEPALIVE_S,
        )

    async def send(self, asked: Asked) -> Reply:
        """The whole answer to a request. Raises Unavailable, RequestTimeout, DatabaseClosed."""
        return await self._exchange(asked, self._answered)

    async def open(self, asked: Asked) -> AsyncOpenReply:
        """An answer that is still coming in; one that tells of an error is complete. Raises as `send`."""
        return await self._exchange(asked, self._begun)

    def check_open(self) -> None:
        """Raises DatabaseClosed."""
        if self._pid != os.getpid():
            raise DatabaseClosed(FORKED)
        if self._is_closed:
            raise DatabaseClosed(CLOSED)

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more requests."""
        return self._is_closed or self._pid != os.getpid()

    async def pause(self, seconds: float) -> None:
        """Let time pass. Raises DatabaseClosed as soon as it is closed."""
        with anyio.move_on_after(seconds) as scope:
            await self._until(scope, anyio.sleep(seconds + 1))
        self.check_open()

    async def close(self) -> None:
        """Hang up, also on what is under way in other tasks. Closing twice is no error."""
        if self.is_closed:
            return
        self._is_closed = True
        for scope in list(self._waiting):
            scope.cancel()
        self._whole.close()
        await self._pool.aclose()

    async def until_closed(self, awaited: Awaitable[T]) -> T:
        """What something gives that is waited for, unless this is closed first. Raises DatabaseClosed."""
        with anyio.CancelScope() as scope:
            return await self._until(scope, awaited)
        raise DatabaseClosed(CLOSED)

    async def _until(self, scope: anyio.CancelScope, awaited: Awaitable[T]) -> T:
        self._waiting.add(scope)
        try:
            return await awaited
        finally:
            self._waiting.discard(scope)

    async def _within(self, seconds: float, awaited: Awaitable[T]) -> T:
        """What something gives within that time. Raises TimeoutError, DatabaseClosed."""
        with anyio.move_on_after(seconds) as scope:
            return await self._until(scope, awaited)
        self.check_open()
        raise TimeoutError

    async def _exchange(self, asked: Asked, attempt: Callable[[Attempt], Awaitable[R | Failure]]) -> R:
        """Do what `exchange` wants done."""
        self.check_open()
        steps: Steps[R] = exchange(asked, self.nodes, self.policy, monotonic, random)
        outcome: R | Failure | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as done:
                found: R = done.value
                return found
            if isinstance(step, Pause):
                await self.pause(step.seconds)
                outcome = None
            else:
                outcome = await attempt(step)

    async def _answered(self, attempt: Attempt) -> Reply | Failure:
        try:
            return await self._whole.ask(attempt, self._writer.written(attempt), attempt.deadline - monotonic())
        except FAILURES as error:
            self.check_open()
            return failure_of(error)

    async def _begun(self, attempt: Attempt) -> AsyncOpenReply | Failure:
        try:
            return await self._within(attempt.deadline - monotonic(), self._begin(attempt))
        except FAILURES as error:
            self.check_open()
            return failure_of(error)

    async def _begin(self, attempt: Attempt) -> AsyncOpenReply:
        response = await self._pool.handle_async_request(self._writer.request(attempt))
        if response.status == 200:
            return AsyncOpenReply(200, headers_of(response.headers), b"", response)
        try:
            reply = await self._read(response)
            return AsyncOpenReply(reply.status, reply.headers, reply.body)
        finally:
            await response.aclose()

    async def _read(self, response: httpcore.Response) -> Reply:
        headers = headers_of(response.headers)
        body = Collector(headers, self.policy.max_answer_bytes)
        async for data in response.aiter_stream():
            body.add(data)
        return Reply(response.status, headers, body.done())
