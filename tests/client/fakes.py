"""Servers that do as a test says, byte for byte, and none of what they should."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread

Behaviour = Callable[["Visit"], None]
"""What is done with one request; the connection stays open if it returns, and is closed if it raises OSError."""

TYPE = "content-type: application/msgpack\r\n"


@dataclass
class Visit:
    """A request that came in."""

    connection: socket.socket
    head: str
    body: bytes
    number: int
    """Of all that came to this server, from 0."""
    over: Event

    def say(self, data: bytes | str) -> None:
        self.connection.sendall(data.encode() if isinstance(data, str) else data)

    def answer(self, body: bytes = b"ok", status: str = "200 OK", headers: str = TYPE) -> None:
        self.say(f"HTTP/1.1 {status}\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body)

    def hang_up(self) -> None:
        raise OSError

    def wait(self) -> None:
        """Be silent until the test is over."""
        self.over.wait(30)


@dataclass
class Fake:
    """A server that is up, and what it was sent."""

    url: str
    visits: list[Visit] = field(default_factory=list)


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Fake]:
    """A server on a free port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    fake, over, open_ = Fake(f"http://127.0.0.1:{listener.getsockname()[1]}"), Event(), list[socket.socket]()

    def attend(connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection:
            while (visit := _next(connection, len(fake.visits), over)) is not None:
                fake.visits.append(visit)
                behaviour(visit)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(30)
                open_.append(connection)
                Thread(target=attend, args=(connection,), daemon=True).start()

    thread = Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in open_:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join()


def _next(connection: socket.socket, number: int, over: Event) -> Visit | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    text = head.decode("latin-1").lower()
    length = int(text.partition("content-length: ")[2].partition("\r\n")[0] or 0)
    while len(body) < length:
        body += connection.recv(65536)
    return Visit(connection, head.decode("latin-1"), body, number, over)


def free_address() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
