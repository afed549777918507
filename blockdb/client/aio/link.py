"""The way to a server, on an event loop: the twin of `blockdb.client.link`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, TypeVar

from blockdb.client.aio.transport import AsyncOpenReply, AsyncTransport
from blockdb.client.carrying import FAILURES, failure_of
from blockdb.client.plans.plan import Ask, Pages, Plan
from blockdb.client.wiring import Frames, answer_of, asked_of, chance
from blockdb.errors import BlockDBError, Unavailable

__all__ = ["AsyncLink", "AsyncStream"]

T = TypeVar("T")


class AsyncLink:
    """Asks a server for what plans want. For the tasks of one event loop."""

    def __init__(self, transport: AsyncTransport, key_of: Callable[[], str] = chance) -> None:
        """`key_of` gives each request that changes something its Idempotency-Key."""
        self.transport = transport
        self._key_of = key_of

    def __repr__(self) -> str:
        return ",".join(map(str, self.transport.nodes.all))

    async def ask(self, ask: Ask) -> Any:
        """The answer to one request. Raises what the server raises, Unavailable, RequestTimeout, DatabaseClosed."""
        return answer_of(ask, await self.transport.send(asked_of(ask, self._key_of)))

    async def run(self, plan: Plan[T]) -> T:
        """What a plan comes to. Raises as `ask`."""
        try:
            ask = next(plan)
            while True:
                try:
                    answer = await self.ask(ask)
                except BlockDBError as error:
                    ask = plan.throw(error)
                else:
                    ask = plan.send(answer)
        except StopIteration as done:
            found: T = done.value
            return found

    async def all_of(self, pages: Pages[T]) -> AsyncGenerator[T, None]:
        """What is on all pages."""
        while not pages.is_over:
            for item in await self.run(pages.next()):
                yield item

    async def each_of(self, plan: Plan[list[T]]) -> AsyncIterator[T]:
        """Each of what a plan comes to."""
        for item in await self.run(plan):
            yield item

    async def open(self, ask: Ask) -> AsyncOpenReply:
        """The answer to a request, whose body is still coming in. Raises as `ask`."""
        reply = await self.transport.open(asked_of(ask, self._key_of))
        if reply.response is None:
            answer_of(ask, reply)
        return reply

    async def stream(self, ask: Ask) -> AsyncStream:
        """The answers to a request, as they come. Raises as `ask`."""
        return AsyncStream(await self.open(ask), ask.operation, self.transport)

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self.transport.is_closed

    async def close(self) -> None:
        """Hang up. Closing twice is no error."""
        await self.transport.close()


class AsyncStream:
    """The answers of a stream."""

    def __init__(self, reply: AsyncOpenReply, operation: str, transport: AsyncTransport) -> None:
        self._reply = reply
        self._frames = Frames(operation, transport.policy.max_answer_bytes)
        self._transport = transport

    async def __aiter__(self) -> AsyncGenerator[Any, None]:
        """Raises what the server says went wrong, DatabaseClosed, and Unavailable where the connection breaks."""
        try:
            async for data in self._reply.pieces():
                for answer in self._frames.take(data):
                    yield answer
        except FAILURES as error:
            self._transport.check_open()
            raise Unavailable(f"The stream broke off: {failure_of(error).what}.") from None
        finally:
            await self._reply.close()

    async def close(self) -> None:
        """Let go of it, whether it came to its end or not."""
        await self._reply.close()
