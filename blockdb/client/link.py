"""The way to a server, in threads: runs plans, fetches pages, opens streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from blockdb.client.carrying import FAILURES, failure_of
from blockdb.client.plans.plan import Ask, Pages, Plan
from blockdb.client.transport import OpenReply, Transport
from blockdb.client.wiring import Frames, answer_of, asked_of, chance
from blockdb.errors import BlockDBError, Unavailable

__all__ = ["Link", "Stream"]

T = TypeVar("T")


class Link:
    """Asks a server for what plans want. Safe for threads."""

    def __init__(self, transport: Transport, key_of: Callable[[], str] = chance) -> None:
        """`key_of` gives each request that changes something its Idempotency-Key."""
        self.transport = transport
        self._key_of = key_of

    def __repr__(self) -> str:
        return ",".join(map(str, self.transport.nodes.all))

    def ask(self, ask: Ask) -> Any:
        """The answer to one request. Raises what the server raises, Unavailable, RequestTimeout, DatabaseClosed."""
        return answer_of(ask, self.transport.send(asked_of(ask, self._key_of)))

    def run(self, plan: Plan[T]) -> T:
        """What a plan comes to. Raises as `ask`."""
        try:
            ask = next(plan)
            while True:
                try:
                    answer = self.ask(ask)
                except BlockDBError as error:
                    ask = plan.throw(error)
                else:
                    ask = plan.send(answer)
        except StopIteration as done:
            found: T = done.value
            return found

    def all_of(self, pages: Pages[T]) -> Iterator[T]:
        """What is on all pages; the first is fetched here."""
        return self._all_of(self.run(pages.next()), pages)

    def _all_of(self, items: list[T], pages: Pages[T]) -> Iterator[T]:
        while True:
            yield from items
            if pages.is_over:
                return
            items = self.run(pages.next())

    def open(self, ask: Ask) -> OpenReply:
        """The answer to a request, whose body is still coming in. Raises as `ask`."""
        reply = self.transport.open(asked_of(ask, self._key_of))
        if reply.response is None:
            answer_of(ask, reply)
        return reply

    def stream(self, ask: Ask) -> Stream:
        """The answers to a request, as they come. Raises as `ask`."""
        return Stream(self.open(ask), ask.operation, self.transport)

    def check_open(self) -> None:
        """Raises DatabaseClosed."""
        self.transport.check_open()

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self.transport.is_closed

    def close(self) -> None:
        """Hang up. Closing twice is no error."""
        self.transport.close()


class Stream:
    """The answers of a stream. For one thread; `stop` may be called from any."""

    def __init__(self, reply: OpenReply, operation: str, transport: Transport) -> None:
        self._reply = reply
        self._frames = Frames(operation, transport.policy.max_answer_bytes)
        self._transport = transport

    def __iter__(self) -> Iterator[Any]:
        """Raises what the server says went wrong, DatabaseClosed, and Unavailable where the connection breaks."""
        try:
            for data in self._reply.pieces():
                yield from self._frames.take(data)
        except FAILURES as error:
            self._transport.check_open()
            raise Unavailable(f"The stream broke off: {failure_of(error).what}.") from None
        finally:
            self._reply.close()

    def close(self) -> None:
        """Let go of it, whether it came to its end or not. For the thread that reads it."""
        self._reply.close()

    def stop(self) -> None:
        """End it, also while another thread waits for it."""
        self._reply.stop()
