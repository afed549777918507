"""What a request over HTTP goes through before it is looked at: whom it was for, from which page, in which encoding.

A web page can have its visitor's browser ask servers that only the visitor can reach. Two checks keep it from that: the
name under which the server is asked for has to be one of its own (a page cannot lead a name of its own to this address,
DNS rebinding), and what comes from a page of another origin is refused unless that origin is let in (CORS).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final, TypeAlias

from blockdb.config import ServerConfig
from blockdb.server.http.encodings import Inflater, chosen, deflater, inflater
from blockdb.server.http.exchange import Receive, Send

__all__ = ["Gate"]

Message: TypeAlias = dict[str, Any]
Application: TypeAlias = Callable[[Any, Receive, Send], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

LEAST_COMPRESSED_BYTES: Final = 1024
IN_A_THREAD_BYTES: Final = 64 * 1024
"""More is not compressed or inflated on the event loop, where others would wait for it."""
MOST_NAMES: Final = 1000
READING: Final = ("GET", "HEAD", "OPTIONS")
_LOOPBACK: Final = frozenset({b"localhost", b"localhost.", b"ip6-localhost"})
_PACKED: Final = (b"application/octet-stream", b"text/event-stream")
"""Answers that are not compressed: packed already, or to be read as they come."""
_PREFLIGHT: Final[Headers] = [
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
    (b"access-control-allow-headers", b"authorization, content-type, idempotency-key, last-event-id, x-request-id"),
    (b"access-control-max-age", b"600"),
]


class Gate:
    """An ASGI application around another one."""

    def __init__(
        self,
        application: Application,
        config: ServerConfig,
        is_authenticated: Callable[[], bool],
        *,
        has_tls: bool = False,
    ) -> None:
        """`is_authenticated` tells whether each request has to show a token.

        With TLS every name is good: a browser goes no further where the certificate has another one.
        """
        self._application = application
        self._always = {b"*"} if has_tls else set[bytes]()
        self._is_authenticated = is_authenticated
        self.take_over(config)

    def take_over(self, config: ServerConfig) -> None:
        """Let in what these settings let in from now on."""
        self._config = config
        self._names = (
            {name.lower().encode() for name in (config.host, *config.allowed_hosts)} | _LOOPBACK | self._always
        )
        self._known_hosts = set[bytes]()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = scope["headers"]
        given = dict(headers)
        host, origin = given.get(b"host"), given.get(b"origin")
        if host not in self._known_hosts or origin is not None or len(given) != len(headers):
            if refusal := self._refusal(scope, host, origin):
                await _refuse(send, *refusal)
                return
            if origin is not None:
                further = self._cors(origin)
                if scope["method"] == "OPTIONS" and further:
                    await _answer(send, HTTPStatus.NO_CONTENT, b"", [*further, *_PREFLIGHT])
                    return
                send = _with_headers(send, further)
                scope.pop("extensions", None)  # what comes again would go past this
        accepted = given.get(b"accept-encoding")
        if accepted is not None and self._config.enable_compression and (name := _chosen(accepted)):
            send = _Compressed(send, name)
        encoding = given.get(b"content-encoding")
        if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
            receive = _Inflated(receive, encoding, self._config.max_body_bytes)
            scope.pop("extensions", None)
        await self._application(scope, receive, send)

    def _refusal(self, scope: Any, host: bytes | None, origin: bytes | None) -> tuple[HTTPStatus, str, str] | None:
        """Why a request goes no further."""
        hosts = sum(name == b"host" for name, _ in scope["headers"])
        if hosts != 1 and not (scope["http_version"] == "1.0" and not hosts):
            return HTTPStatus.BAD_REQUEST, "InvalidData", "A request has one Host header."
        if host is not None and host not in self._known_hosts and not self._is_own(host):
            words = f"This is not the server {_shown(host)}. If it is, add the name to `allowed_hosts` in [server]."
            return HTTPStatus.MISDIRECTED_REQUEST, "Forbidden", words
        is_same = origin == scope["scheme"].encode() + b"://" + (host or b"")
        if origin is None or scope["method"] in READING or is_same or self._cors(origin):
            return None
        words = f"Pages of {_shown(origin)} may not do this. `enable_cors` and `cors_origins` in [server] let them."
        return HTTPStatus.FORBIDDEN, "Forbidden", words

    def _is_own(self, host: bytes) -> bool:
        """Whether the server is called so. An address cannot be led elsewhere, so every one is taken."""
        name = host.rpartition(b":")[0] if host.rpartition(b":")[2].isdigit() and not host.endswith(b"]") else host
        if b"*" not in self._names and name.lower() not in self._names and not _is_address(name.strip(b"[]")):
            return False
        if len(self._known_hosts) < MOST_NAMES:
            self._known_hosts.add(host)
        return True

    def _cors(self, origin: bytes) -> Headers:
        """What tells a browser that pages of this origin may see the answer; nothing where they may not.

        Never that it may send credentials of its own: a token stands in a header that the page itself sets.
        """
        config = self._config
        if not config.enable_cors:
            return []
        if "*" in config.cors_origins or (not config.cors_origins and self._is_authenticated()):
            allowed = b"*"
        elif origin.decode("latin-1") in config.cors_origins:
            allowed = origin
        else:
            return []
        return [
            (b"access-control-allow-origin", allowed),
            (b"access-control-expose-headers", b"x-request-id, retry-after"),
            (b"vary", b"origin"),
        ]


@lru_cache(MOST_NAMES)
def _chosen(accepted: bytes) -> bytes | None:
    return chosen(accepted)


def _is_address(name: bytes) -> bool:
    try:
        ip_address(name.decode("ascii"))
    except ValueError:
        return False
    return True


def _shown(data: bytes) -> str:
    return repr(data[:100].decode("latin-1"))


async def _refuse(send: Send, status: HTTPStatus, kind: str, message: str) -> None:
    body = json.dumps({"success": False, "error": kind, "message": message}).encode()
    await _answer(send, status, body, [(b"content-type", b"application/json"), (b"connection", b"close")])


async def _answer(send: Send, status: HTTPStatus, body: bytes, headers: Headers) -> None:
    length = [(b"content-length", b"%d" % len(body))] if body else []
    await send({"type": "http.response.start", "status": int(status), "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send, further: Headers) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *(further or [(b"vary", b"origin")])]
        await send(message)

    return sending


class _Inflated:
    """Gives a body decompressed."""

    def __init__(self, receive: Receive, encoding: bytes, most_bytes: int) -> None:
        self._receive = receive
        self._encoding = encoding
        self._inflater: Inflater | None = None
        self._most_bytes = most_bytes

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        piece, is_last = message.get("body", b""), not message.get("more_body", False)
        inflating = self._inflater = self._inflater or inflater(self._encoding.decode("latin-1"))
        if len(piece) > IN_A_THREAD_BYTES:
            body = await asyncio.to_thread(inflating.feed, piece, self._most_bytes)
        else:
            body = inflating.feed(piece, self._most_bytes)
        if is_last:
            inflating.end()
        return {"type": "http.request", "body": body, "more_body": not is_last}


class _Compressed:
    """Sends an answer compressed, if it is long enough, or goes on."""

    __slots__ = ("_deflating", "_name", "_send", "_start")

    def __init__(self, send: Send, name: bytes) -> None:
        self._send = send
        self._name = name
        self._start: Message | None = None
        self._deflating: Any = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if any(name == b"content-length" for name, _ in message["headers"]):
                self._start = message  # until it is known how long the answer is
            else:  # a stream, of which perhaps nothing comes for a while
                await self._send(self._begun(message))
            return
        if self._start is not None:
            start, self._start = self._start, None
            if len(message.get("body", b"")) >= LEAST_COMPRESSED_BYTES:
                start = self._begun(start)
            await self._send(start)
        if self._deflating is not None:
            message = {**message, "body": await self._deflated(message)}
        await self._send(message)

    def _begun(self, start: Message) -> Message:
        """The head of an answer that goes compressed, unless it is packed already."""
        if _is_packed(start):
            return start
        self._deflating = deflater(self._name)
        headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        return {**start, "headers": [*headers, (b"vary", b"accept-encoding"), (b"content-encoding", self._name)]}

    async def _deflated(self, message: Message) -> bytes:
        body, is_last = message.get("body", b""), not message.get("more_body", False)
        if len(body) > IN_A_THREAD_BYTES:
            return await asyncio.to_thread(self._packed, body, is_last)
        return self._packed(body, is_last)

    def _packed(self, body: bytes, is_last: bool) -> bytes:
        """What has come is sent at once, and not kept until more has."""
        found: bytes = self._deflating.compress(body)
        if is_last:
            return found + bytes(self._deflating.flush())
        return found + bytes(self._deflating.flush(1 if self._name == b"zstd" else 2))


def _is_packed(start: Message) -> bool:
    """Whether an answer is to go as it is."""
    status: int = start["status"]
    if status < 200 or status in (204, 304):
        return True
    for name, value in start["headers"]:
        if name in (b"content-encoding", b"content-range", b"etag") or (name == b"content-type" and value in _PACKED):
            return True
    return False
