"""An HTTP connection: uvicorn's, with what it lacks against clients who mean no good.

Who waits for nothing but a client stands in a queue, in the order in which the waiting began. So time-outs are a look
at the heads of three queues, twice a second, and cost a request two operations on dictionaries; and where there is no
room for another connection, the one that waited for the longest time makes room.
"""

from __future__ import annotations

import json
from asyncio import AbstractEventLoop, Transport
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic
from typing import Any, Final

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from blockdb.serving.limits import Limits

__all__ = ["Connection", "Waiting"]

LEAST_WAIT_S: Final = 1.0
"""A head that takes longer may have to make room for another connection."""


class Waiting:
    """The connections that wait for their clients: for a head, for the next request, or to be read from."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = monotonic) -> None:
        self.limits = limits
        self.heads: OrderedDict[Connection, float] = OrderedDict()
        self.idle: OrderedDict[Connection, float] = OrderedDict()
        self.stalled: OrderedDict[Connection, float] = OrderedDict()
        self.clock = clock
        self.refused = 0
        """How many connections were refused since the beginning, because there was no room."""

    def sweep(self) -> None:
        """Hang up on whoever had the time that they are given."""
        limits = self.limits
        times = (limits.head_timeout_s, limits.idle_timeout_s, limits.write_timeout_s)
        for queue, timeout_s in zip((self.heads, self.idle, self.stalled), times, strict=True):
            while queue and self._age(queue) >= timeout_s:
                queue.popitem(last=False)[0].hang_up()

    def make_room(self) -> bool:
        """Hang up on the connection that did nothing for the longest time; False where all are at work."""
        queue = self.heads if self.heads and self._age(self.heads) >= LEAST_WAIT_S else self.idle
        if not queue:
            return False
        queue.popitem(last=False)[0].hang_up()
        return True

    def _age(self, queue: OrderedDict[Connection, float]) -> float:
        return self.clock() - next(iter(queue.values()))

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        for queue in (self.heads, self.idle, self.stalled):
            queue.pop(connection, None)


class _Refused(Exception):
    """The request goes no further; the connection is told why, and closed."""


class Connection(HttpToolsProtocol):
    """One connection, with its requests one after the other."""

    def __init__(self, config: Config, state: ServerState, waiting: Waiting, loop: AbstractEventLoop) -> None:
        super().__init__(config=config, server_state=state, app_state={}, _loop=loop)
        self._waiting = waiting
        self._limits = waiting.limits
        self._running: RequestResponseCycle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._refusal: tuple[int, str, str] | None = None

    # ── the connection ───────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """A client is there; where there is no room, it is told so at once."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.max_connections and not self._waiting.make_room():
            self._waiting.refused += 1
            self._refuse(503, "Unavailable", "All connections of this server are in use. Try again in a moment.")
            return
        self._waiting.heads[self] = self._waiting.clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or was hung up on; every request of it is told, not only the last one."""
        self._waiting.forget(self)
        super().connection_lost(exc)
        for cycle in (self._running, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client: as much of a head as it may have, or of a body."""
        if self._refusal is not None:
            return
        if self._waiting.idle.pop(self, None) is not None:
            self._waiting.heads[self] = self._waiting.clock()
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self._limits.max_header_bytes and self._refusal is None:
            self._refuse(*self._too_long())

    def pause_writing(self) -> None:
        """The client does not take what is written."""
        super().pause_writing()
        self._waiting.stalled[self] = self._waiting.clock()

    def resume_writing(self) -> None:
        """The client takes it again."""
        self._waiting.stalled.pop(self, None)
        super().resume_writing()

    def hang_up(self) -> None:
        """End the connection now, whatever is still to be written."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    # ── a request ────────────────────────────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        """The first byte of a head."""
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        if len(self.headers) >= self._limits.max_headers:
            self._refusal = 431, "RequestTooLarge", f"A request may have {self._limits.max_headers} headers at most."
            raise _Refused
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete: the request begins, or waits for the one before it."""
        self._in_head = False
        self._head_bytes = 0
        if sum(len(name) + len(value) for name, value in self.headers) + len(self.url) > self._limits.max_header_bytes:
            self._refusal = self._too_long()
            raise _Refused
        if len(self.pipeline) >= self._limits.max_pipelined:
            self._refusal = 503, "Unavailable", "There are too many requests on this connection. Wait for answers."
            raise _Refused
        self._waiting.heads.pop(self, None)
        super().on_headers_complete()
        if self.parser.should_upgrade():  # what comes after it would not be HTTP
            self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """The answer is given: the next request that came meanwhile begins, or is waited for."""
        self.server_state.total_requests += 1
        self._running = None
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            queue = self._waiting.heads if self._in_head else self._waiting.idle
            queue[self] = self._waiting.clock()

    # ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _too_long(self) -> tuple[int, str, str]:
        return 431, "RequestTooLarge", f"The head of a request may have {self._limits.max_header_bytes} bytes at most."

    def send_400_response(self, msg: str) -> None:
        """What the parser, or one of the limits above, does not take."""
        self._refuse(*(self._refusal or (400, "InvalidData", "This is not a request of HTTP/1.1.")))

    def _refuse(self, status: int, kind: str, message: str) -> None:
        """Say why, unless that would fall into the answer to a request that was begun, and close."""
        self._refusal = status, kind, message
        if self._running is None or self._running.response_complete:
            body = json.dumps({"success": False, "error": kind, "message": message}).encode()
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            more = f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write((head + more).encode() + body)
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Whoever asks for another protocol is answered in this one, without a word in the log."""
