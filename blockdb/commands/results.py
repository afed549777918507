"""What commands return: data, not text. `render` turns it into a format; the explorer draws it its own way.

Nothing in here is safe to show yet: whoever writes it makes it printable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from .trust import Trust

__all__ = [
    "Column",
    "Document",
    "Facts",
    "Live",
    "More",
    "Nothing",
    "Records",
    "Result",
    "Stream",
    "Table",
    "Value",
    "Words",
]


More: TypeAlias = "str | Callable[[], str | None] | None"
"""A line of words for a person who is shown only a part; or a function that gives it once that part was shown, and then
it is said whatever the format is.
"""


@dataclass(frozen=True)
class Nothing:
    """Nothing to show: a key that is not there, or a front end that has closed.

    `reason` says why that counts as a failure, for a script that stops because of it.
    """

    exit_code: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Words:
    """An answer in words, with the same as `data` for programs (empty: the words are all there is).

    `more` is a further line for a person, `failures` are lines for standard error; `role` is the colour's role.
    """

    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    more: str | None = None
    failures: tuple[str, ...] = ()
    role: str = "text"
    exit_code: int = 0


@dataclass(frozen=True)
class Document:
    """A text that is the answer, such as a receipt; it ends with a newline. `data` is the same for programs.

    `note` is a line for a person, and `failures` are lines, for standard error. `table` is what it is as csv.
    """

    text: str
    data: Mapping[str, Any]
    note: str | None = None
    failures: tuple[str, ...] = ()
    exit_code: int = 0
    table: Table | None = None


@dataclass(frozen=True)
class Value:
    """One record's value; as base64 when that was asked for. `trust` gives what is said of it to a person who looks."""

    key: bytes
    value: bytes
    base64: bool = False
    more: More = None
    trust: Callable[[], Trust | None] | None = field(default=None, compare=False)
    exit_code: int = 0


@dataclass(frozen=True)
class Stream:
    """Bytes for a program, in chunks, which go out as they come."""

    chunks: Iterator[bytes]
    exit_code: int = 0


@dataclass(frozen=True)
class Records:
    """Keys with their values (None: keys alone were asked for), read as they are shown.

    `are_documents` says that the values are JSON, and so they stand in JSON. `trust` gives what is said
    of them all to a person who looks, once they were shown.
    """

    items: Iterator[tuple[bytes, bytes | None]]
    keys_only: bool = False
    base64: bool = False
    more: More = None
    exit_code: int = 0
    are_documents: bool = False
    trust: Callable[[], Trust | None] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Column:
    """A column of a table: the field's name, its heading, and how it is written for a person."""

    name: str
    heading: str
    kind: str = "text"  # text, count, bytes, hash, time, json; swatch: colours of a theme
    role: str = "text"


@dataclass(frozen=True)
class Table:
    """Rows of plain fields, read as they are shown. Fields are what JSON can hold."""

    columns: tuple[Column, ...]
    rows: Iterator[Mapping[str, Any]]
    more: More = None
    exit_code: int = 0


@dataclass(frozen=True)
class Facts:
    """A title and named facts, each already written for a person; `data` holds the same for programs."""

    title: str
    facts: tuple[tuple[str, str], ...]
    data: Mapping[str, Any]
    exit_code: int = 0


@dataclass
class Live:
    """What comes as it happens: a line for a person, already safe to show, and the same as data; each goes out at once.

    None comes where nothing has for a while. `interrupted` gives the words for a person who has ended it with ^C.
    """

    items: Iterator[tuple[str, Mapping[str, Any]] | None]
    interrupted: Callable[[], str]
    exit_code: int = 0


Result: TypeAlias = Live | Nothing | Words | Document | Value | Stream | Records | Table | Facts
