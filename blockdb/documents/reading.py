"""Reading a schema: what is not as it should be is refused with its place."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum
from typing import ParamSpec, TypeVar

import msgspec

from blockdb.documents.paths import Value, quote
from blockdb.documents.values import kind_of, shown
from blockdb.errors import InvalidData

__all__ = ["array", "boolean", "checked", "inside", "json_of", "members", "one_of", "text", "wrong"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Choice = TypeVar("Choice", bound=StrEnum)


def wrong(at: str, what: str) -> InvalidData:
    """The error for something that is wrong at a place of a schema."""
    return InvalidData(f"The schema is wrong{f' at `{at}`' if at else ''}: {what.removesuffix('.')}.")


def inside(at: str, name: str) -> str:
    """The place of a member of what is `at`."""
    return f"{at}.{quote(name)}" if at else quote(name)


def checked(at: str, act: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
    """What the function returns; what it raises is told with the place."""
    try:
        return act(*args, **kwargs)
    except InvalidData as error:
        raise wrong(at, str(error)) from None


def members(source: Value, at: str, known: Collection[str] | None = None) -> dict[str, Value]:
    """The members of an object, which has none but the known ones. Raises InvalidData."""
    if type(source) is not dict:
        raise wrong(at, f"expected an object, found {kind_of(source)}")
    for name in source:
        if known is not None and name not in known:
            raise wrong(inside(at, name), f"there is no such member; known are {', '.join(sorted(known))}")
    return source


def array(source: Value, at: str, limit: int = 1000) -> list[Value]:
    """The members of an array. Raises InvalidData."""
    if type(source) is not list:
        raise wrong(at, f"expected an array, found {kind_of(source)}")
    if len(source) > limit:
        raise wrong(at, f"{len(source)} members; {limit} at most are taken")
    return source


def text(source: Value, at: str) -> str:
    """The string. Raises InvalidData."""
    if type(source) is not str:
        raise wrong(at, f"expected a string, found {kind_of(source)}")
    return source


def boolean(source: Value, at: str) -> bool:
    """True or false. Raises InvalidData."""
    if type(source) is not bool:
        raise wrong(at, f"expected true or false, found {kind_of(source)}")
    return source


def one_of(source: Value, at: str, choices: type[Choice]) -> Choice:
    """The choice that is named. Raises InvalidData."""
    names = [str(choice) for choice in choices]
    if type(source) is not str or source not in names:
        raise wrong(at, f"expected one of {', '.join(names)}, found {shown(source)}")
    return choices(source)


def json_of(source: str) -> Value:
    """What the text is the JSON of; the text itself if it is none."""
    try:
        return msgspec.json.decode(source)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return source
