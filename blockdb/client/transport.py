"""Asking servers, in threads: a pool of connections that are kept alive, and every wait has its limit."""

from __future__ import annotations

import os
import socket
import ssl
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import random
from threading import TIMEOUT_MAX, BoundedSemaphore, Event, local
from time import monotonic
from typing import Any, Final, TypeVar
from weakref import WeakSet

import httpcore

from blockdb.client.addresses import Node
from blockdb.client.body import Collector
from blockdb.client.carrying import FAILURES, KEEPALIVE_S, Identity, Writer, failure_of, patience_s, silence_s
from blockdb.client.exchange import Asked, Attempt, Failure, Nodes, Pause, Reply, Steps, exchange
from blockdb.client.incoming import Incoming, headers_of
from blockdb.client.policy import Policy
from blockdb.errors import DatabaseClosed

__all__ = ["OpenReply", "Transport"]

CLOSED: Final = "The connection to the server was closed; connect anew."
LOOK_AFTER_S: Final = 0.5
"""A connection on which nothing was asked for so long may have been closed by the other side."""
READ_BYTES: Final = 256 * 1024
FORKED: Final = "The connection to the server belongs to the parent process; connect anew in this one."


class _Line(httpcore.NetworkStream):
    """A connection of which no read waits beyond the deadline of the request, however lively the other side drips."""

    idle_since = 0.0
    """Since when nothing is asked on it, for those that are kept."""

    def __init__(self, stream: httpcore.NetworkStream, deadlines: local) -> None:
        self._stream = stream
        self._deadlines = deadlines

    @property
    def is_fresh(self) -> bool:
        """Whether it can be expected that the other side still listens. Looks, where it was idle for a moment."""
        idle_s = monotonic() - self.idle_since
        return idle_s < LOOK_AFTER_S or (idle_s < KEEPALIVE_S and not self.get_extra_info("is_readable"))

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """The next bytes."""
        return self._stream.read(max_bytes, self._left_s(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes."""
        self._stream.write(buffer, self._left_s(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """Hang up."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> _Line:
        """The same connection, encrypted."""
        self._stream = self._stream.start_tls(ssl_context, server_hostname, timeout)
        return self

    def get_extra_info(self, info: str) -> Any:
        """What is known of it."""
        return self._stream.get_extra_info(info)

    def interrupt(self) -> None:
        """Wake whoever reads it, with its end."""
        with suppress(OSError, AttributeError):
            socket.socket.shutdown(self.get_extra_info("socket"), socket.SHUT_RDWR)

    def _left_s(self, timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
        left_s = getattr(self._deadlines, "at", float("inf")) - monotonic()
        if left_s <= 0:
            raise late("the time for the request is over")
        return timeout if left_s == float("inf") else left_s if timeout is None else min(left_s, timeout)


class _Lines(httpcore.NetworkBackend):
    """Opens connections, and knows those that are open."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()
        self.deadlines = local()
        self.open: WeakSet[_Line] = WeakSet()
        self._closed = Event()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> _Line:
        """Connect."""
        stream = self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        line = _Line(stream, self.deadlines)
        self.open.add(line)
        if self._closed.is_set():  # meanwhile: nobody else would hang up
            line.close()
            raise httpcore.ConnectError(CLOSED)
        return line

    def close(self) -> None:
        """Wake whoever reads one, with its end. What is being opened is closed as soon as it is open."""
        self._closed.set()
        for line in list(self.open):
            line.interrupt()


class _Pool:
    """The connections on which whole answers come, at most so many at a time. Safe for threads."""

    def __init__(self, lines: _Lines, policy: Policy, context: ssl.SSLContext) -> None:
        self._lines = lines
        self._policy = policy
        self._context = context
        self._room = BoundedSemaphore(policy.max_connections)
        self._idle: defaultdict[Node, deque[_Line]] = defaultdict(deque)
        self._is_closed = False

    def ask(self, attempt: Attempt, request: bytes) -> Reply:
        """The whole answer. Raises one of FAILURES."""
        if not self._room.acquire(timeout=min(self._policy.timeout_s, TIMEOUT_MAX)):
            raise httpcore.PoolTimeout("all connections are in use")
        try:
            line = self._kept(attempt.node) or self._connected(attempt.node)
            incoming = Incoming(self._policy.max_answer_bytes)
            try:
                reply = self._answer(line, attempt, request, incoming)
            finally:
                if incoming.is_reusable:
                    line.idle_since = monotonic()
                    self._idle[attempt.node].append(line)
                    if self._is_closed:  # meanwhile: nobody else would hang up
                        self.close()
                else:
                    line.close()
            return reply
        finally:
            self._room.release()

    def _answer(self, line: _Line, attempt: Attempt, request: bytes, incoming: Incoming) -> Reply:
        is_sent = False
        with suppress(httpcore.WriteError):  # the answer may be that no more is taken
            line.write(request, self._policy.read_timeout_s)
            is_sent = True
        limit_s = silence_s(attempt.asked, self._policy)
        while True:
            data = line.read(READ_BYTES, limit_s)
            reply = incoming.take(data) if data else incoming.end()
            if reply is not None:
                incoming.is_reusable &= is_sent
                return reply

    def _kept(self, node: Node) -> _Line | None:
        """The connection that was used last, if there is one."""
        idle = self._idle[node]
        while idle:
            try:
                line = idle.pop()
            except IndexError:  # another thread was quicker
                return None
            if line.is_fresh:
                return line
            line.close()
        return None

    def _connected(self, node: Node) -> _Line:
        limit_s = patience_s(self._policy)
        line = self._lines.connect_tcp(node.host, node.port, limit_s)
        return line.start_tls(self._context, node.host, limit_s) if node.scheme == "https" else line

    def close(self) -> None:
        """Hang up on those that are idle; others are not kept."""
        self._is_closed = True
        for idle in list(self._idle.values()):
            while idle:
                with suppress(IndexError):
                    idle.pop().close()


R = TypeVar("R", bound=Reply)


@dataclass(frozen=True, slots=True)
class OpenReply(Reply):
    """An answer whose body is still coming in, unless it tells of an error. `stop` may be called by any thread."""

    response: httpcore.Response | None = None

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes. Raises one of FAILURES where the connection breaks."""
        assert self.response is not None, "an answer with a body is not open"
        return self.response.iter_stream()

    def stop(self) -> None:
        """Wake whoever waits for it, with its end."""
        line = None if self.response is None else self.response.extensions.get("network_stream")
        if isinstance(line, _Line):
            line.interrupt()

    def close(self) -> None:
        """Let go of the connection. For the thread that reads it."""
        if self.response is not None:
            with suppress(*FAILURES):
                self.response.close()


class Transport:
    """Asks servers. Safe for threads; not to be taken along through a fork."""

    def __init__(self, nodes: Iterable[Node], policy: Policy, identity: Identity, context: ssl.SSLContext) -> None:
        self.nodes = Nodes(tuple(nodes))
        self.policy = policy
        self._writer = Writer(identity, policy)
        self._lines = _Lines()
        self._whole = _Pool(self._lines, policy, context)
        self._closed = Event()
        self._pid = os.getpid()
        self._pool = httpcore.ConnectionPool(
            context,
            max_connections=policy.max_connections,
            max_keepalive_connections=policy.max_connections,
            keepalive_expiry=KEEPALIVE_S,
            network_backend=self._lines,
        )

    def send(self, asked: Asked) -> Reply:
        """The whole answer to a request. Raises Unavailable, RequestTimeout, DatabaseClosed."""
        return self._exchange(asked, self._answer)

    def open(self, asked: Asked) -> OpenReply:
        """An answer that is still coming in; one that tells of an error is complete. Raises as `send`."""
        return self._exchange(asked, self._begin)

    def check_open(self) -> None:
        """Raises DatabaseClosed."""
        if self._pid != os.getpid():
            raise DatabaseClosed(FORKED)
        if self._closed.is_set():
            raise DatabaseClosed(CLOSED)

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more requests."""
        return self._closed.is_set() or self._pid != os.getpid()

    def pause(self, seconds: float) -> None:
        """Let time pass. Raises DatabaseClosed as soon as it is closed."""
        self._closed.wait(seconds)
        self.check_open()

    def close(self) -> None:
        """Hang up, also on what is under way in other threads. Closing twice is no error."""
        if self.is_closed:
            return
        self._closed.set()
        self._lines.close()
        self._whole.close()
        self._pool.close()

    def _exchange(self, asked: Asked, attempt: Callable[[Attempt], R | Failure]) -> R:
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
                self.pause(step.seconds)
                outcome = None
            else:
                outcome = self._tried(step, attempt)

    def _tried(self, step: Attempt, attempt: Callable[[Attempt], R | Failure]) -> R | Failure:
        self._lines.deadlines.at = step.deadline
        try:
            return attempt(step)
        except FAILURES as error:
            self.check_open()
            return failure_of(error)
        except Exception:
            self.check_open()  # whatever the library makes of it that it was closed in the middle
            raise
        finally:
            self._lines.deadlines.at = float("inf")  # for answers that are still coming in

    def _answer(self, attempt: Attempt) -> Reply:
        return self._whole.ask(attempt, self._writer.written(attempt))

    def _begin(self, attempt: Attempt) -> OpenReply:
        response = self._pool.handle_request(self._writer.request(attempt))
        if response.status == 200:
            return OpenReply(200, headers_of(response.headers), b"", response)
        try:
            reply = self._read(response)
            return OpenReply(reply.status, reply.headers, reply.body)
        finally:
            response.close()

    def _read(self, response: httpcore.Response) -> Reply:
        headers = headers_of(response.headers)
        body = Collector(headers, self.policy.max_answer_bytes)
        for data in response.iter_stream():
            body.add(data)
        return Reply(response.status, headers, body.done())
