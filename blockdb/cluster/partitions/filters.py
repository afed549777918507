"""What a filter over a collection is for one of its partitions, which numbers its records in its own way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import ceil, floor
from typing import Any, Final

from blockdb.cluster.partitions.spreading import Spreading
from blockdb.query.parameters import bind
from blockdb.query.parser import parse_filter
from blockdb.query.text import filter_text
from blockdb.query.tree import SEQUENCE, And, Between, Comparison, In, Not, Or, Term, Value, all_of, paths_of

__all__ = ["Asked", "filter_of"]

Asked = tuple[str, Mapping[str, Any] | None]
"""A filter and its parameters."""

NEVER: Final = Comparison(SEQUENCE, "<", 0)
ALWAYS: Final = Comparison(SEQUENCE, ">=", 0)


def filter_of(where: str, parameters: Mapping[str, Any] | None, spreading: Spreading) -> Callable[[int], Asked]:
    """A filter for each partition: the same, unless it asks for `_sequence`. Raises QueryError, InvalidData."""
    term = bind(parse_filter(where), parameters, where)
    if SEQUENCE not in paths_of(term):
        return lambda partition: (where, parameters)
    return lambda partition: (filter_text(_Own(spreading, partition).term(term)), None)


class _Own:
    """Rewrites what is asked of the numbers of a collection as what is asked of those of a partition."""

    def __init__(self, spreading: Spreading, partition: int) -> None:
        self._spreading = spreading
        self._partition = partition

    def term(self, term: Term) -> Term:
        """The term for the partition."""
        match term:
            case And(terms):
                return And(tuple(map(self.term, terms)))
            case Or(terms):
                return Or(tuple(map(self.term, terms)))
            case Not(inner):
                return Not(self.term(inner))
            case Comparison(path, operator, value) if path == SEQUENCE and _is_number(value):
                return self._comparison(operator, self._place(value))
            case Between(path, low, high) if path == SEQUENCE:
                return all_of([self.term(Comparison(path, ">=", low)), self.term(Comparison(path, "<=", high))])
            case In(path, tuple() as values) if path == SEQUENCE:
                places = (self._place(value) for value in values if _is_number(value))
                own = tuple(int(place) for place in places if place.denominator == 1)
                return In(path, own) if own else NEVER
        return term

    def _place(self, value: Any) -> Fraction:
        """Which number of the partition is called so; where none is, between which ones it would be."""
        return (Fraction(value) - self._partition) / self._spreading.partitions

    @staticmethod
    def _comparison(operator: str, place: Fraction) -> Comparison:
        match operator:
            case "<" | ">=":
                return Comparison(SEQUENCE, operator, ceil(place))
            case "<=" | ">":
                return Comparison(SEQUENCE, operator, floor(place))
        if place.denominator == 1:
            return Comparison(SEQUENCE, operator, int(place))
        return NEVER if operator == "=" else ALWAYS


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
