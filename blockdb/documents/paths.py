"""Paths into documents: `address.city`, `tags[]`, `items[].price`, `"first name".x`.

    path = step ("." step)*        step = name "[]"*        name = bare | quoted

A bare name is made of letters, digits, `_`, `-` and `$`, and begins with a letter, `_` or `$`. Any other name stands in
double quotes and is escaped as in JSON. `[]` means each member of an array. A path goes into objects by their names and
into arrays by `[]` alone: what is not there, or not of that kind, is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from blockdb.errors import InvalidData
from blockdb.format.ordered import MISSING, Missing

__all__ = ["EACH", "MAX_PARTS", "MISSING", "Missing", "Part", "Path", "Value", "located", "quote"]

Value: TypeAlias = Any
"""A JSON value: dict, list, str, int, float, bool or None."""

Part: TypeAlias = str | None
"""One step into a document: the name of a member of an object, or `EACH`."""

EACH: Final = None
"""The part that stands for `[]`: each member of an array."""

MAX_PARTS: Final = 64
"""So many parts a path may have; documents are hardly ever nested that deep."""


_BARE: Final = re.compile(r"[^\W\d][\w$-]*|\$[\w$-]*")
_QUOTED: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')


@dataclass(frozen=True, slots=True)
class Path:
    """A way into a document. Two paths are equal if they have the same parts, however they were written."""

    parts: tuple[Part, ...]
    """Names, and `EACH` for each `[]`; the first is always a name."""

    @classmethod
    def parse(cls, text: str) -> Path:
        """The path that `text` says. Raises InvalidData that names the place (from 1) of what is wrong."""
        path, end = cls.scan(text)
        if end != len(text):
            raise _wrong(text, end, "expected `.`, `[]` or the end")
        return path

    @classmethod
    def scan(cls, text: str, start: int = 0) -> tuple[Path, int]:
        """The longest path that begins at `start`, and where it ends: for texts that have paths in them."""
        parts: list[Part] = []
        place = start
        while True:
            name, place = _scan_name(text, place)
            parts.append(name)
            while text.startswith("[", place):
                if not text.startswith("]", place + 1):
                    raise _wrong(text, place + 1, "expected `]`: members of an array have no numbers, `[]` means each")
                parts.append(EACH)
                place += 2
            if len(parts) > MAX_PARTS:
                raise _wrong(text, place, f"a path has at most {MAX_PARTS} parts")
            if not text.startswith(".", place):
                return cls(tuple(parts)), place
            place += 1

    def __str__(self) -> str:
        """As it is written, with quotes where they are needed."""
        steps = ("[]" if part is EACH else f".{quote(part)}" for part in self.parts)
        return "".join(steps)[1:]

    @property
    def plural(self) -> bool:
        """Whether it goes through an array, so that a document may have several values there."""
        return EACH in self.parts

    def values(self, document: Mapping[str, Value]) -> list[Value]:
        """What the document has there, in its order; an empty list where that is nothing."""
        return self.finder()(document)

    def getter(self) -> Callable[[Mapping[str, Value]], Value]:
        """A quick function of a document: its value there, or `MISSING`. Raises InvalidData for a plural path."""
        names = [part for part in self.parts if part is not EACH]
        if self.plural:
            raise InvalidData(
                f"The path `{self}` goes through arrays and may have several values, where one is needed."
            )
        return _getter(names)

    def finder(self) -> Callable[[Mapping[str, Value]], list[Value]]:
        """A quick function of a document: the list of its values there, as `values` returns it."""
        if not self.plural:
            return _only(self.getter())
        first = self.parts.index(EACH)
        head = _getter([part for part in self.parts[:first] if part is not EACH])
        return _members(head, self.parts[first + 1 :])


def quote(name: str) -> str:
    """The name as it stands in a path: in quotes unless it is a bare one."""
    if _BARE.fullmatch(name):
        return name
    return msgspec.json.encode(name.encode("utf-8", "backslashreplace").decode()).decode()


def located(steps: Iterable[str | int]) -> str:
    """Where in a document something is: names as in a path, members of arrays by their number (`items[3].price`)."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{quote(step)}" for step in steps)[1:]


def _scan_name(text: str, place: int) -> tuple[str, int]:
    if bare := _BARE.match(text, place):
        return bare.group(), bare.end()
    if quoted := _QUOTED.match(text, place):
        try:
            return msgspec.json.decode(quoted.group(), type=str), quoted.end()
        except (msgspec.DecodeError, UnicodeError) as error:
            raise _wrong(text, place, f"the name in quotes is not escaped as in JSON ({error})") from None
    if text.startswith('"', place):
        raise _wrong(
            text, place, "the name in quotes does not end, or has a control character in it (write a line break as \\n)"
        )
    raise _wrong(text, place, 'expected a name; odd ones stand in double quotes, as "first name"')


def _wrong(text: str, place: int, what: str) -> InvalidData:
    shown = text if len(text) <= 80 else f"{text[:80]}…"
    return InvalidData(f"The path `{shown}` is wrong at character {place + 1}: {what}.")


# ── compiled ─────────────────────────────────────────────────────────────────────────────────────────────────────
# Filters and indexes call these for each document: a path of one or two names costs one or two look-ups.


def _getter(names: list[str]) -> Callable[[Mapping[str, Value]], Value]:
    first, *rest = names
    if not rest:
        return lambda document: document.get(first, MISSING)
    if len(rest) == 1:
        return _getter_of_two(first, rest[0])

    def get(document: Mapping[str, Value]) -> Value:
        value = document.get(first, MISSING)
        for name in rest:
            if type(value) is not dict:
                return MISSING
            value = value.get(name, MISSING)
        return value

    return get


def _getter_of_two(first: str, second: str) -> Callable[[Mapping[str, Value]], Value]:
    def get(document: Mapping[str, Value]) -> Value:
        inner = document.get(first)
        return inner.get(second, MISSING) if type(inner) is dict else MISSING

    return get


def _only(get: Callable[[Mapping[str, Value]], Value]) -> Callable[[Mapping[str, Value]], list[Value]]:
    def find(document: Mapping[str, Value]) -> list[Value]:
        value = get(document)
        return [] if value is MISSING else [value]

    return find


def _members(
    head: Callable[[Mapping[str, Value]], Value], rest: tuple[Part, ...]
) -> Callable[[Mapping[str, Value]], list[Value]]:
    """Of the array that `head` leads to: the members, or what `rest` leads to from each."""

    def find(document: Mapping[str, Value]) -> list[Value]:
        array = head(document)
        values: list[Value] = list(array) if type(array) is list else []
        for part in rest:
            if part is EACH:
                values = [member for value in values if type(value) is list for member in value]
            else:
                values = [value[part] for value in values if type(value) is dict and part in value]
        return values

    return find
