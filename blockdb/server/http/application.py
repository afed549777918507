"""The door for HTTP: an ASGI application, made from the table of operations."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from blockdb.errors import (
    AppendOnly,
    BlockDBError,
    RequestTooLarge,
    Unavailable,
)
from blockdb.server.asking import request_id_of
from blockdb.server.concerns import concern_of
from blockdb.server.gathering import ALONE, Gatherer
from blockdb.server.http.accepting import JSON, chosen
from blockdb.server.http.again import Again, Deadlines
from blockdb.server.http.answering import (
    Headers,
    body_of,
    content_type_of,
    error_body,
    error_headers,
    event_encoder,
    too_late,
)
from blockdb.server.http.exchange import Disconnected, Exchange, Receive, Send
from blockdb.server.http.importing import feed_items
from blockdb.server.http.pages import PAGES
from blockdb.server.http.pump import Inlet, InletEnded, Outlet
from blockdb.server.http.reading import asked_encoding, called_of, going_on, query_of, reader_of, request_of
from blockdb.server.http.routing import Router
from blockdb.server.http.threads import Threads
from blockdb.server.service import Call, Service
from blockdb.wire.operation import Kind, Operation
from blockdb.wire.table import BY_NAME, OPERATIONS

__all__ = ["Application", "Options"]

log: Final = logging.getLogger("blockdb.server.http")

CONTENT_POLICY: Final = [(b"content-security-policy", b"default-src 'self'; style-src 'self' 'unsafe-inline'")]
CALL: Final = b"/api/v1/call/"
CHANGES: Final = ("DELETE", "PATCH", "PUT")


@dataclass(slots=True)
class Options:
    """What the door lets through; it may be changed while it is open."""

    max_body_bytes: int = 64 * 1024 * 1024
    request_timeout_s: float = 30.0
    max_streams: int = 256
    streams: int = field(default=0, init=False)
    """How many there are."""


class Application:
    """The ASGI application. One event loop at a time may run it."""

    def __init__(self, service: Service, options: Options | None = None) -> None:
        self.service = service
        self.options = options or Options()
        self._router = Router(OPERATIONS)
        self._threads = Threads(self.options.max_streams)
        self.gatherer = Gatherer(service)
        self.deadlines = Deadlines()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._answer(Exchange(scope, receive, send))

    async def _answer(self, exchange: Exchange) -> None:
        exchange.request_id = request_id_of(exchange.header(b"x-request-id"))
        meters = self.service.monitor.meters
        try:
            await self._dispatch(exchange)
        except Disconnected:
            pass
        except Exception as error:
            self.note(exchange.request_id, error)
            if exchange.is_begun:
                raise
            await _refuse(exchange, error)
        finally:
            meters.transfer(exchange.received_bytes, exchange.sent_bytes)

    def note(self, request_id: str, error: BaseException) -> None:
        """A request is about to be refused with this error."""
        self.service.monitor.refused(error)
        if not isinstance(error, BlockDBError):
            log.error("request %s has met a bug", request_id, exc_info=error)

    async def _dispatch(self, exchange: Exchange) -> None:
        match = self._router.find(exchange.raw_path)
        method = "GET" if exchange.method == "HEAD" else exchange.method
        called = self._called_by_name(exchange)
        operation = called or match.operations.get(method)
        if operation is None:
            await self._miss(exchange, match.operations)
            return
        query = query_of(exchange.query_string)
        encoding = asked_encoding(query)
        concern = query.pop("read_concern", None)
        if operation.name == "watch" and (last := exchange.header(b"last-event-id")):
            query = going_on(query, last)
        call = Call(
            operation,
            self.service.nobody,
            exchange.request_id,
            exchange.peer,
            "http",
            exchange.header(b"idempotency-key"),
            lambda: exchange.is_abandoned,
            concern=concern_of(
                exchange.header(b"read-concern") if concern is None else concern.decode("utf-8", "replace")
            ),
        )
        self.service.identify(call, exchange.header(b"authorization"), exchange.certificate)
        if operation.kind is Kind.REQUESTS:
            await self._take_in(exchange, call, {**match.parameters}, query, encoding)
            return
        body = await exchange.body(self.options.max_body_bytes) if operation.has_body or called else b""
        read = (
            partial(called_of, operation)
            if called
            else reader_of(operation, match.parameters, query, exchange.has_msgpack)
        )
        request = read(body)
        if operation.kind is not Kind.PLAIN:
            await self._stream(exchange, call, request, encoding)
            return
        if operation.is_quick and (operation.has_body or called) and self.repeats(call, request, exchange):
            exchange.remember(Again(self, exchange, call, read, encoding))
        answer = await self._called(exchange, call, request)
        if operation.name == "metrics" and (text := await self._metrics_as_text(exchange, operation)):
            await exchange.send(HTTPStatus.OK, *text)
            return
        payload = body_of(operation, answer, exchange.wants_msgpack, encoding)
        content_type = content_type_of(exchange.wants_msgpack)
        await exchange.send(HTTPStatus(getattr(answer, "http_status", operation.status)), content_type, payload)

    def repeats(self, call: Call, request: Any, exchange: Exchange | None = None) -> bool:
        """Whether a quick request may be answered without its head, if that is known: it waits for nobody's word.

        `exchange` is that of the request whose head is to be known; of a read, the answer is never compressed then.
        """
        concerns = self.service.concerns
        if self.gatherer.takes(call, request):
            return concerns is None or not concerns.waits(call, request)
        is_packed = exchange is not None and exchange.header(b"accept-encoding") not in (None, "identity")
        return concerns is None and not is_packed and self.service.at_once(call, request)

    async def _metrics_as_text(self, exchange: Exchange, operation: Operation) -> tuple[bytes, bytes] | None:
        """Content type and text for Prometheus; None where JSON is wanted."""
        kind = chosen(exchange.header(b"accept") or "")
        if exchange.wants_msgpack or kind == JSON:
            return None
        render = self.service.monitor.exposition.render
        text, content_type = await asyncio.get_running_loop().run_in_executor(self._threads.of(operation), render, kind)
        return content_type.encode(), text

    @staticmethod
    def _called_by_name(exchange: Exchange) -> Operation | None:
        """The operation that is asked for by its name, with all of its request in the body: keys may be long."""
        if exchange.method != "POST" or not exchange.raw_path.startswith(CALL):
            return None
        found = BY_NAME.get(exchange.raw_path[len(CALL) :].decode("ascii", "replace"))
        return None if found is None or found.kind is Kind.REQUESTS else found

    async def _called(self, exchange: Exchange, call: Call, request: Any) -> Any:
        concerns = self.service.concerns
        if concerns is not None:
            await concerns.prepare(call, request)
            exchange.further += concerns.told(call, request)
        if call.operation.is_quick:
            if self.service.at_once(call, request):
                return self.service.call(call, request)
            if self.gatherer.takes(call, request):
                answer = await self._gathered(call, request)
                if answer is not ALONE:
                    return answer
        work = self.in_thread(call, request)
        limit_s = None if call.operation.is_long else self.options.request_timeout_s
        listening = None if call.operation.is_quick else asyncio.ensure_future(exchange.until_gone())
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.shield(work)
        except TimeoutError:
            exchange.is_abandoned = True
            work.add_done_callback(_forget)
            raise too_late(limit_s) from None
        except BlockDBError:
            if exchange.is_abandoned:
                raise Disconnected from None
            raise
        finally:
            if listening is not None:
                listening.cancel()

    def in_thread(self, call: Call, request: Any) -> asyncio.Future[Any]:
        """The answer to a request that may have to wait for others."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads.of(call.operation), self.service.call, call, request)

    async def _gathered(self, call: Call, request: Any) -> Any:
        """The answer to a write that waits for the disk together with others."""
        limit_s = self.options.request_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await self.gatherer.call(call, request)
        except TimeoutError:
            raise too_late(limit_s) from None

    async def _stream(self, exchange: Exchange, call: Call, request: Any, encoding: str | None) -> None:
        loop, operation = asyncio.get_running_loop(), call.operation
        if self.options.streams >= self.options.max_streams:
            raise Unavailable(f"There are {self.options.max_streams} streams (`max_streams`). Try again later.")
        self.options.streams += 1
        self.service.monitor.meters.streams.up()
        outlet = Outlet(loop)
        listening = None
        try:
            answers = await loop.run_in_executor(self._threads.of(operation), self.service.stream, call, request)
            is_bytes = operation.kind is Kind.BYTES
            content_type = b"application/octet-stream" if is_bytes else exchange.stream_type
            encode: Callable[[Any], bytes] = _data if is_bytes else event_encoder(content_type, encoding)
            work = loop.run_in_executor(self._threads.of(operation), outlet.run, answers, encode)
            work.add_done_callback(_forget)
            listening = asyncio.ensure_future(exchange.until_gone(outlet.abandon))
            await exchange.begin(HTTPStatus(operation.status), content_type)
            async for piece in outlet.pieces():
                await exchange.send_piece(piece)
            await asyncio.wait((work,))  # its last piece is there a moment before its end
            if not is_bytes or work.exception() is None:
                await exchange.end()
        finally:
            exchange.is_abandoned = True
            outlet.abandon()
            if listening is not None:
                listening.cancel()
            self.options.streams -= 1
            self.service.monitor.meters.streams.down()

    async def _take_in(
        self,
        exchange: Exchange,
        call: Call,
        parameters: dict[str, bytes],
        query: dict[str, bytes],
        encoding: str | None,
    ) -> None:
        """A stream of records comes in; there is one answer at its end."""
        loop = asyncio.get_running_loop()
        first = request_of(call.operation, parameters, query, b'{"items":[]}', is_msgpack=False)
        inlet = Inlet(loop)
        requests = self.service.permitted(call, inlet.pieces())
        work = loop.run_in_executor(self._threads.of(call.operation), self.service.take_in, call, requests, first)
        work.add_done_callback(lambda _: inlet.end())
        work.add_done_callback(_forget)
        try:
            await feed_items(exchange, inlet, first, self.options.max_body_bytes)
        except InletEnded:
            pass  # what `work` ended with is the answer, and the rest of the body is not read
        except BaseException as error:
            inlet.end(error)
            raise
        finally:
            inlet.end()
        answer = await work
        payload = body_of(call.operation, answer, exchange.wants_msgpack, encoding)
        content_type = content_type_of(exchange.wants_msgpack)
        await exchange.send(HTTPStatus(call.operation.status), content_type, payload)

    async def _miss(self, exchange: Exchange, operations: dict[str, Operation]) -> None:
        """Nothing is asked for in this way there."""
        page = PAGES.get(exchange.path) if exchange.method in ("GET", "HEAD") else None
        if page is not None:
            content_type, content = page()
            await exchange.send(HTTPStatus.OK, content_type, content, CONTENT_POLICY)
        elif not operations:
            await _refuse(exchange, _Miss(f"There is nothing at {exchange.path}. /docs says what there is."))
        else:
            allowed = ", ".join(sorted({*operations, *(["HEAD"] if "GET" in operations else [])}))
            if exchange.method in CHANGES and any("{key}" in each.path for each in operations.values()):
                raise AppendOnly("BlockDB is append-only: nothing that was stored is deleted or changed.")
            words = f"{exchange.method} is not for {exchange.path}, but {allowed}."
            await _refuse(exchange, _WrongMethod(words), [(b"allow", allowed.encode())])

    def close(self) -> None:
        """Wait for what is under way. Call it once nothing comes any more."""
        self._threads.close()
        self.gatherer.close()


class _Miss(BlockDBError):
    """There is nothing at this path."""


class _WrongMethod(BlockDBError):
    """It is not asked for in this way."""


_Miss.__name__, _WrongMethod.__name__ = "NotFound", "MethodNotAllowed"


async def _refuse(exchange: Exchange, error: BaseException, further: Headers | None = None) -> None:
    failure, payload = error_body(error, exchange.wants_msgpack)
    headers = error_headers(error, failure.status) + (further or [])
    if isinstance(error, RequestTooLarge) or not exchange.is_read:
        headers.append((b"connection", b"close"))  # the rest of the request is not read
    content_type = content_type_of(exchange.wants_msgpack)
    await exchange.send(failure.status, content_type, payload, headers)


def _data(answer: Any) -> bytes:
    """The bytes of a piece; an error breaks the stream off, so that nobody takes it for whole."""
    return b"" if isinstance(answer, BaseException) else answer.data


def _forget(work: asyncio.Future[Any]) -> None:
    """Nobody waits for it any more: what became of it was told by the service's hooks."""
    if not work.cancelled():
        work.exception()


async def _live(receive: Receive, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """Beginning and end, of which the process that runs the loop takes care."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
