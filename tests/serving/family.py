"""A small application, served in a thread of this process, and clients who say just what they like."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Any

from blockdb.serving.limits import Limits
from blockdb.serving.listening import listen
from blockdb.serving.process import Server, loop_factory

Application = Callable[[Any, Any, Any], Awaitable[None]]


@contextmanager
def served(
    application: Application, limits: Limits | None = None, **more: Any
) -> Iterator[tuple[Server, tuple[str, int]]]:
    """The server and its address, until the block ends; then what was begun is finished."""
    found = SimpleQueue[Server]()

    async def serve(listening: socket.socket) -> None:
        server = Server(application, [listening], limits or Limits(), **more)
        await server.serve(lambda: found.put(server))

    def work(listening: socket.socket) -> None:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            loops.put(runner.get_loop())
            runner.run(serve(listening))

    loops = SimpleQueue[asyncio.AbstractEventLoop]()
    with listen("127.0.0.1", 0) as listening:
        address = listening.getsockname()
        thread = Thread(target=work, args=(listening,))
        thread.start()
        loop, server = loops.get(timeout=60), found.get(timeout=60)
        try:
            yield server, address
        finally:
            loop.call_soon_threadsafe(server.stop)
            thread.join(30)
            assert not thread.is_alive()


@contextmanager
def connected(address: tuple[str, int]) -> Iterator[socket.socket]:
    """A connection that gives up after twenty seconds."""
    with socket.create_connection(address, timeout=20) as connection:
        yield connection


def said(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    pieces = []
    try:
        while piece := connection.recv(65_536):
            pieces.append(piece)
    except ConnectionError:
        pass
    return b"".join(pieces)


def answers(address: tuple[str, int], words: bytes) -> bytes:
    """All that is answered to these bytes until the other side closes."""
    with connected(address) as connection:
        connection.sendall(words)
        return said(connection)


def statuses(answer: bytes) -> list[int]:
    """The statuses of the answers, one after the other."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
