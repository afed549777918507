"""What a node answers before there is anything to ask it: that the cluster is not formed yet, and what to do."""

from __future__ import annotations

import selectors
import socket
import ssl
from collections.abc import Sequence
from threading import Thread
from types import TracebackType
from typing import Final, Self

import msgspec

__all__ = ["Forming"]

WORDS: Final = (
    "This node has no database yet: it waits for the other nodes with which it forms the cluster, or for a copy from "
    "those that it joins. Start them, and see that they reach each other; the log of this node says which ones."
)
PATIENCE_S: Final = 1.0
"""How long it is waited for the head of a request; only its first line matters."""
MOST_BYTES: Final = 16 * 1024
LIVE: Final = b"GET /health/live "


class Forming:
    """Answers on listening sockets, until the block ends and somebody else takes them over."""

    def __init__(self, sockets: Sequence[socket.socket], context: ssl.SSLContext | None) -> None:
        """`context` is that of TLS; None: there is none."""
        self._sockets = sockets
        self._context = context
        self._words = WORDS
        self._stop, self._stopped = socket.socketpair()
        self._thread = Thread(target=self._run, name="blockdb-forming", daemon=True)

    def say(self, words: str) -> None:
        """Have this answered from now on."""
        self._words = words

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.close()
        self._thread.join()
        self._stopped.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._stopped, selectors.EVENT_READ)
            for each in self._sockets:
                each.setblocking(False)
                selector.register(each, selectors.EVENT_READ)
            while all(key.fileobj is not self._stopped and self._accept(key.fileobj) for key, _ in selector.select()):
                pass

    def _accept(self, listening: object) -> bool:
        """Answer who is there; True, so that it goes on."""
        assert isinstance(listening, socket.socket), "nothing else was registered"
        try:
            connection, _ = listening.accept()
            connection.settimeout(PATIENCE_S)
            with connection, self._secured(connection) as secured:
                secured.sendall(_answer(secured.recv(MOST_BYTES), self._words))
        except OSError:  # they have gone, or say nothing
            pass
        return True

    def _secured(self, connection: socket.socket) -> socket.socket:
        """What is spoken through. Raises OSError where the other side does not speak TLS, or not in time."""
        return connection if self._context is None else self._context.wrap_socket(connection, server_side=True)


def _answer(head: bytes, words: str) -> bytes:
    if head.startswith(LIVE):
        return _response(b"200 OK", {"status": "live"})
    told = {"success": False, "error": "Unavailable", "message": words}
    return _response(b"503 Service Unavailable\r\nretry-after: 1", told)


def _response(status: bytes, told: dict[str, object]) -> bytes:
    body = msgspec.json.encode(told)
    fixed = b"content-type: application/json\r\ncache-control: no-store\r\nconnection: close"
    return b"HTTP/1.1 %s\r\n%s\r\ncontent-length: %d\r\n\r\n%s" % (status, fixed, len(body), body)
