"""From what came over HTTP to the request that it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final, get_type_hints
from urllib.parse import unquote_to_bytes

import msgspec

from blockdb.errors import InvalidData
from blockdb.wire.messages.records import Item
from blockdb.wire.operation import Message, Operation
from blockdb.wire.text import ENCODINGS, message_of, twin

__all__ = ["MSGPACK", "asked_encoding", "called_of", "going_on", "item_of", "query_of", "reader_of", "request_of"]

MSGPACK: Final = "application/msgpack"


def query_of(raw: bytes) -> dict[str, bytes]:
    """The parameters of a query, percent-decoded. Raises InvalidData for one that is there twice, or is none."""
    found: dict[str, bytes] = {}
    for part in raw.split(b"&") if raw else ():
        name, _, value = part.partition(b"=")
        key = unquote_to_bytes(name).decode("utf-8", "replace")
        if not key or key in found:
            raise InvalidData(f"The query has {'no name for a value' if not key else f'{key!r} twice'}.")
        found[key] = unquote_to_bytes(value.replace(b"+", b" "))
    return found


def going_on(query: dict[str, bytes], last: str) -> dict[str, bytes]:
    """The query of a change stream that goes on after an event that was had, of which the id is given."""
    place = "token" if "." in last else "after"
    return {name: value for name, value in query.items() if name not in ("after", "token")} | {place: last.encode()}


def asked_encoding(query: dict[str, bytes]) -> str | None:
    """How keys and values are to be written in the answer, taken out of the query. Raises InvalidData."""
    asked = query.pop("encoding", None)
    if asked is None:
        return None
    encoding = asked.decode("utf-8", "replace")
    if encoding not in ENCODINGS:
        raise InvalidData(f"encoding: it should be one of {', '.join(ENCODINGS)}, not {encoding!r}.")
    return encoding


def request_of(
    operation: Operation, parameters: dict[str, bytes], query: dict[str, bytes], body: bytes, is_msgpack: bool
) -> Any:
    """The request. Raises InvalidData, which says what is wrong and where."""
    return reader_of(operation, parameters, query, is_msgpack)(body)


def reader_of(
    operation: Operation, parameters: dict[str, bytes], query: dict[str, bytes], is_msgpack: bool
) -> Callable[[bytes], Any]:
    """What makes requests of bodies, which raises InvalidData, as this does. It may be kept."""
    given = {name: _value(operation, name, value) for name, value in (parameters | query).items()}
    if not operation.has_body:
        return lambda _: _converted(operation.request, given)
    decode = _decoder(operation, frozenset(given), is_msgpack).decode
    nothing = b"\x80" if is_msgpack else b"{}"

    def request(body: bytes) -> Any:
        try:
            decoded = decode(body or nothing)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidData(f"The body is not as it should be: {error}.") from None
        if is_msgpack:
            return operation.request(**msgspec.structs.asdict(decoded), **given)
        return message_of(operation.request, decoded, given)

    return request


def called_of(operation: Operation, body: bytes) -> Any:
    """The request that stands as a whole in a body of MessagePack. Raises InvalidData."""
    try:
        return msgspec.msgpack.decode(body, type=operation.request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidData(f"The body is not as it should be: {error}.") from None


@cache
def _decoder(operation: Operation, given: frozenset[str], is_msgpack: bool) -> Any:
    if is_msgpack:
        return msgspec.msgpack.Decoder(_without(operation.request, given))
    return msgspec.json.Decoder(twin(operation.request, given))


def _without(message: type[Message], given: frozenset[str]) -> type[msgspec.Struct]:
    """The Struct less what is given elsewhere."""
    hints = get_type_hints(message)
    fields: list[Any] = [
        (each.name, hints[each.name], each.default)
        if each.default is not msgspec.NODEFAULT
        else (each.name, hints[each.name])
        for each in msgspec.structs.fields(message)
        if each.name not in given
    ]
    return msgspec.defstruct(message.__name__, fields, kw_only=True, forbid_unknown_fields=True)


@cache
def _hints(message: type[Message]) -> dict[str, Any]:
    return get_type_hints(message)


def _value(operation: Operation, name: str, value: bytes) -> Any:
    """A parameter of the path or the query as its type says: bytes as they are, all else from text."""
    hints = _hints(operation.request)
    if name not in hints:
        known = ", ".join(hints) or "none"
        raise InvalidData(f"There is no parameter {name!r}; {operation.name} has {known}, and encoding.")
    try:
        return _reader(operation.request, name)(value)
    except (msgspec.ValidationError, UnicodeDecodeError) as error:
        raise InvalidData(f"{name}: it is not what it should be: {error}.") from None


@cache
def _reader(message: type[Message], name: str) -> Callable[[bytes], Any]:
    """What makes of bytes what a field of a message has."""
    hint = _hints(message)[name]
    if hint in (bytes, bytes | None):
        return bytes
    if hint in (str, str | None):
        return bytes.decode
    if hint == list[str] | None:
        return lambda value: value.decode().split(",")
    return lambda value: msgspec.convert(value.decode(), hint, strict=False)


def _converted(message: type[Message], given: dict[str, Any]) -> Any:
    try:
        return message(**given)
    except TypeError as error:
        raise InvalidData(f"A parameter is missing: {str(error).partition(' ')[2]}.") from None


@cache
def _item_decoder() -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(twin(Item))


def item_of(line: bytes, number: int) -> Item:
    """The item of a line of JSON. Raises InvalidData, which names the line."""
    try:
        item: Item = message_of(Item, _item_decoder().decode(line), {})
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidData) as error:
        raise InvalidData(f"Line {number} is no record: {error}.") from None
    return item
