"""Where documents can come from: ranges of keys and of indexes, within a run of the commit order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from blockdb.documents.paths import Path
from blockdb.query.constraints import ValueRange
from blockdb.query.text import path_text
from blockdb.query.tree import KEY, SEQUENCE, TIME

__all__ = ["ALWAYS", "Index", "IndexRanges", "KeyRange", "KeyRanges", "Source", "Window"]


@dataclass(frozen=True, slots=True)
class Index:
    """What a plan has to know of an index."""

    name: str
    fields: tuple[Path, ...]
    unique: bool = False
    sparse: bool = False
    """It has no entries for documents that lack any of the fields."""

    @property
    def plural(self) -> bool:
        """Whether a document may have several entries."""
        return any(path.plural for path in self.fields)


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The keys from `start` on, before `stop` if there is one."""

    start: bytes = b""
    stop: bytes | None = None

    @property
    def is_one_key(self) -> bool:
        """Whether it has one key at most."""
        return self.stop == self.start + b"\0"

    def text(self) -> str:
        """For people: `_key = 'a'`, `from 'a' before 'b'`."""
        start, stop = (bound.decode("utf-8", "backslashreplace") for bound in (self.start, self.stop or b""))
        if self.is_one_key:
            return f"{path_text(KEY)} = '{start}'"
        return f"from '{start}'" + (f" before '{stop}'" if self.stop is not None else " on")


@dataclass(frozen=True, slots=True)
class KeyRanges:
    """Ranges of keys in their order, none of which overlap."""

    ranges: tuple[KeyRange, ...]

    def __str__(self) -> str:
        return "keys"

    def texts(self) -> list[str]:
        """The ranges, in words."""
        return [range_.text() for range_ in self.ranges]


@dataclass(frozen=True, slots=True)
class IndexRanges:
    """Ranges of an index."""

    index: Index
    ranges: tuple[ValueRange, ...]

    def __str__(self) -> str:
        return f"index {self.index.name}"

    def texts(self) -> list[str]:
        """The ranges, in words."""
        return [range_.text(self.index.fields) for range_ in self.ranges]


@dataclass(frozen=True, slots=True)
class Window:
    """A run of the commit order: sequence numbers from `first` on and before `stop`, and times likewise."""

    first: int = 0
    stop: int | None = None
    first_ms: int = 0
    stop_ms: int | None = None

    def text(self) -> str:
        """For people; empty if it holds all records."""
        named = (f"{SEQUENCE} >= ", self.first), (f"{SEQUENCE} < ", self.stop)
        timed = (f"{TIME} >= ", self.first_ms), (f"{TIME} < ", self.stop_ms)
        lows, highs = (named[0], timed[0]), (named[1], timed[1])
        parts = [f"{text}{low}" for text, low in lows if low] + [
            f"{text}{high}" for text, high in highs if high is not None
        ]
        return " and ".join(parts)


ALWAYS: Final = Window()
"""The window of all records."""

Source: TypeAlias = KeyRanges | IndexRanges
