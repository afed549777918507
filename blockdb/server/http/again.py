"""Single writes and reads that are like one that came before on the same connection, but for what is stored or read.

A client that stores one record after the other sends the same head each time, but for the key under which it is stored
once. What a head means was found out when it came first: where it leads, that it may come from where it comes from, in
which form the answer is wanted. What may be different each time is done each time: who it is that asks (a token may
have been revoked), what the body says, whether it was asked before, whether it is too much, and whether it is allowed.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from blockdb.errors import Unavailable
from blockdb.server.asking import principal_of, request_id_of
from blockdb.server.gathering import ALONE
from blockdb.server.http.answering import (
    Headers,
    body_of,
    content_type_of,
    error_body,
    error_headers,
    headers_of,
    too_late,
)
from blockdb.server.service import Call
from blockdb.serving.repeating import Answered

if TYPE_CHECKING:
    from blockdb.server.http.application import Application
    from blockdb.server.http.exchange import Exchange

__all__ = ["Again", "Deadlines"]


class Deadlines:
    """Until when those that wait are to have their answers: one timer for all of them. Used on one event loop."""

    def __init__(self) -> None:
        self._due: OrderedDict[Again, tuple[float, float]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, one: Again, limit_s: float) -> None:
        """One has so much time from now on. O(1)."""
        loop = asyncio.get_running_loop()
        due = loop.time() + limit_s
        self._due[one] = due, limit_s
        if self._timer is not None and self._timer.when() > due:  # less time is given than before
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = loop.call_at(due, self._look, loop)

    def end(self, one: Again) -> None:
        """It has its answer, if it was waited for. O(1)."""
        self._due.pop(one, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        while self._due:
            one, (due, limit_s) = next(iter(self._due.items()))
            if due > loop.time():
                self._timer = loop.call_at(due, self._look, loop)
                return
            del self._due[one]
            one.take_too_long(limit_s)


class Again:
    """Answers such requests, one at a time, on one event loop."""

    def __init__(
        self, door: Application, exchange: Exchange, call: Call, read: Callable[[bytes], Any], encoding: str | None
    ) -> None:
        """For requests with the head of `exchange`, which asks for `call`; `read` makes requests of bodies."""
        self._door = door
        self._service = door.service
        self._like = call
        self._read = read
        self._encoding = encoding
        self._wants_msgpack = exchange.wants_msgpack
        self._given_id = exchange.header(b"x-request-id")
        self._asking = exchange.header(b"authorization"), exchange.certificate
        self._under_way: Call | None = None
        self._settle: Callable[[Any], None] = _ignore
        """Ends what is under way."""

    def __call__(self, body: bytes, key: bytes | None, answered: Answered) -> bool:
        """Begin to answer a request with this body. False: nothing was done, and it is to be asked like any other."""
        like, service = self._like, self._service
        call = Call(
            like.operation,
            service.nobody,
            request_id_of(self._given_id),
            like.peer,
            like.door,
            None if key is None else key.decode("latin-1"),
            concern=like.concern,
        )
        try:
            if like.operation.right is not None:
                call.principal = principal_of(service.authenticator, *self._asking)
            request = self._read(body)
        except Exception:
            return False  # there it is told who asked, and what was wrong
        gatherer = self._door.gatherer
        if len(body) > self._door.options.max_body_bytes or not self._door.repeats(call, request):
            return False
        self._under_way = call
        self._settle = settle = partial(self._end, call, request, len(body), answered)
        if not gatherer.takes(call, request):
            asyncio.get_running_loop().call_soon(self._do, call, request)
            return True
        if gatherer.waits(request):
            self._door.deadlines.begin(self, self._door.options.request_timeout_s)
        gatherer.submit(call, request, settle)
        return True

    def _do(self, call: Call, request: Any) -> None:
        """What waits for nobody, and reads."""
        try:
            answer = self._service.call(call, request)
        except Exception as error:
            self._settle(error)
        else:
            self._settle(answer)

    def take_too_long(self, limit_s: float) -> None:
        """What is under way has had the time that it may take."""
        self._settle(too_late(limit_s))

    def _wait(self, call: Call, request: Any) -> None:
        """It has to wait for others, which a thread does."""
        self._door.deadlines.begin(self, self._door.options.request_timeout_s)
        settle = self._settle
        self._door.in_thread(call, request).add_done_callback(lambda done: settle(_became(done)))

    def _end(self, call: Call, request: Any, received_bytes: int, answered: Answered, found: Any) -> None:
        if self._under_way is not call:  # it has had its answer: that it took too long
            return
        self._door.deadlines.end(self)
        if found is ALONE:
            self._wait(call, request)
            return
        self._under_way = None
        status, headers, payload = self._told(call, found)
        self._service.monitor.meters.transfer(received_bytes, len(payload))
        answered(status, b"".join([b"%s: %s\r\n" % header for header in headers]), payload)

    def _told(self, call: Call, found: Any) -> tuple[int, Headers, bytes]:
        """Status, headers and body of an answer."""
        further: Headers = []
        status: int
        if isinstance(found, BaseException):
            self._door.note(call.request_id, found)
            failure, payload = error_body(found, self._wants_msgpack)
            status, further = failure.status, error_headers(found, failure.status)
        else:
            status = getattr(found, "http_status", call.operation.status)
            payload = body_of(call.operation, found, self._wants_msgpack, self._encoding)
        headers = headers_of(content_type_of(self._wants_msgpack), call.request_id)
        return status, [*headers, (b"content-length", b"%d" % len(payload)), *further], payload


def _became(done: asyncio.Future[Any]) -> Any:
    """The answer of a thread, or its error."""
    if done.cancelled():
        return Unavailable("The server is about to stop.")
    return done.exception() or done.result()


def _ignore(_found: Any) -> None:
    """Nothing is under way."""
