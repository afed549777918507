"""From an operation to what goes over HTTP, and from what comes back to its answer or its error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from os import urandom
from typing import Any, Final
from urllib.parse import quote

import msgspec

from blockdb.client.exchange import Asked, Reply
from blockdb.client.plans.plan import Ask
from blockdb.errors import BlockDBError, Unavailable
from blockdb.wire.failures import Failure, error_of
from blockdb.wire.operation import Kind, Message, Operation
from blockdb.wire.table import BY_NAME

__all__ = ["Frames", "answer_of", "asked_of", "chance"]

MSGPACK: Final = "application/msgpack"
JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"
CALL: Final = "/api/v1/call/"
"""Where any operation is asked for with all of its request in the body."""
MAX_TARGET_BYTES: Final = 4_000
"""Longer paths and queries do not fit into the headers that a server takes."""
LENGTH_BYTES: Final = 4

HEADERS: Final = (("accept", MSGPACK), ("user-agent", "blockdb-client"))
WITH_BODY: Final = (*HEADERS, ("content-type", MSGPACK))
READS: Final = frozenset(
    (
        "audit", "audit_collection", "begin", "check_anchors", "count", "explain", "find", "transaction_exists",
        "transaction_find", "transaction_get", "transaction_put", "transaction_scan",
    )
)  # fmt: skip
"""What leaves nothing behind, though it is asked for with POST."""
CHATTY: Final = frozenset(("cluster_events", "watch"))
"""Streams that say now and then that they are alive."""


def chance() -> str:
    """A key that no other request has."""
    return urandom(16).hex()


def asked_of(ask: Ask, key_of: Callable[[], str] = chance) -> Asked:
    """How something is asked for over HTTP. What changes something has a key under which it is done only once."""
    operation = BY_NAME[ask.operation]
    method, target, body = _written(operation, ask.request)
    changes = operation.method != "GET"
    return Asked(
        method,
        target,
        HEADERS if body is None else WITH_BODY,
        body,
        key_of() if changes else None,
        is_write=changes and operation.name not in READS,
        is_long=operation.is_long,
        is_packable=operation.kind is Kind.PLAIN,
        may_be_silent=operation.is_long and operation.name not in CHATTY,
        accept=(MSGPACK, JSON, BYTES) if operation.kind is Kind.BYTES else (MSGPACK, JSON),
    )


def _written(operation: Operation, request: Message) -> tuple[str, str, bytes | None]:
    """Method, target and body. What is quick has the same target each time, so that a server knows its head."""
    if operation.is_quick:
        return "POST", CALL + operation.name, msgspec.msgpack.encode(request)
    target = "/".join(
        _quoted(getattr(request, part[1:-1])) if part.startswith("{") else part for part in operation.path.split("/")
    )
    others = [name for name in request.__struct_fields__ if name not in operation.parameters]
    given = {name: value for name in others if (value := getattr(request, name)) is not None}
    if operation.has_body:
        body = msgspec.msgpack.encode(given) if len(target) <= MAX_TARGET_BYTES else None
    else:
        query = "&".join(f"{name}={_quoted(value)}" for name, value in given.items())
        target, body = f"{target}?{query}" if query else target, None
    if len(target) <= MAX_TARGET_BYTES:
        return operation.method, target, body
    return "POST", CALL + operation.name, msgspec.msgpack.encode(request)


def _quoted(value: Any) -> str:
    """A value as it stands in a path or a query."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        value = ",".join(value)
    found = quote(value if isinstance(value, bytes) else str(value), safe="")
    return found.replace(".", "%2E") if found in (".", "..") else found


def answer_of(ask: Ask, reply: Reply) -> Any:
    """The answer. Raises what the server says went wrong, and Unavailable for what can be no answer."""
    if not 200 <= reply.status < 300:
        raise error_of(_failure_in(reply))
    operation = BY_NAME[ask.operation]
    if operation.kind is Kind.BYTES:
        return reply.body
    try:
        if reply.content_type == MSGPACK:
            return _decoder(operation.name).decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, BlockDBError):
        pass
    raise _senseless(operation.name)


@cache
def _decoder(name: str) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(BY_NAME[name].answer)


_FAILURE: Final = msgspec.msgpack.Decoder(Failure)
_FRAME: Final = msgspec.msgpack.Decoder(tuple[bool, msgspec.Raw])


class _Told(msgspec.Struct):
    """An error in JSON."""

    error: str = ""
    message: str = ""


def _failure_in(reply: Reply) -> Failure:
    try:
        if reply.content_type == MSGPACK:
            return _FAILURE.decode(reply.body)
        told = msgspec.json.decode(reply.body, type=_Told)
        return Failure(kind=told.error, message=told.message, arguments=[told.message])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Failure(kind=f"status {reply.status}", message="it does not say why.", arguments=[])


def _senseless(name: str) -> Unavailable:
    return Unavailable(
        f"The server's answer to {name!r} cannot be understood: it is of another version, or no BlockDB server."
    )


class Frames:
    """The answers in a stream, taken from its bytes as they come: each has its length before it."""

    def __init__(self, operation: str, max_bytes: int) -> None:
        self._name = operation
        self._max_bytes = max_bytes
        self._rest = bytearray()

    def take(self, data: bytes) -> Iterator[Any]:
        """The answers that are complete now. Raises what the server says went wrong, and Unavailable."""
        self._rest += data
        at = 0
        while len(self._rest) - at >= LENGTH_BYTES:
            end = at + LENGTH_BYTES + int.from_bytes(self._rest[at : at + LENGTH_BYTES], "big")
            if end - at > self._max_bytes:
                raise _senseless(self._name)
            if end > len(self._rest):
                break
            yield self._answer(bytes(self._rest[at + LENGTH_BYTES : end]))
            at = end
        del self._rest[:at]

    def _answer(self, data: bytes) -> Any:
        try:
            is_good, told = _FRAME.decode(data)
            if is_good:
                return _decoder(self._name).decode(told)
            failure = _FAILURE.decode(told)
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise _senseless(self._name) from None
        raise error_of(failure)
