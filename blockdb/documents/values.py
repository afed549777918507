"""JSON documents: bytes to values and back, and what Python has beside JSON.

Integers may have up to 4300 digits and are kept exactly; a number with a fraction or an exponent is a 64-bit float, and
one beyond its range is refused. Where an object has a member twice, the last one counts.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import msgspec

from blockdb.documents.paths import Value, located
from blockdb.errors import InvalidData

__all__ = ["MAX_DEPTH", "Document", "Steps", "encode", "kind_of", "parse", "plain", "shown"]

Document: TypeAlias = dict[str, Value]
"""A JSON object."""

Steps: TypeAlias = tuple[str | int, ...]
"""Where in a document something is: names and, in arrays, numbers."""

MAX_DEPTH: Final = 100
"""So many objects and arrays may stand within each other, the document itself counted."""

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode
_encode: Final = msgspec.json.Encoder().encode
_JSON_TYPES: Final = frozenset({str, int, bool, type(None)})
_KINDS: Final = {
    dict: "an object",
    list: "an array",
    tuple: "an array",  # as schemas keep theirs
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
}

# What is looked at to find the place of something that msgspec did not take.
_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_BRACKETS: Final = re.compile(f"{_STRING}|([][{{}}])", re.DOTALL)
_NUMBERS: Final = re.compile(f"{_STRING}|(-?[0-9][0-9.eE+-]*)", re.DOTALL)
_ESCAPES: Final = re.compile(r"\\(?:u([dD][89abAB]..)(\\u[dD][c-fC-F]..)?|u([dD][c-fC-F]..)|.)", re.DOTALL)
_OTHER: Final = re.compile("Expected `object`, got `(.*?)`")
_OTHERS: Final = {kind.__name__: words for kind, words in _KINDS.items()} | {"array": "an array"}
_PLACE: Final = re.compile(r"JSON is malformed: (.*) \(byte (\d+)\)")


def parse(raw: bytes) -> Document:
    """The document that the bytes are the JSON of. Raises InvalidData that names the byte of what is wrong.

    O(n); a document that is nested deeper than `MAX_DEPTH` is refused.
    """
    try:
        document: Document = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidData(f"This is not a document: {_told(raw, error)}.") from None
    if len(raw) > 2 * MAX_DEPTH and raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        _check_depth(document, raw)
    return document


def encode(document: Document) -> bytes:
    """The document as compact JSON. Raises InvalidData for what cannot be written, naming its path.

    The document is one that `parse` or `plain` returned.
    """
    try:
        return _encode(document)
    except ValueError:
        _find_unwritable(document, ())
        raise


def plain(document: Mapping[str, object]) -> Document:
    """The same with JSON values alone: datetime becomes RFC 3339 text, bytes base64 text, a tuple an array.

    The document itself where it has nothing else in it, otherwise a new one. Raises InvalidData for what JSON cannot
    hold, naming its path.
    """
    if type(document) is not dict and not isinstance(document, Mapping):
        raise InvalidData(f"A document is a dict, and this is of the type {type(document).__name__}.")
    converted: Document = _plain_object(document, ())
    return converted


def kind_of(value: Value) -> str:
    """What kind of JSON value it is, in words with an article."""
    return _KINDS[type(value)]


def shown(value: Value, length: int = 40) -> str:
    """The value as JSON for a message, cut after `length` characters."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= length else f"{text[:length]}…"


# ── Python to JSON ───────────────────────────────────────────────────────────────────────────────────────────────


def _plain_object(members: Mapping[Any, Any], steps: Steps) -> Value:
    changed: Document = {}
    exact = type(members) is dict
    for name, value in members.items():
        if type(name) is not str:
            exact = False
            if not isinstance(name, str):
                raise InvalidData(f"A name in {_where(steps)} is of the type {type(name).__name__}; names are strings.")
        if type(value) not in _JSON_TYPES:
            converted = _plain_value(value, (*steps, name))
            if converted is not value:
                changed[name] = converted
    if exact and not changed:
        return members
    return {str.__str__(name): changed.get(name, value) for name, value in members.items()}


def _plain_array(members: list[Any] | tuple[Any, ...], steps: Steps) -> Value:
    changed = {}
    for place, value in enumerate(members):
        if type(value) not in _JSON_TYPES:
            converted = _plain_value(value, (*steps, place))
            if converted is not value:
                changed[place] = converted
    if not changed and type(members) is list:
        return members
    return [changed.get(place, value) for place, value in enumerate(members)]


def _plain_value(value: Any, steps: Steps) -> Value:
    if isinstance(value, float):
        if value - value != 0:
            raise InvalidData(f"{_where(steps)} is {value}, which JSON does not have.")
        return value if type(value) is float else float(value)
    if len(steps) >= MAX_DEPTH:
        raise InvalidData(f"{_where(steps[:3])} is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, dict):
        return _plain_object(value, steps)
    if isinstance(value, list | tuple):
        return _plain_array(value, steps)
    return _plain_object(value, steps) if isinstance(value, Mapping) else _plain_scalar(value, steps)


def _plain_scalar(value: Any, steps: Steps) -> Value:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return b2a_base64(bytes(value), newline=False).decode()
    if isinstance(value, datetime):
        return _timestamp(value, steps)
    raise InvalidData(
        f"{_where(steps)} is of the type {type(value).__name__}, which JSON does not have: "
        "a document holds dict, list, str, int, float, bool, None, datetime and bytes."
    )


def _where(steps: Steps) -> str:
    return f"`{located(steps)}`" if steps else "the document"


def _timestamp(value: datetime, steps: Steps) -> str:
    offset = value.utcoffset()
    if offset is None:
        raise InvalidData(f"{_where(steps)} is a time without a zone: give it one, as in datetime.now(UTC).")
    if offset % timedelta(minutes=1):  # RFC 3339 has no seconds in an offset
        try:
            value = value.astimezone(UTC)
        except OverflowError:
            raise InvalidData(f"{_where(steps)} is a time outside of the years 1 to 9999.") from None
    return value.isoformat().removesuffix("+00:00") + ("" if value.utcoffset() else "Z")


def _find_unwritable(value: Value, steps: Steps) -> None:
    """Raises InvalidData at the first thing that msgspec does not write, if it is found here."""
    if isinstance(value, dict):
        for name, member in value.items():
            _find_unwritable(name, (*steps, name))
            _find_unwritable(member, (*steps, name))
    elif isinstance(value, list):
        for place, member in enumerate(value):
            _find_unwritable(member, (*steps, place))
    else:
        try:
            _encode(value)
        except UnicodeEncodeError:
            raise InvalidData(
                f"{_where(steps)} has half of a surrogate pair in it, which UTF-8 does not have."
            ) from None
        except ValueError:
            raise InvalidData(f"{_where(steps)} is an integer of more than 4300 digits.") from None


# ── what is wrong with bytes, and where ──────────────────────────────────────────────────────────────────────────


def _told(raw: bytes, error: Exception) -> str:
    """What msgspec did not take, with its place; counted in bytes from 0."""
    if isinstance(error, RecursionError):
        return _too_deep(raw)
    try:
        text = bytes(raw).decode()
    except UnicodeDecodeError as bad:
        return f"invalid UTF-8 at byte {bad.start}"
    if place := _PLACE.match(str(error)):
        return f"invalid JSON at byte {place[2]} ({place[1]})"
    for found in _ESCAPES.finditer(text):
        if (found[1] and not found[2]) or found[3]:
            return f"half of a surrogate pair (\\u{found[1] or found[3]}) at byte {_byte(text, found.start())}"
    if "out of range" in str(error):
        return _large_number(text)
    if other := _OTHER.search(str(error)):
        return f"a document is a JSON object, and this is {_OTHERS.get(other[1], other[1])}"
    return f"invalid JSON at byte {len(raw)} (it ends there, and is not complete)" if raw else "it is empty"


def _byte(text: str, place: int) -> int:
    return len(text[:place].encode())


def _large_number(text: str) -> str:
    for found in _NUMBERS.finditer(text):
        if found[1]:
            try:
                msgspec.json.decode(found[1])
            except msgspec.DecodeError:
                cut = found[1] if len(found[1]) <= 20 else f"{found[1][:20]}…"
                return f"the number {cut} at byte {_byte(text, found.start())} is too large"
    return "a number is too large"


def _too_deep(raw: bytes) -> str:
    depth = 0
    text = bytes(raw).decode("utf-8", "replace")
    for found in _BRACKETS.finditer(text):
        if found[1]:
            depth += 1 if found[1] in "[{" else -1
            if depth > MAX_DEPTH:
                break
    return f"nested deeper than {MAX_DEPTH} levels at byte {_byte(text, found.start())}"


def _check_depth(document: Document, raw: bytes) -> None:
    """Raises InvalidData if it is nested too deeply. Many brackets alone are no sign of it."""
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [
            value
            for members in level
            for value in (members.values() if type(members) is dict else members)
            if type(value) is dict or type(value) is list
        ]
        if not level:
            return
    raise InvalidData(f"This is not a document: {_too_deep(raw)}.")
