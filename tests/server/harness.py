"""A server in this process, on a real socket of a free port, and the shortest way to ask it something."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from blockdb import Database
from blockdb.server.http.application import Application, Options
from blockdb.server.service import Service


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    """A server that runs."""

    url: str
    service: Service
    application: Application

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request on a connection of its own; a body that is no bytes goes as JSON."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()


@contextmanager
def running(database: Database, options: Options | None = None, service: Service | None = None) -> Iterator[Served]:
    """Serve a database until the end of the block."""
    service = service or Service(database)
    application = Application(service, options)
    config = uvicorn.Config(application, lifespan="off", log_config=None, access_log=False, ws="none")
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    host, port = listening.getsockname()[:2]
    try:
        yield Served(f"http://{host}:{port}", service, application)
    finally:
        service.close()
        server.should_exit = True
        thread.join(20)
        application.close()
        listening.close()
