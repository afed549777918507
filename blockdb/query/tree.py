"""What a filter says: a tree of immutable terms, an order and a list of fields, as the parser makes them.

`_key`, `_sequence` and `_time` are fields that every document has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from blockdb.documents.paths import Path

__all__ = [
    "ALL",
    "KEY",
    "SEQUENCE",
    "SPECIAL",
    "TIME",
    "And",
    "Between",
    "Comparison",
    "Exists",
    "In",
    "Not",
    "Or",
    "OrderTerm",
    "Parameter",
    "Scalar",
    "Term",
    "TextTest",
    "Value",
    "all_of",
    "any_of",
    "paths_of",
]

KEY: Final = Path(("_key",))
"""The text of the key: its UTF-8."""
SEQUENCE: Final = Path(("_sequence",))
TIME: Final = Path(("_time",))
"""When it was written: Unix time in milliseconds."""
SPECIAL: Final = frozenset({KEY, SEQUENCE, TIME})

Scalar: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that is given when the filter is run. `position` is its place in the text."""

    name: str
    position: int = field(default=0, compare=False)


Value: TypeAlias = Scalar | Parameter


@dataclass(frozen=True, slots=True)
class Comparison:
    """`path = value`: true where it is for any of the values that a document has there, in their own type alone."""

    path: Path
    operator: str
    """One of `=`, `!=`, `<`, `<=`, `>`, `>=`."""
    value: Value


@dataclass(frozen=True, slots=True)
class Between:
    """`path between low and high`: one value is neither below `low` nor above `high`."""

    path: Path
    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class In:
    """`path in (…)`: one value is one of these; a parameter stands for all of them."""

    path: Path
    values: tuple[Value, ...] | Parameter


@dataclass(frozen=True, slots=True)
class TextTest:
    """`path starts with 'text'`, `path ends with 'text'` or `path matches 'RE2 pattern'`."""

    path: Path
    operator: str
    """`starts with`, `ends with` or `matches`."""
    text: str | Parameter


@dataclass(frozen=True, slots=True)
class Exists:
    """`exists path`: there is a value, be it null."""

    path: Path


@dataclass(frozen=True, slots=True)
class Not:
    """True where the term is not: also where the document lacks what the term asks for."""

    term: Term


@dataclass(frozen=True, slots=True)
class And:
    """All of them; without terms it is true."""

    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of them."""

    terms: tuple[Term, ...]


Term: TypeAlias = Comparison | Between | In | TextTest | Exists | Not | And | Or

ALL: Final = And(())
"""The filter that lets every document through; its text is empty."""


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One step of an order."""

    path: Path
    descending: bool = False


def all_of(terms: Iterable[Term]) -> Term:
    """All of the terms as one, without an `and` inside of an `and`."""
    flat = [part for term in terms for part in (term.terms if isinstance(term, And) else (term,))]
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def any_of(terms: Iterable[Term]) -> Term:
    """Any of the terms (there is one at least) as one, without an `or` inside of an `or`."""
    flat = [part for term in terms for part in (term.terms if isinstance(term, Or) else (term,))]
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def paths_of(term: Term) -> set[Path]:
    """The paths of all fields that the filter looks at."""
    if isinstance(term, Not):
        return paths_of(term.term)
    if isinstance(term, (And, Or)):
        return {path for part in term.terms for path in paths_of(part)}
    return {term.path}
