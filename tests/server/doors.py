"""The doors of a server, as somebody who asks sees them: JSON and MessagePack over HTTP, and gRPC."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import grpc
import msgspec

from blockdb.server.grpc.catalogue import SERVICE, catalogue
from blockdb.server.grpc.failing import KIND_KEY
from blockdb.wire.messages.plain import BatchOperation
from blockdb.wire.messages.records import Item
from blockdb.wire.operation import Kind, Message, Operation
from tests.server.asgi import Asker, path_of
from tests.server.matrix import OWN_KEY, What

TIMEOUT_S = 30

REQUIRED: dict[str, Any] = {
    "address": "127.0.0.1:1",
    "count": 1,
    "fields": ["a"],
    "first": 0,
    "id": "0123456789abcdef",
    "index": "i",
    "items": [],
    "key": OWN_KEY,
    "keys": [],
    "name": "new",
    "node_id": "n",
    "role": "reader",
    "secret_sha256": b"00" * 32,
    "token_id": "0123456789abcdef",
    "number": 0,
    "old_size": 0,
    "operations": [],
    "path": "checkpoint",
    "reason": "law",
    "schema": {},
    "sequence": 0,
    "since": "{}",
    "size": 0,
    "transaction": 1,
    "value": b"v",
}
"""What a request says besides what it touches, where it has to."""


def request_of(operation: Operation, what: What) -> Any:
    """The request of an operation that touches that."""
    given = dict(what.fields) if what.collection is None else {**what.fields, "collection": what.collection}
    keys = given.pop("keys", ())
    names = operation.request.__struct_fields__
    if "items" in names:
        given["items"] = [Item(key=key, value=b"v") for key in keys]
    elif "operations" in names:
        given["operations"] = [BatchOperation(type="put", key=key, value=b"v") for key in keys]
    elif "keys" in names:
        given["keys"] = list(keys)
    needed = {each.name for each in msgspec.structs.fields(operation.request) if each.required}
    return operation.request(**{name: REQUIRED[name] for name in needed - given.keys()}, **given)


class Door(Protocol):
    """A way to ask."""

    def ask(self, headers: Mapping[str, str], operation: Operation, request: Any) -> tuple[str, str]:
        """The kind of the error (empty: there was none), and all that was said."""


class Http:
    """HTTP with JSON or MessagePack."""

    def __init__(self, asker: Asker, is_msgpack: bool) -> None:
        self._asker = asker
        self._is_msgpack = is_msgpack

    def ask(self, headers: Mapping[str, str], operation: Operation, request: Message) -> tuple[str, str]:
        given = {name: getattr(request, name) for name in request.__struct_fields__}
        optional = {each.name: each.default for each in msgspec.structs.fields(type(request)) if not each.required}
        rest = {
            name: value
            for name, value in given.items()
            if name not in operation.parameters and (name not in optional or value != optional[name])
        }
        query: dict[str, Any] = {}
        if operation.kind is Kind.REQUESTS:
            items = rest.pop("items", [])
            query, body = rest, self._stream_of(items)
        elif operation.has_body:
            body = self._body_of(rest)
        else:
            query, body = rest, b""
        path = path_of(operation, {name: _text(given[name]) for name in operation.parameters})
        kind = "application/msgpack" if self._is_msgpack else "application/json"
        wanted = {**headers, "Accept": kind, "Content-Type": kind}
        status, answer = self._asker.ask(operation.method, path, {k: _text(v) for k, v in query.items()}, body, wanted)
        if status < 400:
            return "", answer.decode("utf-8", "replace")
        if self._is_msgpack:
            told = msgspec.msgpack.decode(answer)
            return told["kind"], str(told)
        return json.loads(answer)["error"], answer.decode()

    def _body_of(self, fields: dict[str, Any]) -> bytes:
        if self._is_msgpack:
            return msgspec.msgpack.encode(fields)
        return json.dumps(msgspec.to_builtins(fields, builtin_types=(bytes,)), default=bytes.decode).encode()

    def _stream_of(self, items: list[Item]) -> bytes:
        if self._is_msgpack:
            data = msgspec.msgpack.encode(items)
            return len(data).to_bytes(4, "big") + data
        return b"".join(self._body_of({"key": item.key, "value": item.value}) + b"\n" for item in items)


class Grpc:
    """gRPC, with messages as they are on the wire."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._names = {each.operation.name: each.method.name for each in catalogue().offers if not each.cursor_field}

    def ask(self, headers: Mapping[str, str], operation: Operation, request: Message) -> tuple[str, str]:
        data = catalogue().converter.to_message(request).SerializeToString()
        path = f"/{SERVICE}/{self._names[operation.name]}"
        metadata = [(name.lower(), value) for name, value in headers.items()]
        try:
            if operation.kind is Kind.REQUESTS:
                answer = self._channel.stream_unary(path)(iter([data]), metadata=metadata, timeout=TIMEOUT_S)
            elif operation.kind is Kind.PLAIN:
                answer = self._channel.unary_unary(path)(data, metadata=metadata, timeout=TIMEOUT_S)
            else:
                answers: Iterator[bytes] = self._channel.unary_stream(path)(data, metadata=metadata, timeout=TIMEOUT_S)
                answer = next(answers, b"")
        except grpc.RpcError as error:
            told = dict(error.trailing_metadata())
            return str(told.get(KIND_KEY)), f"{error.code()} {error.details()}"
        return "", str(answer)


def _text(value: Any) -> str | bytes:
    return value if isinstance(value, str | bytes) else str(value).lower()
