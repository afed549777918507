"""What the terms of a filter say of one field each: a few values, or a range that all of its values lie in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from blockdb.documents.paths import Path
from blockdb.query.text import path_text, value_text
from blockdb.query.tree import And, Between, Comparison, In, Not, Or, Parameter, Scalar, Term, TextTest, Value, all_of

__all__ = [
    "Bound",
    "Constraint",
    "Constraints",
    "ValueRange",
    "conjuncts",
    "constraints_of",
    "present_paths",
    "without",
]


class Bound(NamedTuple):
    """One end of a range of values."""

    value: Scalar
    closed: bool = True
    """Whether the value itself belongs to the range."""


@dataclass(frozen=True, slots=True)
class ValueRange:
    """A run of an index: the first fields equal these values, and the next one lies within bounds or begins so.

    Bounds are of one type, and only values of this type lie within them.
    """

    equal: tuple[Scalar, ...] = ()
    low: Bound | None = None
    high: Bound | None = None
    beginning: str | None = None

    def text(self, fields: tuple[Path, ...]) -> str:
        """For people: `city = 'Oslo' and age >= 30`."""
        parts = [f"{path_text(path)} = {value_text(value)}" for path, value in zip(fields, self.equal, strict=False)]
        last = path_text(fields[min(len(self.equal), len(fields) - 1)])
        if self.low is not None:
            parts.append(f"{last} {'>=' if self.low.closed else '>'} {value_text(self.low.value)}")
        if self.high is not None:
            parts.append(f"{last} {'<=' if self.high.closed else '<'} {value_text(self.high.value)}")
        if self.beginning is not None:
            parts.append(f"{last} starts with {value_text(self.beginning)}")
        return " and ".join(parts) or "all"


@dataclass(frozen=True, slots=True)
class Constraint:
    """What some terms together say of one field: `points` (it equals one of them), or a range."""

    terms: tuple[Term, ...]
    """The terms that say no more than that: they hold wherever the constraint does."""
    points: tuple[Scalar, ...] | None = None
    low: Bound | None = None
    high: Bound | None = None
    beginning: str | None = None


Constraints = dict[Path, Constraint]


def conjuncts(term: Term) -> tuple[Term, ...]:
    """The terms that all have to be true."""
    return term.terms if isinstance(term, And) else (term,)


def constraints_of(terms: Iterable[Term]) -> Constraints:
    """For each field that the terms limit, the best constraint that follows from all of them."""
    found: dict[Path, list[Constraint]] = {}
    for term in terms:
        constraint = _constraint(term)
        if constraint is not None and isinstance(term, (Comparison, Between, In, TextTest)):
            found.setdefault(term.path, []).append(constraint)
    return {path: _best(path, several) for path, several in found.items()}


def present_paths(terms: Iterable[Term]) -> set[Path]:
    """The fields that every document has for which the terms are true."""
    present: set[Path] = set()
    for term in terms:
        if isinstance(term, Or):
            present |= set.intersection(*(present_paths(conjuncts(part)) for part in term.terms))
        elif not isinstance(term, (Not, And)):
            present.add(term.path)
    return present


def without(term: Term, covered: Iterable[Term]) -> Term:
    """What is left of a filter once these of its terms are known to be true."""
    gone = {id(part) for part in covered}
    return all_of(part for part in conjuncts(term) if id(part) not in gone)


def _constraint(term: Term) -> Constraint | None:
    match term:
        case Comparison(_, "=", value):
            return Constraint((term,), points=(_scalar(value),))
        case Comparison(_, "<=" | ">=", None):
            return Constraint((term,), points=(None,))
        case Comparison(_, "<" | ">", None) | Comparison(_, "!=", _):
            return None
        case Comparison(_, "<" | "<=" as operator, value):
            return Constraint((term,), high=Bound(_scalar(value), operator == "<="))
        case Comparison(_, operator, value):
            return Constraint((term,), low=Bound(_scalar(value), operator == ">="))
        case Between(_, low, high) if low is not None and _kind(low) == _kind(high):
            return Constraint((term,), low=Bound(_scalar(low)), high=Bound(_scalar(high)))
        case In(_, tuple() as values):
            return Constraint((term,), points=_distinct(tuple(map(_scalar, values))))
        case TextTest(_, "starts with", str() as text):
            return Constraint((term,), beginning=text)
    return None


def _best(path: Path, several: list[Constraint]) -> Constraint:
    """One constraint of all: the fewest values, or the narrowest range.

    Of a plural path each term may be true of another value, so that only one of them can be used.
    """
    pointed = [constraint for constraint in several if constraint.points is not None]
    if pointed:
        return min(pointed, key=lambda constraint: len(constraint.points or ()))
    begun = [constraint for constraint in several if constraint.beginning is not None]
    if begun:
        return max(begun, key=lambda constraint: len(constraint.beginning or ""))
    if path.plural:
        return max(several, key=lambda constraint: (constraint.low is not None) + (constraint.high is not None))
    kind = _kind_of(several[0])
    alike = [constraint for constraint in several if _kind_of(constraint) == kind]
    lows = [constraint.low for constraint in alike if constraint.low is not None]
    highs = [constraint.high for constraint in alike if constraint.high is not None]
    return Constraint(
        tuple(term for constraint in alike for term in constraint.terms),
        low=max(lows, key=lambda bound: (bound.value, not bound.closed), default=None),
        high=min(highs, key=lambda bound: (bound.value, bound.closed), default=None),
    )


def _kind_of(constraint: Constraint) -> type:
    bound = constraint.low or constraint.high
    assert bound is not None
    return _kind(bound.value)


def _kind(value: object) -> type:
    return float if type(value) is int else type(value)


def _scalar(value: Value) -> Scalar:
    assert not isinstance(value, Parameter), "parameters are bound"
    return value


def _distinct(values: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    """Each value once, where 1 and 1.0 are one value, and true is another."""
    return tuple({(_kind(value), value): value for value in values}.values())
