"""Serving a witness: a socket, a server with limits, and an orderly end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import closing
from ipaddress import ip_address
from types import FrameType
from typing import Final

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from blockdb.errors import InvalidData
from blockdb.storage.door import guarded
from blockdb.witness.application import application
from blockdb.witness.witness import Witness

HEAD_TIMEOUT_S: Final = 10.0
IDLE_TIMEOUT_S: Final = 5
STOP_TIMEOUT_S: Final = 10
MOST_CONNECTIONS: Final = 512
MAX_HEAD_BYTES: Final = 16 * 1024
BACKLOG: Final = 128


def listen(host: str, port: int, *, insecure: bool = False) -> socket.socket:
    """A socket that listens at an address of this machine; port 0 takes a free one.

    An address that others can reach needs `insecure`, since nothing is encrypted. Raises InvalidData, StorageError.
    """
    with guarded(f"listening on {host}, port {port}"):
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (socket.gaierror, UnicodeError, OverflowError) as error:
            raise InvalidData(f"{host}, port {port}, is no address of this machine: {error}.") from None
        family, _, _, _, address = found[0]
        if not insecure and not ip_address(str(address[0]).partition("%")[0]).is_loopback:
            raise InvalidData(
                f"{host} can be reached by others, and nothing here is encrypted. Let a proxy with TLS stand before "
                "a loopback address, or give --insecure-public."
            )
        listening = socket.create_server(address[:2], family=family, backlog=BACKLOG)
        listening.setblocking(False)
        return listening


def url_of(listening: socket.socket) -> str:
    """The URL under which the socket is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(witness: Witness, listening: socket.socket, on_ready: Callable[[str], None]) -> None:
    """Serve until the process is interrupted or told to end; what was begun is finished. Raises DatabaseLocked."""
    lock = witness.lock()
    try:
        server = Server(_config(witness))

        def stop(_signal: int, _frame: FrameType | None) -> None:
            server.should_exit = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with closing(listening):
                on_ready(url_of(listening))
                server.run([listening])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    finally:
        witness.unlock(lock)


def _config(witness: Witness) -> Config:
    return Config(
        application(witness),
        http=_Impatient,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=IDLE_TIMEOUT_S,
        timeout_graceful_shutdown=STOP_TIMEOUT_S,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
    )


class _Impatient(H11Protocol):
    """The server's protocol with what it lacks: a time-out for the head of a request."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle
        if not cycle or cycle.response_complete:
            self._wait()
        elif self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        super().connection_lost(exc)

    def _wait(self) -> None:
        """Hang up on who has not sent a whole head by then; it does not help to send a little."""
        if self._waiting is None:
            self._waiting = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)
