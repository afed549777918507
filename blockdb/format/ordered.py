"""JSON values as bytes whose order is that of the values. Format page: docs/formats/ordered.md.

    missing < null < false < true < numbers < strings < arrays < objects

A value begins with its tag. None is the beginning of another one, so values of several fields stand one after the
other, and what begins with the same values is one run of the order. Objects are compared name by name, in the order
of the names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from math import isfinite, nextafter
from struct import Struct
from sys import float_info
from typing import Any, Final, NamedTuple, TypeAlias

from blockdb.errors import InvalidData
from blockdb.format.frame import BadFrame

Value: TypeAlias = Any
"""A JSON value: dict, list, str, int, float, bool or None; or `MISSING`."""


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
"""What stands for a field that a document does not have (null is a value)."""

END: Final = b"\x00"
"""Ends a string, an array or an object."""
ESCAPE: Final = b"\x01"
"""In strings, `01 01` stands for U+0000 and `01 02` for U+0001."""
AFTER: Final = b"\xff"
"""Greater than whatever follows a value."""

_MISSING: Final = 1
_NULL: Final = 2
_FALSE: Final = 3
_TRUE: Final = 4
_NUMBER: Final = 5
_STRING: Final = 6
_ARRAY: Final = 7
_OBJECT: Final = 8
_CONSTANTS: Final[dict[int, Value]] = {_MISSING: MISSING, _NULL: None, _FALSE: False, _TRUE: True}
_NUMBER_TAG, _STRING_TAG, _ARRAY_TAG, _OBJECT_TAG = (bytes([tag]) for tag in range(_NUMBER, _OBJECT + 1))

_EXACT: Final = 1 << 53
"""Up to here each whole number is a double."""
_WHOLE: Final = 1 << 63
"""Doubles without a fraction are read back as int up to here."""
_BITS: Final = (1 << 64) - 1
_LONG_REST: Final = 255
_CLOSE: Final = object()

_POSITIVE: Final = Struct(">BdB").pack
_NEGATIVE: Final = Struct(">BQB").pack
_DOUBLE: Final = Struct(">d")
_UNSIGNED: Final = Struct(">Q")
_LENGTH: Final = Struct(">I")
_INVERTED: Final = bytes(range(255, -1, -1))


def encode(value: Value) -> bytes:
    """The bytes of a value: of a number or a short text in less than a microsecond, else O(bytes).

    Raises InvalidData for what is no JSON value: NaN, infinities, other types.
    """
    encoder = _ENCODERS.get(type(value))
    if encoder is None:
        raise InvalidData(f"A value of type {type(value).__name__} is not JSON, so it cannot be put in order.")
    return encoder(value)


def encode_all(values: Iterable[Value]) -> bytes:
    """The bytes of several fields, one after the other. Raises InvalidData."""
    return b"".join(map(encode, values))


def decode(data: bytes, offset: int = 0) -> tuple[Value, int]:
    """The value at an offset and where the next one begins. O(bytes). Raises BadFrame.

    What was equal is equal again, but a whole number is an int below 2^63, also where it was a float.
    """
    try:
        return _decode(data, offset)
    except (IndexError, ValueError, TypeError):
        raise BadFrame("no value begins here, or it is not whole") from None


def decode_all(data: bytes, count: int) -> tuple[tuple[Value, ...], int]:
    """The first `count` values, and where they end. Raises BadFrame."""
    values, offset = [], 0
    for _ in range(count):
        value, offset = decode(data, offset)
        values.append(value)
    return tuple(values), offset


# ── ranges ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Bound(NamedTuple):
    """One end of a range of values."""

    value: Value
    closed: bool = True
    """Whether the value itself belongs to the range."""


def span(equal: Iterable[Value], low: Bound | None = None, high: Bound | None = None) -> tuple[bytes, bytes]:
    """From which bytes on, and before which, everything stands that begins with the values `equal`.

    With `low` or `high` (or both, of one type), only what has a next value within them, and of their type: what is
    above 5 are numbers, no text. Raises InvalidData.
    """
    prefix = encode_all(equal)
    first, beyond = _tags_of(low, high)
    start = prefix + (first if low is None else encode(low.value) + (b"" if low.closed else AFTER))
    stop = prefix + (beyond if high is None else encode(high.value) + (AFTER if high.closed else b""))
    return start, stop


def text_span(equal: Iterable[Value], beginning: str) -> tuple[bytes, bytes]:
    """The same for what has a text next that begins with `beginning`."""
    start = encode_all(equal) + _encode_text(beginning)[:-1]
    return start, start + AFTER


def _tags_of(low: Bound | None, high: Bound | None) -> tuple[bytes, bytes]:
    """The tag of the type of the bounds and the one after it; where there are none, what is around everything."""
    bound = low or high
    if bound is None:
        return b"", AFTER
    if type(bound.value) is bool:
        return bytes([_FALSE]), bytes([_TRUE + 1])
    tag = encode(bound.value)[0]
    return bytes([tag]), bytes([tag + 1])


# ── encoding ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _encode_int(value: int) -> bytes:
    if 0 <= value <= _EXACT:
        return _POSITIVE(_NUMBER, value * -1.0, 0)  # the sign bit of a double is on top: set, it sorts above
    if -_EXACT <= value < 0:
        return _NEGATIVE(_NUMBER, _UNSIGNED.unpack(_DOUBLE.pack(value))[0] ^ _BITS, 255)
    if value < 0:
        return _NUMBER_TAG + _encode_long(-value).translate(_INVERTED)
    return _NUMBER_TAG + _encode_long(value)


def _encode_long(value: int) -> bytes:
    """A great whole number: the next double towards zero, and what is left."""
    try:
        double = float(value)
    except OverflowError:
        double = float_info.max
    if not isfinite(double) or double > value:
        double = nextafter(double, 0.0)
    rest = value - int(double)
    data = rest.to_bytes((rest.bit_length() + 7) // 8, "big")
    size = bytes([len(data)]) if len(data) < _LONG_REST else bytes([_LONG_REST]) + _LENGTH.pack(len(data))
    return _DOUBLE.pack(-double) + size + data


def _encode_float(value: float) -> bytes:
    if value >= 0:
        if value <= float_info.max:
            return _POSITIVE(_NUMBER, -abs(value), 0)
    elif value >= -float_info.max:
        return _NEGATIVE(_NUMBER, _UNSIGNED.unpack(_DOUBLE.pack(value))[0] ^ _BITS, 255)
    raise InvalidData(f"{value} is not JSON: there are neither infinite numbers nor such that are none.")


def _encode_text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    if "\x00" in value or "\x01" in value:
        data = data.replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01")
    return _STRING_TAG + data + END


def _encode_nested(value: Value) -> bytes:
    """An array or an object, without recursion: however deep it is."""
    parts: list[bytes] = []
    waiting: list[Value] = [value]
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if item is _CLOSE:
            parts.append(END)
        elif kind is list:
            parts.append(_ARRAY_TAG)
            waiting.append(_CLOSE)
            waiting.extend(reversed(item))
        elif kind is dict:
            parts.append(_OBJECT_TAG)
            waiting.append(_CLOSE)
            for name in sorted(item, reverse=True):
                waiting += item[name], name
        else:
            parts.append(encode(item))
    return b"".join(parts)


_ENCODERS: Final[Mapping[type, Callable[[Any], bytes]]] = {
    int: _encode_int,
    float: _encode_float,
    str: _encode_text,
    bool: lambda value: b"\x04" if value else b"\x03",
    type(None): lambda _: b"\x02",
    Missing: lambda _: b"\x01",
    list: _encode_nested,
    dict: _encode_nested,
}


# ── decoding ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _decode(data: bytes, offset: int) -> tuple[Value, int]:
    """One value, without recursion: containers that are open wait in a list, with what they have so far."""
    open_: list[tuple[int, list[Value]]] = []
    while True:
        tag = data[offset]
        offset += 1
        value: Value
        if tag in (_ARRAY, _OBJECT):
            open_.append((tag, []))
            continue
        if tag == 0:
            tag, members = open_.pop()
            value = members if tag == _ARRAY else dict(zip(members[::2], members[1::2], strict=True))
        elif tag == _NUMBER:
            value, offset = _decode_number(data, offset)
        elif tag == _STRING:
            value, offset = _decode_text(data, offset)
        elif tag in _CONSTANTS:
            value = _CONSTANTS[tag]
        else:
            raise ValueError
        if not open_:
            return value, offset
        open_[-1][1].append(value)


def _decode_number(data: bytes, offset: int) -> tuple[int | float, int]:
    is_negative = data[offset] < 128
    size = data[offset + 8] ^ (255 if is_negative else 0)
    at = offset + 9
    if size == _LONG_REST:
        size, at = _length_at(data, at, is_negative), at + _LENGTH.size
    end = at + size
    if end > len(data):
        raise IndexError
    double, rest = data[offset : offset + 8], data[at:end]
    if is_negative:
        double, rest = double.translate(_INVERTED), rest.translate(_INVERTED)
    number = -float(_DOUBLE.unpack(double)[0])
    exact: int | float = number
    if number < _WHOLE or rest:
        exact = int(number) + int.from_bytes(rest, "big") if rest or number.is_integer() else number
    return (-exact if is_negative else exact), end


def _length_at(data: bytes, at: int, is_negative: bool) -> int:
    length = data[at : at + _LENGTH.size].ljust(_LENGTH.size, b"\0")
    return int(_LENGTH.unpack(length.translate(_INVERTED) if is_negative else length)[0])


def _decode_text(data: bytes, offset: int) -> tuple[str, int]:
    end = data.index(END, offset)
    text = data[offset:end]
    if ESCAPE in text:
        text = text.replace(b"\x01\x01", END).replace(b"\x01\x02", ESCAPE)
    return text.decode("utf-8", "surrogatepass"), end + 1
