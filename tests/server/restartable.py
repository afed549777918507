"""A server in this process that goes down with all its connections, and comes back at the same address."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import uvicorn

import blockdb
from blockdb.server.http.application import Application
from blockdb.server.service import Service
from tests.ports import free_port

__all__ = ["Restartable"]


class Restartable:
    """A server of a database on one port that can go down, with all its connections, and come back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.database: blockdb.Database | None = None
        self._stack = ExitStack()

    def up(self) -> blockdb.Database:
        database = self.database = self._stack.enter_context(blockdb.open(self._path))
        service = Service(database)
        application = Application(service)
        listening = socket.create_server(("127.0.0.1", self._port))
        config = uvicorn.Config(application, lifespan="off", log_config=None, access_log=False, ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()

        def stop() -> None:
            service.close()
            server.should_exit = server.force_exit = True
            thread.join(20)
            application.close()
            listening.close()

        self._stack.callback(stop)
        return database

    def down(self) -> None:
        self._stack.close()
