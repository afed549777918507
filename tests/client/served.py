"""A database behind a server in this process, on a free port of this machine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any

import uvicorn

import blockdb
from blockdb.server.http.application import Application, Options
from blockdb.server.service import Service


@dataclass
class Served:
    """A server that is up."""

    database: blockdb.Database
    service: Service
    application: Any
    url: str


@contextmanager
def served(database: blockdb.Database, wrap: Any = None, port: int = 0, **options: Any) -> Iterator[Served]:
    """Serve a database; `wrap` makes another application of the one that is served."""
    service = Service(database)
    inner = Application(service, Options(**options))
    listener = socket.create_server(("127.0.0.1", port))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited; asyncio forgets it for such sockets
    config = uvicorn.Config(
        inner if wrap is None else wrap(inner), log_level="critical", lifespan="off", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]

    async def run() -> None:
        await server.serve(sockets=[listener])

    thread = Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    try:
        yield Served(database, service, inner, f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        service.close()
        server.should_exit = True
        thread.join(20)
        inner.close()
        listener.close()
