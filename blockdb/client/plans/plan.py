"""Plans, and what most of them share."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from blockdb.documents.values import encode, plain
from blockdb.errors import InvalidData
from blockdb.types import REDACTED, AsOf, Record
from blockdb.wire.operation import Message

__all__ = ["Ask", "Given", "Pages", "Plan", "names_of", "past", "refuse_author", "restored", "value_of", "whole"]

T = TypeVar("T")

Given = bytes | Mapping[str, Any]
"""A value as a caller gives it: bytes, or a document."""

FIRST_PAGE: Final = 100
GROWTH: Final = 4
LARGEST_PAGE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Ask:
    """Have this operation done."""

    operation: str
    request: Message


Plan = Generator[Ask, Any, T]
"""Yields requests, is sent their answers, and returns what was wanted. Errors are raised where the request stands."""

Fetch = Callable[[str | None, int], Plan[tuple[list[T], str | None]]]
"""A page behind a cursor (None: the first), of so many at most; and the cursor of the next one, if there is one."""


class Pages(Generic[T]):
    """Something long, page by page; the first ones are small, so that whoever wants little gets it soon."""

    def __init__(
        self,
        fetch: Fetch[T],
        limit: int | None = None,
        cursor: str | None = None,
        *,
        skip: int = 0,
        largest: int = LARGEST_PAGE,
    ) -> None:
        """`limit` counts what is skipped, too; no page has more than `largest`."""
        self.fetch = fetch
        self._left = limit
        self._skip = skip
        self._largest = largest
        self._size = FIRST_PAGE
        self.cursor = cursor
        """Where the next page begins."""
        self.is_over = False

    def next(self) -> Plan[list[T]]:
        """The next page."""
        most = self._size if self._left is None else min(self._size, self._left)
        items, self.cursor = yield from self.fetch(self.cursor, max(most, 1))  # at a limit of 0, errors are told
        items = items[:most]
        if self._left is not None:
            self._left -= len(items)
        self._size = min(self._size * GROWTH, self._largest)
        self.is_over = self.cursor is None or self._left == 0
        skipped, self._skip = self._skip, max(0, self._skip - len(items))
        return items[skipped:]


def past(as_of: AsOf | None) -> dict[str, int]:
    """The members of a request that say as of when."""
    if as_of is None:
        return {}
    if not isinstance(as_of, AsOf):
        raise InvalidData(f"as_of is a blockdb.AsOf, not {type(as_of).__name__}.")
    given = {"as_of_block": as_of.block, "as_of_sequence": as_of.sequence, "as_of_time_ms": as_of.time_ms}
    return {name: value for name, value in given.items() if value is not None}


def value_of(given: Given) -> bytes:
    """The bytes of a value. Raises InvalidData for a document that JSON cannot hold."""
    return given if type(given) is bytes or not isinstance(given, Mapping) else encode(plain(given))


def restored(record: Record) -> Record:
    """A record as it was before it went over the wire."""
    return replace(record, value=REDACTED) if record.redacted else record


def refuse_author(by: str | None) -> None:
    """Raises InvalidData where somebody else's name is to be written down than that of whoever asks."""
    if by is not None:
        raise InvalidData("by: over the network it is the one whom the token names; leave it out.")


def whole(**numbers: int | None) -> None:
    """Raises InvalidData for a number that is negative or not whole; None is none."""
    for name, value in numbers.items():
        if value is not None and (type(value) is not int or value < 0):
            raise InvalidData(f"{name} is a whole number from 0 up, not {value!r}.")


def names_of(fields: str | Iterable[str] | None) -> list[str] | None:
    """The fields that were asked for; in a text there are commas between them. Raises QueryError."""
    if fields is None:
        return None
    if not isinstance(fields, str):
        return list(fields)
    from blockdb.query.parser import parse_fields  # here: most never ask for fields

    return [str(path) for path in parse_fields(fields)]
