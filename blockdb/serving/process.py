"""Serving an application on sockets: the loop, signals, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from email.utils import formatdate
from functools import partial
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, Final

from uvicorn import Config
from uvicorn.server import ServerState

from blockdb.serving.connection import Connection, Level, Waiting
from blockdb.serving.limits import Limits
from blockdb.serving.listening import BACKLOG
from blockdb.serving.systemd import Notifier

__all__ = ["Server", "endable", "loop_factory", "run"]

TICK_S: Final = 0.5
HANDSHAKE_TIMEOUT_S: Final = 10.0
STOPPED_AT_ONCE: Final = 130
GOODBYE_S: Final = 2.0
"""How long clients of TLS who have their answers are waited for, once they were told goodbye: many never answer."""

log = logging.getLogger(__name__)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the event loop: uvloop's where that is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


class Server:
    """An ASGI application on sockets that listen already. It belongs to one event loop."""

    def __init__(
        self,
        application: Any,
        sockets: Sequence[socket.socket],
        limits: Limits,
        *,
        tls: ssl.SSLContext | None = None,
        on_stop: Callable[[], Awaitable[None]] | None = None,
        on_tick: Callable[[], None] | None = None,
        connections: Level | None = None,
    ) -> None:
        """Of `application`, on `sockets` that listen already.

        `on_stop` is called when the end begins: it tells streams, which would go on for ever, to end. `on_tick` is
        called twice a second, in a thread, if the last call has ended. `connections` counts them.
        """
        self.limits = limits
        self.waiting = Waiting(limits, connections=connections)
        self.state = ServerState()
        self.notifier = Notifier()
        self._config = Config(
            application,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
        self._config.load()
        self._sockets = sockets
        self._tls = tls
        self._on_stop = on_stop
        self._on_tick = on_tick
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def look_anew(self) -> None:
        """What is let in has changed: what was found out about heads of requests counts no more. From any thread."""
        self.waiting.generation += 1

    def stop(self) -> None:
        """Begin to end. From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return len(self.state.connections)

    async def serve(self, on_ready: Callable[[], None]) -> None:
        """Serve until `stop` is called, then finish what was begun, for `stop_timeout_s` at most."""
        self._set_date()
        self._loop = loop = asyncio.get_running_loop()
        servers = [
            await loop.create_server(
                partial(Connection, self._config, self.state, self.waiting, loop),
                sock=each,
                ssl=self._tls,
                backlog=BACKLOG,
                ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_TIMEOUT_S,
            )
            for each in self._sockets
        ]
        ticking = asyncio.create_task(self._tick())
        try:
            on_ready()
            await self._stopping.wait()
            self.notifier.stopping()
            for server in servers:
                server.close()
            await self._finish()
        finally:
            ticking.cancel()
            for server in servers:
                server.close()

    async def _finish(self) -> None:
        """Let what was begun come to its end; what takes too long is cut off."""
        begun = time.monotonic()
        beside = None if self._on_stop is None else asyncio.ensure_future(self._on_stop())
        for connection in tuple(self.state.connections):
            connection.shutdown()
        told_at = dict[Any, float]()
        while self.state.tasks or self.state.connections:
            self._leave(told_at)
            left_s = self.limits.stop_timeout_s - (time.monotonic() - begun)
            if left_s <= 0:
                log.warning("%d requests were cut off, since they took longer than it may", len(self.state.tasks))
                break
            if self.state.tasks:
                await asyncio.wait(tuple(self.state.tasks), timeout=min(left_s, TICK_S))
            else:  # answers that clients have yet to take
                await asyncio.sleep(0.01)
        tasks = tuple(self.state.tasks)
        for task in tasks:
            task.cancel()
        for connection in tuple(self.state.connections):
            connection.transport.abort()
        if tasks:
            await asyncio.wait(tasks, timeout=TICK_S)
        if beside is not None:
            await beside

    def _leave(self, told_at: dict[Any, float]) -> None:
        """Hang up on who was told goodbye for long enough; `told_at` has when, by connections."""
        now = time.monotonic()
        for connection in tuple(self.state.connections):
            transport = connection.transport
            is_told = transport.is_closing() and not transport.get_write_buffer_size()
            if is_told and now - told_at.setdefault(connection, now) > GOODBYE_S:
                transport.abort()

    async def _tick(self) -> None:
        """What is due twice a second."""
        alive_at = time.monotonic()
        beside: asyncio.Task[None] | None = None
        while True:
            await asyncio.sleep(TICK_S)
            if self._on_tick is not None and (beside is None or beside.done()):
                beside = asyncio.create_task(asyncio.to_thread(self._on_tick))
            self._set_date()
            self.waiting.sweep()
            if self.notifier.watchdog_s and time.monotonic() >= alive_at:
                self.notifier.alive()
                alive_at += self.notifier.watchdog_s

    def _set_date(self) -> None:
        self.state.default_headers = [(b"date", formatdate(usegmt=True).encode())]


class _Ended(KeyboardInterrupt):
    """Told to end by SIGTERM."""


@contextmanager
def endable() -> Iterator[None]:
    """While it is made what is to be served, SIGTERM ends the block, as ^C does; it was asked for, so it is no error.

    The system's own way would not end the first process of a container. `run` has its own, better one.
    """
    if current_thread() is not main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise _Ended

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except _Ended:
        log.info("told to end before anybody was served")
    finally:
        signal.signal(signal.SIGTERM, before)


def run(make: Callable[[], Server], on_ready: Callable[[], None], on_reload: Callable[[], None] | None = None) -> None:
    """Make a server on a new event loop and serve until the process is told to end.

    SIGTERM and SIGINT end it in order, a second one at once; SIGHUP calls `on_reload`, in a thread.
    """
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(make, on_ready, on_reload))


async def _run(make: Callable[[], Server], on_ready: Callable[[], None], on_reload: Callable[[], None] | None) -> None:
    server = make()
    loop = asyncio.get_running_loop()
    told = list[int]()

    def end(number: int) -> None:
        told.append(number)
        if len(told) > 1:
            log.warning("told to end a second time: ending at once")
            os._exit(STOPPED_AT_ONCE)
        log.info("told to end (%s): finishing what was begun", signal.Signals(number).name)
        server.stop()

    async def reload() -> None:
        server.notifier.reloading()
        if on_reload is not None:
            await asyncio.to_thread(on_reload)
        server.notifier.ready()

    reloads = set[asyncio.Task[None]]()

    def hang_up() -> None:
        task = asyncio.ensure_future(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    def ready() -> None:
        on_ready()
        server.notifier.ready()

    if current_thread() is main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end, number)
        loop.add_signal_handler(signal.SIGHUP, hang_up)
    await server.serve(ready)
