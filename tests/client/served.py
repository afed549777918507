"""A database behind a server in this process, on a free port of this machine."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
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
def served(
    database: blockdb.Database, *, port: int = 0, authenticator: Any = None, tls: Path | None = None, **options: Any
) -> Iterator[Served]:
    """Serve a database; `tls` is a directory with certificates, of which clients have to show one, too."""
    service = Service(database, authenticator)
    inner = Application(service, Options(**options))
    listener = socket.create_server(("127.0.0.1", port))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited; asyncio forgets it for such sockets
    config = uvicorn.Config(
        inner, log_level="critical", lifespan="off", timeout_graceful_shutdown=2, **_tls_options(tls)
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]

    async def run() -> None:
        await server.serve(sockets=[listener])

    thread = Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    try:
        scheme = "http" if tls is None else "https"
        yield Served(database, service, inner, f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        service.close()
        server.should_exit = True
        thread.join(20)
        inner.close()
        listener.close()


def _tls_options(tls: Path | None) -> dict[str, Any]:
    if tls is None:
        return {}
    files = {"ssl_certfile": "server.crt", "ssl_keyfile": "server.key", "ssl_ca_certs": "ca.crt"}
    return {**{option: str(tls / name) for option, name in files.items()}, "ssl_cert_reqs": ssl.CERT_REQUIRED}
