"""Records as JSON and CSV, there and back, without the loss of a bit.

A record is an object with `key` and `value`, both text; if either is not UTF-8, both are base64 and the field
`encoding` says so. The same shape stands in JSON lines, in CSV (whose third column is `encoding`), and on the wire.
Where the value was erased, there is `redacted` instead; no import takes that.
"""

from __future__ import annotations

import base64 as codec
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from blockdb.errors import InvalidData
from blockdb.types import REDACTED

from .display import HIDDEN

__all__ = [
    "CSV_HEADER",
    "MAX_LINE_BYTES",
    "csv_line",
    "decode_base64",
    "document_lines",
    "encode_base64",
    "from_csv",
    "from_json",
    "json_text",
    "record_csv",
    "record_json",
    "record_lines",
    "record_object",
]

MAX_LINE_BYTES = 128 * 1024 * 1024
"""The longest line of a file: the largest record fits in it, at least as base64."""

CSV_HEADER = ("key", "value", "encoding")
_ENCODINGS = {"": False, "utf8": False, "utf-8": False, "base64": True}

_ESCAPED = re.compile(f"[{HIDDEN}\ud800-\udfff]")
_BLANKS = re.compile(r"[ \t\n\r]*")
_BLANKS_OUTSIDE_STRINGS = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\n\r]+')


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding, on one line."""
    return codec.b64encode(data).decode("ascii")


def decode_base64(text: str, what: str) -> bytes:
    """The bytes of standard base64; blanks and line ends do not count. Raises `InvalidData`, which names `what`."""
    try:
        return codec.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidData(f"Invalid base64 encoding in the {what}; standard base64 with padding is expected") from error


def json_text(data: Any) -> str:
    """Compact JSON that is safe to show: controls and invisible characters are escaped, other letters stay."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    if text.isascii() and "\x7f" not in text:
        return text
    return _ESCAPED.sub(_json_escape, text)


def _json_escape(match: re.Match[str]) -> str:
    character = match.group()
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def record_object(key: bytes, value: bytes | None, base64: bool = False) -> dict[str, Any]:
    """The record as an object of JSON; `value` None leaves the field out. A redacted one says so, and is no import."""
    if value is REDACTED:
        return {**record_object(key, None, base64), "redacted": True}
    fields = {"key": key} if value is None else {"key": key, "value": value}
    if not base64:
        try:
            return {name: data.decode() for name, data in fields.items()}
        except UnicodeDecodeError:
            pass
    return {**{name: encode_base64(data) for name, data in fields.items()}, "encoding": "base64"}


def record_json(key: bytes, value: bytes | None, base64: bool = False) -> str:
    """The record as a line of JSON (without its newline), never longer than an import accepts."""
    line = json_text(record_object(key, value, base64))
    if len(line) * 4 <= MAX_LINE_BYTES or len(line.encode()) <= MAX_LINE_BYTES:
        return line
    return json_text(record_object(key, value, base64=True))


def record_csv(key: bytes, value: bytes | None, base64: bool = False) -> str:
    """The record as a line of CSV (without its newline); what CSV readers are known to change goes as base64."""
    awkward = any(control in data for data in (key, value or b"") for control in (b"\r", b"\0"))
    record = record_object(key, value, base64 or awkward)
    if value is REDACTED:
        record = {"key": record["key"], "encoding": f"{record.get('encoding', '')} redacted".strip()}
    columns = CSV_HEADER if value is not None else ("key", "encoding")
    return csv_line([record.get(column, "") for column in columns])


def record_lines(
    items: Iterable[tuple[bytes, bytes | None]], format: str, *, base64: bool = False, keys_only: bool = False
) -> Iterator[str]:
    """Records as lines, without their newlines: of JSON (`jsonl`), or of CSV with its header (`csv`)."""
    if format == "csv":
        yield ",".join(("key", "encoding") if keys_only else CSV_HEADER)
    shape = record_csv if format == "csv" else record_json
    for key, value in items:
        yield shape(key, value, base64)


def document_lines(items: Iterable[tuple[bytes, bytes | None]]) -> Iterator[str]:
    """Records whose values are JSON, safe to show, as lines of JSON, in which they are no text but what they say."""
    for key, value in items:
        try:
            name = json_text(key.decode())
        except UnicodeDecodeError:
            yield record_json(key, value)
        else:
            yield f'{{"key":{name},"value":{(value or b"{}").decode()}}}'


def csv_line(fields: Sequence[str]) -> str:
    """A line of CSV (RFC 4180), without its newline."""
    return ",".join(map(_csv_field, fields))


def _csv_field(text: str) -> str:
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def from_json(line: bytes) -> tuple[bytes, bytes]:
    """The key and value of a line of JSON.

    A value that is not a string is kept as JSON: the very text of the line, without the blanks between its tokens.
    Raises `InvalidData`, which says what is wrong with the line.
    """
    try:
        return _record(_members(line.decode()))
    except InvalidData:
        raise
    except UnicodeEncodeError as error:
        raise InvalidData("there is half of a surrogate pair, which is no character") from error
    except UnicodeDecodeError as error:
        raise InvalidData(f"byte {error.start + 1} is not UTF-8 (binary data goes as base64)") from error
    except RecursionError as error:
        raise InvalidData("the JSON is nested too deep") from error
    except ValueError as error:
        raise InvalidData(f"not JSON: {error}") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# Numbers stay text: nothing is computed with them, so that none is too long, too large or rounded.
_JSON = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_constant)


def _members(text: str) -> dict[str, tuple[Any, str]]:
    """The members of the object that `text` is: name -> (value, the text of the value)."""
    members: dict[str, tuple[Any, str]] = {}
    position = _after(text, 0, "{")
    while text[position : position + 1] != "}" or members:
        name, position = _string(text, position)
        start = _after(text, position, ":")
        value, end = _JSON.raw_decode(text, start)
        if name in members:
            raise InvalidData(f"the field {name!r} is there twice")
        members[name] = value, text[start:end]
        position = _skip(text, end)
        if text[position : position + 1] != ",":
            break
        position = _skip(text, position + 1)
    if _after(text, position, "}") != len(text):
        raise ValueError("there is more after the object")
    return members


def _string(text: str, position: int) -> tuple[str, int]:
    if text[position : position + 1] != '"':
        raise ValueError(f"the name of a field is expected at character {position + 1}")
    name, end = _JSON.raw_decode(text, position)
    return str(name), end


def _skip(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    return match.end() if match else position


def _after(text: str, position: int, mark: str) -> int:
    """The place of the next token after `mark`, which has to stand here."""
    position = _skip(text, position)
    if text[position : position + 1] != mark:
        raise ValueError(f"{mark!r} is expected at character {position + 1}")
    return _skip(text, position + 1)


def _record(members: Mapping[str, tuple[Any, str]]) -> tuple[bytes, bytes]:
    for name in members:
        if name not in CSV_HEADER:
            raise InvalidData(f"unknown field {name!r}; a record has key, value and, if it is base64, encoding")
    for name in ("key", "value"):
        if name not in members:
            raise InvalidData(f"the field {name!r} is missing")
    key, value = _text(members, "key"), members["value"][1]
    if "encoding" in members and _is_base64(_text(members, "encoding")):
        return decode_base64(key, "key"), decode_base64(_text(members, "value"), "value")
    if value.startswith('"'):
        value = members["value"][0]
    else:
        value = _BLANKS_OUTSIDE_STRINGS.sub(r"\1", value)
    return key.encode(), value.encode()


def _text(members: Mapping[str, tuple[Any, str]], name: str) -> str:
    value, text = members[name]
    if not text.startswith('"'):
        raise InvalidData(f"the field {name!r} is not a string")
    return str(value)


def _is_base64(encoding: str) -> bool:
    if encoding not in _ENCODINGS:
        raise InvalidData(f"unknown encoding {encoding!r}; known are utf8 and base64")
    return _ENCODINGS[encoding]


def from_csv(row: Sequence[str], columns: Mapping[str, int]) -> tuple[bytes, bytes]:
    """The key and value of a row of CSV; `columns` tells their places. Raises `InvalidData`."""
    if len(row) != len(columns):
        raise InvalidData(f"{len(row)} fields where the header has {len(columns)}")
    key, value = row[columns["key"]], row[columns["value"]]
    if "encoding" in columns and _is_base64(row[columns["encoding"]]):
        return decode_base64(key, "key"), decode_base64(value, "value")
    try:
        return key.encode(), value.encode()
    except UnicodeEncodeError as error:
        raise InvalidData("the line is not UTF-8 (binary data goes as base64)") from error
