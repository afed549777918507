"""A remote change stream on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from random import random
from time import monotonic
from typing import Any

from blockdb.client.aio.link import AsyncLink
from blockdb.client.feed import behind, change_of
from blockdb.client.plans.plan import Ask
from blockdb.errors import DatabaseClosed, RequestTimeout, Unavailable
from blockdb.types import Change
from blockdb.wire.messages.server import Watch, Watched

__all__ = ["AsyncFeed"]


class AsyncFeed:
    """See `blockdb.Feed`. Where the stream breaks off, it is opened again behind the last change. For one task.

    Raises Unavailable where no server could be reached for as long as a request may take.
    """

    def __init__(self, link: AsyncLink, wanted: Watch, timeout_s: float | None) -> None:
        """Use `AsyncCollection.watch`."""
        self._link = link
        self._wanted = wanted
        self._timeout_s = timeout_s
        self._answers: AsyncGenerator[Any, None] | None = None
        self._awaited: asyncio.Task[Watched | None] | None = None
        self._is_stopped = False
        self._position: int | str = -1

    async def begin(self) -> AsyncFeed:
        """Open the stream: from now on nothing is missed."""
        first = await self._next()
        if first is not None:
            self._position = first.place
        return self

    @property
    def position(self) -> int | str:
        """See `blockdb.Feed.position`."""
        return self._position

    def __aiter__(self) -> AsyncFeed:
        return self

    async def __anext__(self) -> Change:
        change = await self.take(self._timeout_s)
        if change is None:
            raise StopAsyncIteration
        return change

    async def take(self, timeout_s: float | None = None) -> Change | None:
        """See `blockdb.Feed.take`."""
        deadline = None if timeout_s is None else monotonic() + timeout_s
        while not self.is_over():
            if self._awaited is None:
                self._awaited = asyncio.ensure_future(self._next())
            left_s = None if deadline is None else max(0.0, deadline - monotonic())
            done, _ = await asyncio.wait({self._awaited}, timeout=left_s)
            if not done:
                return None
            told, self._awaited = self._taken(self._awaited), None
            if told is None:
                return None
            self._position = told.place
            if told.change is not None:
                return change_of(told)
        return None

    @staticmethod
    def _taken(awaited: asyncio.Task[Watched | None]) -> Watched | None:
        try:
            return awaited.result()
        except (DatabaseClosed, asyncio.CancelledError):
            return None

    async def stop(self) -> None:
        """See `blockdb.Feed.stop`."""
        self._is_stopped = True
        if self._awaited is not None:
            self._awaited.cancel()
            await asyncio.wait({self._awaited})
        if self._answers is not None:
            await self._answers.aclose()

    def is_over(self) -> bool:
        """See `blockdb.Feed.is_over`."""
        return self._is_stopped or self._link.is_closed

    async def _next(self) -> Watched | None:
        """What the stream says next, whatever becomes of the connection."""
        policy, pauses = self._link.transport.policy, 0
        deadline = monotonic() + policy.timeout_s
        while not self.is_over():
            try:
                if self._answers is None:
                    stream = await self._link.stream(Ask("watch", self._wanted))
                    self._answers = stream.__aiter__()
                told: Watched | None = await anext(self._answers, None)
            except (Unavailable, RequestTimeout):
                if pauses and monotonic() > deadline:
                    raise
                told = None
            if told is not None:
                self._wanted = behind(self._wanted, told.place)
                return told
            self._answers = None
            await self._link.transport.pause(policy.pause_s(pauses, random()))
            pauses += 1
        return None
