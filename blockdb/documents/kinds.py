"""The types that a field may have, and what a value of each is."""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from blockdb.documents.paths import Value

__all__ = ["EXPECTED", "TESTS", "FieldType", "binary_length", "instant"]


class FieldType(StrEnum):
    """What a field holds."""

    STRING = "String"
    INTEGER = "Integer"
    FLOAT = "Float"
    BOOLEAN = "Boolean"
    ARRAY = "Array"
    OBJECT = "Object"
    BINARY = "Binary"
    TIMESTAMP = "Timestamp"


EXPECTED: Final = {
    FieldType.STRING: "a String",
    FieldType.INTEGER: "an Integer (a number without fraction and exponent)",
    FieldType.FLOAT: "a Float (a number)",
    FieldType.BOOLEAN: "a Boolean",
    FieldType.ARRAY: "an Array",
    FieldType.OBJECT: "an Object",
    FieldType.BINARY: "Binary (a string in base64)",
    FieldType.TIMESTAMP: "a Timestamp (a string such as 2026-01-31T12:00:00Z, or whole Unix milliseconds)",
}
"""What is said of a value that is not of the type."""

_from_iso: Final = datetime.fromisoformat
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MS: Final = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_LAST_MS: Final = (datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def binary_length(value: Value) -> int:
    """How many bytes the base64 text stands for (RFC 4648 §4, with padding, strictly); -1 if it is none. O(n)."""
    try:
        return len(a2b_base64(value, strict_mode=True)) if type(value) is str else -1
    except (Base64Error, ValueError):
        return -1


def instant(value: Value) -> int | None:
    """The time in Unix microseconds, from RFC 3339 text or Unix milliseconds (years 1 to 9999); None if it is none."""
    if type(value) is int:
        return value * 1000 if _FIRST_MS <= value <= _LAST_MS else None
    time = _time_of(value)
    return None if time is None else (time - _EPOCH) // timedelta(microseconds=1)


def _time_of(value: Value) -> datetime | None:
    # msgspec takes a little more than RFC 3339: a space for the T, an offset without its colon, no zone at all.
    if (
        type(value) is not str
        or len(value) < 20
        or value[10] not in "Tt"
        or not (value[-1] in "Zz" or value[-3] == ":")
    ):
        return None
    try:
        time = msgspec.convert(value, datetime)
    except (msgspec.ValidationError, OverflowError):
        return None
    return None if time.tzinfo is None else time


def _is_timestamp(value: Value) -> bool:
    if type(value) is str:
        if value[4::3] != "--T::Z":
            return _time_of(value) is not None
        try:  # the usual form, in half the time
            _from_iso(value)
        except ValueError:
            return False
        return True
    return type(value) is int and _FIRST_MS <= value <= _LAST_MS


TESTS: Final[dict[FieldType, Callable[[Value], bool]]] = {
    FieldType.STRING: lambda value: type(value) is str,
    FieldType.INTEGER: lambda value: type(value) is int,
    FieldType.FLOAT: lambda value: type(value) is float or type(value) is int,
    FieldType.BOOLEAN: lambda value: type(value) is bool,
    FieldType.ARRAY: lambda value: type(value) is list,
    FieldType.OBJECT: lambda value: type(value) is dict,
    FieldType.BINARY: lambda value: binary_length(value) >= 0,
    FieldType.TIMESTAMP: _is_timestamp,
}
"""Whether a JSON value is of the type."""
