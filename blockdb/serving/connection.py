"""An HTTP connection: uvicorn's, with what it lacks against clients who mean no good.

Who waits for nothing but a client stands in a queue, in the order in which the waiting began. So time-outs are a look
at the heads of a few queues, twice a second, and cost a request two operations on dictionaries; and where there is no
room for another connection, the one that waited for the longest time makes room.
"""

from __future__ import annotations

import json
from asyncio import AbstractEventLoop, Transport
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic
from typing import Any, Final, Protocol

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from blockdb.serving.limits import Limits
from blockdb.serving.repeating import AGAIN, Repeating

__all__ = ["Connection", "Waiting"]

LEAST_WAIT_S: Final = 1.0
"""What takes longer, of a head or for the next piece of a body, has to make room for another connection first."""
LONG_BODY_BYTES: Final = 64 * 1024
"""A body that is longer may still be on its way when its request is answered."""


class Level(Protocol):
    """Told of each connection that comes and goes."""

    def up(self) -> None:
        """One more."""

    def down(self) -> None:
        """One less."""


class Waiting:
    """The connections that wait for their clients: for a head, the next request, more of a body, or to be read from."""

    def __init__(
        self, limits: Limits, clock: Callable[[], float] = monotonic, connections: Level | None = None
    ) -> None:
        self.limits = limits
        self.connections = connections
        self.heads: OrderedDict[Connection, float] = OrderedDict()
        self.idle: OrderedDict[Connection, float] = OrderedDict()
        self.bodies: OrderedDict[Connection, float] = OrderedDict()
        self.stalled: OrderedDict[Connection, float] = OrderedDict()
        self.clock = clock
        self.generation = 0
        """Higher each time that what is let in has changed, so that nothing counts which was found out before."""
        self.refused = 0
        """How many connections were refused since the beginning, because there was no room."""

    def sweep(self) -> None:
        """Hang up on whoever had the time that they are given."""
        limits = self.limits
        times = (limits.head_timeout_s, limits.idle_timeout_s, limits.body_timeout_s, limits.write_timeout_s)
        for queue, timeout_s in zip(self._queues, times, strict=True):
            while queue and self._age(queue) >= timeout_s:
                connection = queue.popitem(last=False)[0]
                if queue is not self.bodies:
                    connection.hang_up()
                elif connection.flow.read_paused:  # it is the application that takes its time
                    queue[connection] = self.clock()
                else:
                    connection.miss_body()

    def make_room(self) -> bool:
        """Hang up on the connection that did nothing for the longest time; False where all are at work."""
        slow, idle, stuck, young = (
            (self.heads, LEAST_WAIT_S),
            (self.idle, 0.0),
            (self.bodies, LEAST_WAIT_S),
            (self.heads, 0.0),
        )
        for queue, least_s in (slow, idle, stuck, young):
            if queue and self._age(queue) >= least_s:
                queue.popitem(last=False)[0].hang_up()
                return True
        return False

    @property
    def _queues(self) -> tuple[OrderedDict[Connection, float], ...]:
        return self.heads, self.idle, self.bodies, self.stalled

    def _age(self, queue: OrderedDict[Connection, float]) -> float:
        return self.clock() - next(iter(queue.values()))

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        for queue in self._queues:
            queue.pop(connection, None)


class _Refused(Exception):
    """The request goes no further; the connection is told why, and closed."""


class Connection(HttpToolsProtocol):
    """One connection, with its requests one after the other."""

    def __init__(self, config: Config, state: ServerState, waiting: Waiting, loop: AbstractEventLoop) -> None:
        super().__init__(config=config, server_state=state, app_state={}, _loop=loop)
        self.waiting = waiting
        self._limits = waiting.limits
        self._running: RequestResponseCycle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._refusal: tuple[int, str, str] | None = None
        self._repeating = Repeating(self)

    # ── the connection ───────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """A client is there; where there is no room, it is told so at once."""
        super().connection_made(transport)
        if (tls := transport.get_extra_info("ssl_object")) is not None:
            self.app_state = {"tls": tls}  # the application looks up whose certificate it was shown
        connection = transport.get_extra_info("ssl_object")
        if connection is not None:
            self.app_state = {"tls": connection}
        if self.waiting.connections is not None:
            self.waiting.connections.up()
        if len(self.connections) > self._limits.max_connections and not self.waiting.make_room():
            self.waiting.refused += 1
            self._refuse(503, "Unavailable", "All connections of this server are in use. Try again in a moment.")
            return
        self.waiting.heads[self] = self.waiting.clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or was hung up on; every request of it is told, not only the last one."""
        self.waiting.forget(self)
        if self.waiting.connections is not None:
            self.waiting.connections.down()
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
        if self._repeating.is_under_way:
            self._repeating.keep(data)
            return
        is_idle = self.waiting.idle.pop(self, None) is not None
        if is_idle and self._repeating.takes(data):
            return
        begins = is_idle or (self._in_head and not self._head_bytes)
        if is_idle:
            self.waiting.heads[self] = self.waiting.clock()
        self.take(data)
        self._repeating.whole = data if begins and self._is_plain() else None

    def _is_plain(self) -> bool:
        """Whether the request that was parsed last is there as a whole, and leaves the connection as it was."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None:
            return False
        return not cycle.more_body and cycle.keep_alive and not self.expect_100_continue

    def take(self, data: bytes) -> None:
        """Parse what has come."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self._limits.max_header_bytes and self._refusal is None:
            self._refuse(*self._too_long())
        elif self.cycle is not None:
            self._wait_for_body()

    def _wait_for_body(self) -> None:
        bodies = self.waiting.bodies
        if not self.cycle.more_body or self._refusal is not None:
            bodies.pop(self, None)
        else:
            bodies[self] = self.waiting.clock()
            bodies.move_to_end(self)

    def pause_writing(self) -> None:
        """The client does not take what is written."""
        super().pause_writing()
        self.waiting.stalled[self] = self.waiting.clock()

    def resume_writing(self) -> None:
        """The client takes it again."""
        self.waiting.stalled.pop(self, None)
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
        size, is_long = len(self.url), False
        for name, value in self.headers:
            size += len(name) + len(value)
            is_long |= name == b"transfer-encoding" or (name == b"content-length" and int(value) > LONG_BODY_BYTES)
        if size > self._limits.max_header_bytes:
            self._refusal = self._too_long()
            raise _Refused
        if len(self.pipeline) >= self._limits.max_pipelined:
            self._refusal = 503, "Unavailable", "There are too many requests on this connection. Wait for answers."
            raise _Refused
        self.waiting.heads.pop(self, None)
        self.scope["extensions"] = {AGAIN: self._repeating.remember}  # type: ignore[dict-item]
        super().on_headers_complete()
        if self.parser.should_upgrade():  # what comes after it would not be HTTP
            self.cycle.keep_alive = False
        if is_long:
            self.cycle.transport = _Lingering(self, self.cycle)  # type: ignore[assignment]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """The answer is given: the next request that came meanwhile begins, or is waited for."""
        self.server_state.total_requests += 1
        self._running = self._repeating.whole = None
        self.waiting.bodies.pop(self, None)
        if self.transport.is_closing() or self._refusal is not None:
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            queue = self.waiting.heads if self._in_head else self.waiting.idle
            queue[self] = self.waiting.clock()

    def shutdown(self) -> None:
        """The connection ends once what is under way is answered."""
        if self._repeating.is_under_way:
            self._repeating.end()
        else:
            super().shutdown()

    # ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _too_long(self) -> tuple[int, str, str]:
        return 431, "RequestTooLarge", f"The head of a request may have {self._limits.max_header_bytes} bytes at most."

    def send_400_response(self, msg: str) -> None:
        """What the parser, or one of the limits above, does not take."""
        self._refuse(*(self._refusal or (400, "InvalidData", "This is not a request of HTTP/1.1.")))

    def _refuse(self, status: int, kind: str, message: str) -> None:
        """Say why, unless it would be taken for the answer to a request that was made before, and close."""
        self._refusal = status, kind, message
        running = self._running
        if running is None or (running is self.cycle and running.more_body and not running.response_started):
            body = json.dumps({"success": False, "error": kind, "message": message}).encode()
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            more = f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write((head + more).encode() + body)
        self.transport.close()

    def miss_body(self) -> None:
        """Tell who sends no more of a body that it is not waited for."""
        self._refuse(408, "RequestTimeout", "The rest of the request did not come in time.")

    def linger(self) -> None:
        """Close, but let the client finish what it is sending, or it would never read what was answered."""
        self._refusal = 400, "InvalidData", "This connection is closed."
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.waiting.heads[self] = self.waiting.clock()

    def _unsupported_upgrade_warning(self) -> None:
        """Whoever asks for another protocol is answered in this one, without a word in the log."""


class _Lingering:
    """The transport of a request whose body may still be coming when it is answered."""

    def __init__(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        """Close, at once where the whole body has come."""
        if self._cycle.more_body and not self._cycle.disconnected:
            self._connection.linger()
        else:
            self._connection.transport.close()
