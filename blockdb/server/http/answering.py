"""From answers and errors to what goes over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec

from blockdb.errors import RateLimited, RequestTimeout, Unauthenticated
from blockdb.server.http.reading import MSGPACK
from blockdb.wire.failures import Failure, failure_of, short_message
from blockdb.wire.operation import Operation
from blockdb.wire.text import json_of

__all__ = [
    "EVENTS",
    "JSON",
    "LINES",
    "Headers",
    "body_of",
    "content_type_of",
    "error_body",
    "error_headers",
    "event_encoder",
    "headers_of",
    "too_late",
]

JSON: Final = b"application/json"
LINES: Final = b"application/x-ndjson"
EVENTS: Final = b"text/event-stream"

Headers = list[tuple[bytes, bytes]]

_MSGPACK: Final = MSGPACK.encode()
_FOR_BROWSERS: Final = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
"""Which no browser shows or keeps, where it is MessagePack."""

_JSON_KINDS: Final = {"KeyNotFound": "NotFound"}
"""What errors are called in JSON, where that is another name."""


def body_of(operation: Operation, answer: Any, is_msgpack: bool, encoding: str | None) -> bytes:
    """The body of an answer. Raises InvalidData where it cannot be written in the encoding that was asked for."""
    if is_msgpack:
        return msgspec.msgpack.encode(answer)
    written = json_of(answer, encoding)
    return msgspec.json.encode(written if operation.is_plain else {"success": True, **written})


def headers_of(content_type: bytes, request_id: str) -> Headers:
    """The headers that every answer has."""
    headers = [(b"content-type", content_type), (b"x-request-id", request_id.encode())]
    return headers if content_type == _MSGPACK else headers + _FOR_BROWSERS


def content_type_of(is_msgpack: bool) -> bytes:
    """What a whole answer is said to be."""
    return _MSGPACK if is_msgpack else JSON


def error_body(error: BaseException, is_msgpack: bool) -> tuple[Failure, bytes]:
    """An error as it is told, and its body."""
    failure = failure_of(error)
    if is_msgpack:
        return failure, msgspec.msgpack.encode(failure)
    kind = _JSON_KINDS.get(failure.kind, failure.kind)
    return failure, msgspec.json.encode({"success": False, "error": kind, "message": short_message(error)})


def error_headers(error: BaseException, status: HTTPStatus) -> Headers:
    """Headers that belong to an error."""
    if isinstance(error, Unauthenticated):
        return [(b"www-authenticate", b'Bearer realm="blockdb"')]
    if isinstance(error, RateLimited):
        return [(b"retry-after", str(max(1, round(error.retry_after_s))).encode())]
    return [(b"retry-after", b"1")] if status is HTTPStatus.SERVICE_UNAVAILABLE else []


def too_late(limit_s: float | None) -> RequestTimeout:
    """The answer to what takes too long."""
    return RequestTimeout(
        f"It took longer than {limit_s:g} s (`request_timeout`). Whether it was done is not known here."
    )


def event_encoder(content_type: bytes, encoding: str | None) -> Callable[[Any], bytes]:
    """How each answer of a stream is written; errors, which end it, as what they are."""
    if content_type == _MSGPACK:
        return _frame
    if content_type == EVENTS:
        return lambda answer: _event(answer, encoding)
    return lambda answer: msgspec.json.encode(_json(answer, encoding)) + b"\n"


def _frame(answer: Any) -> bytes:
    """Four bytes that say how long it is, then `[true, answer]`, or `[false, failure]`."""
    told = [False, failure_of(answer)] if isinstance(answer, BaseException) else [True, answer]
    data = msgspec.msgpack.encode(told)
    return len(data).to_bytes(4, "big") + data


def _event(answer: Any, encoding: str | None) -> bytes:
    """A server-sent event; where to go on after, if it says so, is its id."""
    name = b"error" if isinstance(answer, BaseException) else type(answer).__name__.lower().encode()
    place = getattr(answer, "place", None)
    id_ = b"" if place is None else b"id: %s\n" % str(place).encode()
    return b"%sevent: %s\ndata: %s\n\n" % (id_, name, msgspec.json.encode(_json(answer, encoding)))


def _json(answer: Any, encoding: str | None) -> dict[str, Any]:
    if isinstance(answer, BaseException):
        return {"success": False, "error": failure_of(answer).kind, "message": short_message(answer)}
    return json_of(answer, encoding)
