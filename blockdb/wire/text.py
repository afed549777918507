"""Messages in JSON: their twins, in which bytes are text.

Bytes that people wrote (keys, values) stand as they are where they are UTF-8, or as base64; `encoding`, beside them,
says which, and with "json" a value is itself JSON. Hashes and signatures are hexadecimal digits. Twins are Structs of
their own, so that msgspec checks what comes in, and the documentation of the interface is drawn from them.
"""

from __future__ import annotations

import types
import typing
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from functools import cache, reduce
from operator import or_
from typing import Any, Final, Literal, TypeAlias, Union

import msgspec

from blockdb.errors import InvalidData

__all__ = ["ENCODINGS", "Encoding", "json_of", "message_of", "twin"]

Encoding: TypeAlias = Literal["utf8", "base64", "json"]
ENCODINGS: Final = ("utf8", "base64", "json")

TEXTS: Final = frozenset({"key", "keys", "value", "prefix", "start", "end"})
"""Fields whose bytes people wrote. Those of all others are hashes, signatures and the like."""


# ── types ────────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def twin(message: type, without: Collection[str] = (), title: str = "") -> type[msgspec.Struct]:
    """The Struct that a message is in JSON, less some fields. `message` is a Struct or a dataclass."""
    fields: list[tuple[str, Any, Any]] = []
    has_texts = False
    for name, hint, default in _fields_of(message):
        if name not in without:
            has_texts |= name in TEXTS and _has_bytes(hint)
            fields.append((name, _twin_hint(hint, name), default))
    if has_texts:
        fields.append(("encoding", Encoding | None, None))
    made = msgspec.defstruct(title or message.__name__, fields, kw_only=True, forbid_unknown_fields=True)
    made.__doc__ = message.__doc__
    return made


def _fields_of(message: type) -> list[tuple[str, Any, Any]]:
    """Names, types and defaults (msgspec's NODEFAULT where there is none)."""
    hints = typing.get_type_hints(message)
    if is_dataclass(message):
        return [
            (each.name, hints[each.name], msgspec.NODEFAULT if _is_required(each) else each.default)
            for each in dataclass_fields(message)
        ]
    found = msgspec.structs.fields(message)
    return [(each.name, hints[each.name], _default(each)) for each in found]


def _is_required(field: Any) -> bool:
    return field.default is not None and type(field.default).__name__ == "_MISSING_TYPE"


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return (
        msgspec.field(default_factory=field.default_factory)
        if field.default_factory is not msgspec.NODEFAULT
        else (field.default)
    )


def _is_message(hint: Any) -> bool:
    return isinstance(hint, type) and (issubclass(hint, msgspec.Struct) or is_dataclass(hint))


def _has_bytes(hint: Any) -> bool:
    return hint is bytes or any(_has_bytes(part) for part in typing.get_args(hint))


def _twin_hint(hint: Any, name: str) -> Any:
    if hint is bytes:
        return str | dict[str, Any] if name == "value" else str
    if _is_message(hint):
        return twin(hint)
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is None or origin is Literal:
        return hint
    if origin in (Union, types.UnionType):
        return reduce(or_, (_twin_hint(part, name) for part in parts))
    if origin is tuple:
        return list[_twin_hint(parts[0], name)]  # type: ignore[misc]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[parts[0], _twin_hint(parts[1], name)]  # type: ignore[valid-type, misc]
    return origin[tuple(_twin_hint(part, name) for part in parts)]


# ── from JSON ────────────────────────────────────────────────────────────────────────────────────────────────────

Reader: TypeAlias = Callable[[Any, str | None], Any]


def message_of(message: type, given: msgspec.Struct, others: Mapping[str, Any]) -> Any:
    """The message that a twin stands for, completed with other fields. Raises InvalidData."""
    return message(**_taken(message, given), **others)


def _taken(message: type, given: Any) -> dict[str, Any]:
    encoding = getattr(given, "encoding", None)
    taken = {}
    for name, reader in _readers(message):
        value = getattr(given, name, msgspec.UNSET)
        if value is not msgspec.UNSET:
            taken[name] = value if reader is None or value is None else reader(value, encoding)
    return taken


@cache
def _readers(message: type) -> list[tuple[str, Reader | None]]:
    return [(name, _reader(hint, name)) for name, hint, _ in _fields_of(message)]


def _reader(hint: Any, name: str) -> Reader | None:
    """How a value is read; None: as it is."""
    if hint is bytes:
        return _bytes_of if name in TEXTS else _unhex
    if _is_message(hint):
        return lambda value, _: hint(**_taken(hint, value))
    parts = typing.get_args(hint)
    read = next(filter(None, (_reader(part, name) for part in parts)), None) if parts else None
    if read is not None and typing.get_origin(hint) in (list, tuple):
        return lambda values, encoding: [read(value, encoding) for value in values]
    return read


def _bytes_of(text: Any, encoding: str | None) -> bytes:
    if not isinstance(text, str):
        return msgspec.json.encode(text)
    if encoding != "base64":
        try:
            return text.encode()
        except UnicodeEncodeError:
            raise InvalidData("A key or value is no text that can be written as UTF-8. Send it as base64.") from None
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise InvalidData("Invalid base64 encoding: a key or value says that it is base64, and is not.") from None


def _unhex(text: str, _encoding: str | None) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise InvalidData("A hash is written in hexadecimal digits.") from None


# ── to JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────

Writer: TypeAlias = Callable[[Any, str | None], Any]


def json_of(message: Any, encoding: str | None = None) -> dict[str, Any]:
    """What a message is in JSON. `encoding` is what was asked for; without it, text where it is text, else base64.

    Raises InvalidData where something is not text, or JSON, that was asked for as such.
    """
    kind: type = type(message)
    texts, writers = _writers(kind)
    written: dict[str, Any] = {}
    leaves_out = _leaves_out(kind)
    chosen = _chosen(message, texts, encoding) if texts else ""
    for name, writer in writers:
        value = getattr(message, name)
        if value is None and leaves_out:
            continue
        if writer is None or value is None:
            written[name] = value
        elif name in texts:
            written[name] = writer(value, "utf8" if chosen == "json" and name != "value" else chosen)
        else:
            written[name] = writer(value, encoding)
    if texts:
        written["encoding"] = chosen
    return written


@cache
def _leaves_out(message: type) -> bool:
    """Whether a message says that what is not there is left out."""
    return bool(getattr(message, "leaves_out", False))


@cache
def _writers(message: type) -> tuple[frozenset[str], list[tuple[str, Writer | None]]]:
    fields = _fields_of(message)
    texts = frozenset(name for name, hint, _ in fields if name in TEXTS and _has_bytes(hint))
    return texts, [(name, _writer(hint, name)) for name, hint, _ in fields]


def _writer(hint: Any, name: str) -> Writer | None:
    """How a value is written; None: as it is."""
    if hint is bytes:
        return _text_of if name in TEXTS else _hex
    if _is_message(hint):
        return json_of
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    write = next(filter(None, (_writer(part, name) for part in parts)), None) if parts else None
    if write is not None and origin in (list, tuple):
        return lambda values, encoding: [write(value, encoding) for value in values]
    return write


def _chosen(message: Any, texts: Collection[str], encoding: str | None) -> str:
    if encoding is not None:
        return encoding
    try:
        for name in texts:
            value = getattr(message, name)
            for each in value if isinstance(value, list) else (value,):
                if each is not None:
                    each.decode()
    except UnicodeDecodeError:
        return "base64"
    except AttributeError:  # a document's value
        return "json"
    return "utf8"


def _text_of(value: bytes, encoding: str | None) -> Any:
    if encoding == "base64":
        return b64encode(value).decode()
    try:
        if encoding != "json":
            return value.decode()
        document = msgspec.json.decode(value)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        document = None
    if type(document) is not dict:
        what = "text" if encoding == "utf8" else "a JSON object"
        raise InvalidData(f"A key or value is not {what}. Ask for it with encoding=base64.")
    return document


def _hex(value: bytes, _encoding: str | None) -> str:
    return value.hex()
