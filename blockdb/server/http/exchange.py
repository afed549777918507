"""One request over ASGI and its answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from blockdb.errors import InvalidData, RequestTooLarge
from blockdb.server.http.answering import EVENTS, LINES, Headers, headers_of
from blockdb.server.http.reading import MSGPACK
from blockdb.server.peer import client_name
from blockdb.serving.repeating import AGAIN, Again

__all__ = ["Disconnected", "Exchange", "Receive", "Send"]

Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

_MSGPACK: Final = MSGPACK.encode()
_BODY_TYPES: Final = ("application/json", "application/x-ndjson", MSGPACK, "text/plain", "")


class Disconnected(Exception):
    """Whoever asked has gone: nobody reads an answer."""


class Exchange:
    """A request, whose body may be on its way, and the answer to it."""

    def __init__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self.method: str = scope["method"]
        self.query_string: bytes = scope["query_string"]
        self.raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        self.request_id = ""
        self.further: Headers = []
        """Headers that every answer to it has besides."""
        self.received_bytes = 0
        """What was read of its body."""
        self.sent_bytes = 0
        """What was sent of the answer's."""
        self.is_begun = False
        self.is_abandoned = False
        """Whether nobody waits for the answer any more."""
        length = self._headers.get(b"content-length", b"0")
        self.is_read = length == b"0" and b"transfer-encoding" not in self._headers
        """Whether all of it was read."""
        self.wants_msgpack = _MSGPACK in self._headers.get(b"accept", b"")

    @property
    def path(self) -> str:
        """The path, decoded; what is not printable is shown as escapes."""
        shown = unquote(self.raw_path.decode("ascii", "backslashreplace"))
        return shown if shown.isprintable() else shown.encode("unicode_escape").decode()

    @property
    def peer(self) -> str:
        """Where it comes from."""
        client = self._scope.get("client")
        return "" if client is None else f"{client[0]}:{client[1]}"

    @property
    def certificate(self) -> str | None:
        """The common name in the certificate of the client, where it has shown one that was asked for."""
        connection = self._scope.get("state", {}).get("tls")
        return None if connection is None else client_name(connection)

    def header(self, name: bytes) -> str | None:
        """A header, by its name in small letters."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    def remember(self, again: Again) -> None:
        """Have requests with the same head on the same connection answered so, where there is a connection."""
        remember = self._scope.get("extensions", {}).get(AGAIN)
        if remember is not None:
            remember(again)

    @property
    def has_msgpack(self) -> bool:
        """Whether its body is MessagePack and not JSON. Raises InvalidData where it is neither."""
        if self._headers.get(b"content-type") == _MSGPACK:
            return True
        content_type = (self.header(b"content-type") or "").partition(";")[0].strip().lower()
        if content_type not in _BODY_TYPES and not content_type.endswith(("+json", "x-www-form-urlencoded")):
            raise InvalidData(f"A body of type {content_type!r} is not understood: send application/json.")
        return content_type == MSGPACK

    @property
    def stream_type(self) -> bytes:
        """How a stream of answers is to be written: as MessagePack, as server-sent events, or as lines of JSON."""
        if self.wants_msgpack:
            return MSGPACK.encode()
        return EVENTS if EVENTS in self._headers.get(b"accept", b"") else LINES

    # The body.

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises Disconnected."""
        while True:
            if piece := await self._piece():
                yield piece
            if self.is_read:
                return

    async def _piece(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.is_abandoned = True
            raise Disconnected
        piece: bytes = message.get("body", b"")
        self.received_bytes += len(piece)
        self.is_read = not message.get("more_body", False)
        return piece

    async def body(self, most_bytes: int) -> bytes:
        """The whole body. Raises RequestTooLarge as soon as it is, Disconnected."""
        length = self._headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > most_bytes:
            raise RequestTooLarge(_too_large(most_bytes))
        parts = [await self._piece()]
        size = len(parts[0])
        while size <= most_bytes and not self.is_read:
            parts.append(await self._piece())
            size += len(parts[-1])
        if size > most_bytes:
            raise RequestTooLarge(_too_large(most_bytes))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def until_gone(self, then: Callable[[], None] | None = None) -> None:
        """Wait until whoever asked has gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.is_abandoned = True
        if then is not None:
            then()

    # The answer.

    async def begin(self, status: HTTPStatus, content_type: bytes, further: Headers | None = None) -> None:
        """Send the head."""
        self.is_begun = True
        headers = headers_of(content_type, self.request_id) + self.further
        headers += further or ()
        await self._send({"type": "http.response.start", "status": int(status), "headers": headers})

    async def send_piece(self, piece: bytes) -> None:
        """Send a piece of the body."""
        self.sent_bytes += len(piece)
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self, last: bytes = b"") -> None:
        """Send the last piece."""
        self.sent_bytes += len(last)
        await self._send({"type": "http.response.body", "body": last})

    async def send(self, status: HTTPStatus, content_type: bytes, body: bytes, further: Headers | None = None) -> None:
        """Send the whole answer."""
        await self.begin(status, content_type, [(b"content-length", b"%d" % len(body)), *(further or [])])
        await self.end(b"" if self.method == "HEAD" else body)


def _too_large(most_bytes: int) -> str:
    return f"The request has more than {most_bytes:,} bytes (`max_body_bytes`). Send it in parts."
