"""Lookups: filters that say what each field of one index is equal to, for which no plan has to be made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final, NamedTuple

from blockdb.documents.paths import Path
from blockdb.query.access import Index
from blockdb.query.constraints import conjuncts
from blockdb.query.tree import Comparison, Parameter, Scalar, Term, Value

__all__ = ["Lookup", "lookup_of"]

_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_NO_PARAMETERS: Final[Mapping[str, Any]] = {}


class Lookup(NamedTuple):
    """An index, and the values of all of its fields, in their order, with parameters among them."""

    name: str
    """Of the index."""
    values: tuple[Value, ...]
    names: frozenset[str]
    """Of the parameters."""

    def bound(self, parameters: Mapping[str, Any] | None) -> list[Scalar] | None:
        """The values; None where the parameters are not all plain ones that fit, which `bind` says more about."""
        given = _NO_PARAMETERS if parameters is None else parameters
        if given.keys() != self.names:
            return None
        found = [given[value.name] if isinstance(value, Parameter) else value for value in self.values]
        return found if all(map(_is_plain, found)) else None


def lookup_of(term: Term, indexes: Sequence[Index]) -> Lookup | None:
    """The lookup that a filter is, in a unique index if there is one; None where it is not. O(terms · indexes)."""
    equal: dict[Path, Value] = {}
    for part in conjuncts(term):
        if not isinstance(part, Comparison) or part.operator != "=" or part.path in equal:
            return None
        equal[part.path] = part.value
    for index in sorted(indexes, key=lambda index: not index.unique):
        if equal.keys() == set(index.fields) and sum(path.plural for path in equal) < 2:
            values = tuple(equal[path] for path in index.fields)
            return Lookup(index.name, values, frozenset(value.name for value in values if isinstance(value, Parameter)))
    return None


def _is_whole(text: str) -> bool:
    """Whether UTF-8 has it; a filter never has half of a character."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def _is_plain(value: Any) -> bool:
    kind = type(value)
    return kind in _PLAIN and (kind is not float or isfinite(value)) and (kind is not str or _is_whole(value))
