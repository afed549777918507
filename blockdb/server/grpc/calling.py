"""What happens to a call: it is read, done by the service in a thread, and answered; or refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import unquote

import grpc
import msgspec
from google.protobuf.message import DecodeError

from blockdb.errors import BlockDBError, InvalidData, RequestTimeout, Unavailable
from blockdb.server.asking import request_id_of
from blockdb.server.concerns import concern_of
from blockdb.server.gathering import ALONE, Gatherer
from blockdb.server.grpc.catalogue import Catalogue, Offer
from blockdb.server.grpc.failing import refusal_of
from blockdb.server.http.pump import Inlet, InletEnded, Outlet
from blockdb.server.http.threads import Threads
from blockdb.server.service import Call, Service

__all__ = ["Calls", "Options"]

T = TypeVar("T")

log: Final = logging.getLogger("blockdb.server.grpc")


class _Last(bytes):
    """What follows the last answer of a stream that was broken off."""


_LAST: Final = _Last()

_STALLED: Final = "Nothing went on in this call for {:g} s. Go on in another one."


@dataclass(slots=True)
class Options:
    """What the door lets through. Sizes in bytes; those of the connection count from the start of the door on."""

    max_message_bytes: int = 64 * 1024 * 1024
    max_metadata_bytes: int = 16 * 1024
    max_connections: int = 1000
    max_streams: int = 256
    request_timeout_s: float = 30.0
    stall_timeout_s: float = 30.0
    """For the next request to come, also the only one, and for a client to take what waits for it."""
    streams: int = field(default=0, init=False)
    """How many there are."""


class _Asking:
    """One call, and whether somebody still waits for its end."""

    __slots__ = ("context", "is_abandoned", "metadata", "request_id")

    def __init__(self, context: Any) -> None:
        self.context = context
        self.metadata: dict[str, Any] = dict(context.invocation_metadata() or ())
        self.request_id = request_id_of(self.text("x-request-id"))
        self.is_abandoned = False

    def text(self, name: str) -> str | None:
        value = self.metadata.get(name)
        return value if isinstance(value, str) else None

    def peer(self) -> str:
        """Where it comes from, as the other doors write it: `127.0.0.1:50000`, `[::1]:50000`."""
        kind, _, address = str(self.context.peer()).partition(":")
        return unquote(address) if kind in ("ipv4", "ipv6") else kind

    def certificate_name(self) -> str | None:
        """The common name in the certificate that the client has shown, if it is one name."""
        names = self.context.auth_context().get("x509_common_name", ())
        return names[0].decode("utf-8", "replace") if len(names) == 1 else None


class Calls:
    """Answers the calls of a door. For one event loop."""

    def __init__(self, service: Service, catalogue: Catalogue, options: Options) -> None:
        self._service = service
        self._converter = catalogue.converter
        self._options = options
        self._threads = Threads(options.max_streams)
        self._gatherer = Gatherer(service)

    def handler(self, offer: Offer) -> Any:
        """What gRPC calls for a method.

        Also a single request is taken as a stream of them, which looks the same to a client: so it is known who asks
        before a message is read, and a message that never comes is not waited for. Messages come and go as bytes, so
        that what is no message is refused here.
        """
        method = offer.method
        if method.has_requests:
            return grpc.stream_unary_rpc_method_handler(partial(self._refusing, self._take_in, offer))
        if method.has_answers:
            return grpc.stream_stream_rpc_method_handler(partial(self._refusing, self._stream, offer))
        return grpc.stream_unary_rpc_method_handler(partial(self._refusing, self._call, offer))

    def close(self) -> None:
        """Wait for what is under way. Call it once nothing comes any more."""
        self._threads.close()
        self._gatherer.close()

    async def _refusing(self, answer: Callable[..., Any], offer: Offer, requests: Any, context: Any) -> Any:
        asking = _Asking(context)
        try:
            context.set_trailing_metadata((("x-request-id", asking.request_id),))
            return await answer(offer, asking, requests)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._service.monitor.refused(error)
            await _refuse(asking, error)
        finally:
            asking.is_abandoned = True

    def _begun(self, offer: Offer, asking: _Asking) -> Call:
        """Who asks for what. Raises Unauthenticated."""
        key, peer = asking.text("idempotency-key"), asking.peer()
        nobody = self._service.nobody
        call = Call(offer.operation, nobody, asking.request_id, peer, "grpc", key, lambda: asking.is_abandoned)
        call.concern = concern_of(asking.text("read-concern"))
        authorization = asking.text("authorization")
        name = asking.certificate_name() if authorization is None else None
        self._service.identify(call, authorization, name)
        return call

    async def _only(self, offer: Offer, requests: Any) -> Any:
        """The one request. Raises InvalidData, RequestTimeout."""
        data = await self._unless_stalled(anext(requests, None))
        if data is None:
            raise InvalidData(f"{offer.method.name} takes a message {offer.method.request}, and there was none.")
        return self._request(offer, data)

    def _request(self, offer: Offer, data: bytes) -> Any:
        """Raises InvalidData."""
        kind = offer.operation.request
        try:
            message = self._converter.message_class(kind).FromString(data)
        except DecodeError:
            raise InvalidData(
                f"This is no message {kind.__name__} of blockdb.v1; compare your blockdb.proto."
            ) from None
        return self._converter.from_message(message, kind)

    def _encoded(self, answer: Any) -> bytes:
        encoded: bytes = self._converter.to_message(answer).SerializeToString()
        return encoded

    # ── one request, one answer ──────────────────────────────────────────────────────────────────────────────────

    async def _call(self, offer: Offer, asking: _Asking, requests: Any) -> bytes:
        operation = offer.operation
        call = self._begun(offer, asking)
        request = await self._only(offer, requests)
        if self._service.concerns is not None:
            await self._service.concerns.prepare(call, request)
        if operation.is_quick and self._service.at_once(call, request):
            return self._encoded(self._service.call(call, request))
        loop = asyncio.get_running_loop()
        limit_s = None if operation.is_long else self._options.request_timeout_s
        try:
            async with asyncio.timeout(limit_s) as limit:
                if operation.is_quick and self._gatherer.takes(call, request):
                    answer = await self._gatherer.call(call, request)
                    if answer is not ALONE:
                        return self._encoded(answer)
                # What still waits for a thread when the time is over, or whoever asked has gone, is not begun.
                return await loop.run_in_executor(self._threads.of(operation), self._answered, call, request)
        except TimeoutError:
            if not limit.expired():
                raise
            raise RequestTimeout(
                f"It took longer than {limit_s:g} s (`request_timeout`). Whether it was done is not known here."
            ) from None

    def _answered(self, call: Call, request: Any) -> bytes:
        return self._encoded(self._service.call(call, request))

    # ── a stream of answers ──────────────────────────────────────────────────────────────────────────────────────

    async def _stream(self, offer: Offer, asking: _Asking, requests: Any) -> None:
        call = self._begun(offer, asking)
        request = await self._only(offer, requests)
        outlet = Outlet(asyncio.get_running_loop())
        with self._one_more_stream():
            work = self._in_stream_thread(outlet.run, self._answers(offer, call, request), self._encoded_or_last)
            work.add_done_callback(_forget)
            try:
                async for batch in outlet.batches():
                    for piece in batch:
                        if piece is not _LAST:
                            await self._unless_stalled(asking.context.write(piece))
                await work
            finally:
                asking.is_abandoned = True
                outlet.abandon()

    def _answers(self, offer: Offer, call: Call, request: Any) -> Iterator[Any]:
        """In a thread: the answers, or all pages."""
        if offer.cursor_field is None:
            yield from self._service.stream(call, request)
            return
        cursor: str | None = ""
        while cursor is not None and not call.is_cancelled() and not self._service.is_stopping:
            self._service.authenticator.check(call.principal)
            page: Any = self._service.call(call, request)
            yield page
            cursor = page.cursor
            request = msgspec.structs.replace(request, **{offer.cursor_field: cursor, "offset": 0})

    def _encoded_or_last(self, answer: Any) -> bytes:
        return _LAST if isinstance(answer, BaseException) else self._encoded(answer)

    # ── a stream of requests ─────────────────────────────────────────────────────────────────────────────────────

    async def _take_in(self, offer: Offer, asking: _Asking, requests: Any) -> bytes:
        call = self._begun(offer, asking)
        inlet = Inlet(asyncio.get_running_loop())
        with self._one_more_stream():
            pieces = (self._request(offer, data) for data in inlet.pieces())
            permitted = self._service.permitted(call, pieces)
            work = self._in_stream_thread(self._service.take_in, call, permitted)
            work.add_done_callback(lambda _: inlet.end())
            try:
                while (data := await self._next(requests, work)) is not None:
                    await inlet.put(data, len(data))
            except InletEnded:
                pass  # what `work` ended with is the answer
            except BaseException:
                inlet.end(Unavailable("Whoever sent this has gone before its end; what was stored until then stays."))
                work.add_done_callback(_forget)
                raise
            finally:
                inlet.end()
            return self._encoded(await work)

    async def _next(self, requests: Any, work: asyncio.Future[Any]) -> bytes | None:
        """The next of a stream of requests; None at its end, or where `work` wants no more. Raises RequestTimeout."""
        step: asyncio.Future[bytes | None] = asyncio.ensure_future(anext(requests, None))
        try:
            limit_s = self._options.stall_timeout_s
            await asyncio.wait((step, work), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if step.done():
                return step.result()
            if work.done():
                return None
            raise RequestTimeout(_STALLED.format(limit_s))
        finally:
            step.cancel()

    async def _unless_stalled(self, step: Awaitable[T]) -> T:
        """Raises RequestTimeout where the other end does nothing for too long."""
        limit_s = self._options.stall_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await step
        except TimeoutError:
            raise RequestTimeout(_STALLED.format(limit_s)) from None

    def _in_stream_thread(self, do: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._threads.streams, do, *arguments)

    @contextmanager
    def _one_more_stream(self) -> Iterator[None]:
        """Raises Unavailable where there are as many as may be."""
        options = self._options
        if options.streams >= options.max_streams:
            raise Unavailable(f"There are {options.max_streams} streams (`max_streams`). Try again later.")
        options.streams += 1
        try:
            with self._service.monitor.meters.streams.one():
                yield
        finally:
            options.streams -= 1


async def _refuse(asking: _Asking, error: Exception) -> NoReturn:
    """Raises what gRPC takes for the end of the call."""
    if not isinstance(error, BlockDBError):
        log.error("request %s has met a bug", asking.request_id, exc_info=error)
    refusal = refusal_of(error, asking.request_id)
    await asking.context.abort(refusal.code, refusal.words, refusal.metadata)
    raise AssertionError  # abort has raised


def _forget(work: asyncio.Future[Any]) -> None:
    """Nobody may be waiting for it any more: what became of it was told by the service's hooks."""
    if not work.cancelled():
        work.exception()
