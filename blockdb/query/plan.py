"""How a filter is answered: through keys, an index, several of them, or the chain; and what sorts the result.

Pure: ranges are values; `format.ordered` makes bytes of them. What a plan gives is what looking at all records gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, floor
from typing import Final, TypeAlias

from blockdb.documents.paths import Path
from blockdb.query.access import Index, IndexRanges, KeyRange, KeyRanges, Source, Window
from blockdb.query.constraints import (
    Bound,
    Constraint,
    Constraints,
    ValueRange,
    conjuncts,
    constraints_of,
    present_paths,
    without,
)
from blockdb.query.text import filter_text, order_text
from blockdb.query.tree import ALL, KEY, SEQUENCE, TIME, Or, OrderTerm, Scalar, Term

__all__ = ["Estimate", "Plan", "full_order", "make_plan"]

MAX_RANGES: Final = 10_000
"""So many ranges of one index a plan has at most: `in` lists with more are looked through."""

FEW_RECORDS: Final = 10_000
"""With fewer records than that, an index that fits is always used."""

SMALL_PART: Final = 0.25
"""Reading this part of the records through an index takes as long as reading all of them in commit order."""

Estimate: TypeAlias = Callable[["Source"], int | None]
"""How many entries a source has, if that is known."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the documents come from, what is still to be asked of each, and how they come into order."""

    sources: tuple[Source, ...]
    """With more than one, what any of them has; without any, the chain, that is all records in commit order."""
    window: Window
    """What they have outside of it is left out."""
    residual: Term
    order: tuple[OrderTerm, ...]
    """In full: it ends with a field that tells any two records apart."""
    is_sorted: bool
    """Whether the source gives that order, walked backwards with `reverse`; otherwise it has to be made."""
    reverse: bool = False

    @property
    def by_commit(self) -> bool:
        """Whether the order is that in which the records were stored, or its reverse."""
        return self.order[0].path == SEQUENCE

    def access(self) -> str:
        """In words: `index by_city`, `keys`, `all records`."""
        return " or ".join(dict.fromkeys(map(str, self.sources))) or "all records"

    def sort(self) -> str:
        """What puts the result in order, in words."""
        if self.by_commit:
            return "as stored"
        return f"by the {self.access()}" if self.is_sorted else f"in memory, by {order_text(self.order)}"

    def ranges(self) -> tuple[str, ...]:
        """The ranges of all sources, in words, and the window."""
        texts = [text for source in self.sources for text in source.texts()]
        return (*texts, *filter(None, [self.window.text()]))

    def residual_text(self) -> str:
        """What is still asked of each document; empty if that is nothing."""
        return filter_text(self.residual)


def full_order(order: Sequence[OrderTerm]) -> tuple[OrderTerm, ...]:
    """An order in which no two records are equal: ties are in commit order, in the direction of the last step.

    Without steps, that is the whole order. Time never goes back in commit order, so it is one with it where it is last.
    """
    steps: list[OrderTerm] = []
    for step in order:
        steps.append(step)
        if step.path in (KEY, SEQUENCE):
            return tuple(steps)
    last = OrderTerm(SEQUENCE, bool(steps) and steps[-1].descending)
    return (*(steps[:-1] if steps and steps[-1].path == TIME else steps), last)


def make_plan(
    term: Term,
    order: Sequence[OrderTerm] = (),
    indexes: Sequence[Index] = (),
    *,
    limited: bool = False,
    total: int | None = None,
    estimate: Estimate | None = None,
) -> Plan:
    """The plan for a filter without parameters.

    `limited` says that only the first few are wanted, `total` how many records there are, and `estimate` how many
    entries a source has: without it, more equal fields count as fewer entries. O(terms · indexes).
    """
    wanted = full_order(order)
    planner = _Planner(wanted, tuple(indexes), limited, total, estimate or (lambda source: None))
    window, within = _window(constraints_of(conjuncts(term)))
    rest = without(term, within)
    best = planner.best(conjuncts(rest))
    if best is None or planner.is_too_much(best):
        best = planner.in_order(rest)
    return planner.plan(rest, window, best)


@dataclass(frozen=True, slots=True)
class _Candidate:
    sources: tuple[Source, ...]
    covered: tuple[Term, ...] = ()
    equal: int = 0
    """How many fields equal given values."""
    ranged: int = 0
    fixed: frozenset[Path] = frozenset()
    """Fields that have one value in all of it."""

    @property
    def is_exact(self) -> bool:
        """Whether it cannot have more records than ranges: all fields of a unique index have one value, or the key."""
        if len(self.sources) != 1:
            return False
        (source,) = self.sources
        fields = (KEY,) if isinstance(source, KeyRanges) else source.index.fields if source.index.unique else None
        return fields is not None and self.fixed.issuperset(fields)


_ALL_RECORDS: Final = _Candidate(())


@dataclass(frozen=True, slots=True)
class _Planner:
    order: tuple[OrderTerm, ...]
    indexes: tuple[Index, ...]
    limited: bool
    total: int | None
    estimate: Estimate

    def plan(self, term: Term, window: Window, chosen: _Candidate) -> Plan:
        reverse = self.order[0].descending
        is_sorted = self._serves(chosen)
        if is_sorted and (steps := self._steps(chosen)):
            reverse = steps[0].descending
        return Plan(chosen.sources, window, without(term, chosen.covered), self.order, is_sorted, reverse)

    # Candidates.

    def best(self, terms: Sequence[Term]) -> _Candidate | None:
        """The candidate with the fewest entries, if there is one that the terms limit."""
        constraints = constraints_of(terms)
        present = present_paths(terms)
        found = [_through_keys(constraints[KEY])] if KEY in constraints else []
        found += [one for index in self.indexes if (one := _through_index(index, constraints, present)) is not None]
        found += [one for term in terms if isinstance(term, Or) and (one := self._union(term)) is not None]
        exact = [one for one in found if one.is_exact]
        return exact[0] if exact else found[0] if len(found) == 1 else min(found, key=self._rank, default=None)

    def _union(self, term: Or) -> _Candidate | None:
        """All the branches together, if each can be found by an index or by keys."""
        parts = [self.best(conjuncts(branch)) for branch in term.terms]
        found = [part for part in parts if part is not None]
        sources = tuple(source for part in found for source in part.sources)
        if len(found) < len(parts) or len(sources) > MAX_RANGES:
            return None
        return _Candidate(sources, (), min(part.equal for part in found), min(part.ranged for part in found))

    def in_order(self, term: Term) -> _Candidate:
        """What has all records and gives them in the order; all records as they are stored, where most are left out."""
        if self.order[0].path == KEY:
            return _Candidate((KeyRanges((KeyRange(),)),))
        present = present_paths(conjuncts(term))
        for index in self.indexes if self.limited or term == ALL else ():
            candidate = _Candidate((IndexRanges(index, (ValueRange(),)),))
            if (not index.sparse or present.issuperset(index.fields)) and self._serves(candidate):
                return candidate
        return _ALL_RECORDS

    # Choice.

    def is_too_much(self, candidate: _Candidate) -> bool:
        """Whether reading all records is quicker."""
        if self.total is None or self.total < FEW_RECORDS or candidate.is_exact:
            return False
        if self.limited and self._serves(candidate):
            return False
        entries = self._entries(candidate)
        return entries is not None and entries > self.total * SMALL_PART

    def _rank(self, candidate: _Candidate) -> tuple[float, int, int, bool]:
        entries = self._entries(candidate)
        known = float("inf") if entries is None else float(entries)
        return known, -candidate.equal, -candidate.ranged, not self._serves(candidate)

    def _entries(self, candidate: _Candidate) -> int | None:
        counts = [self.estimate(source) for source in candidate.sources]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    # Order.

    def _steps(self, candidate: _Candidate) -> list[OrderTerm]:
        """The steps of the order that mean anything among what the candidate gives."""
        return [step for step in self.order if step.path not in candidate.fixed]

    def _serves(self, candidate: _Candidate) -> bool:
        """Whether it gives the order, walked in one direction."""
        steps = self._steps(candidate)
        if len(candidate.sources) != 1:
            return not candidate.sources and steps[0].path == SEQUENCE
        (source,) = candidate.sources
        if isinstance(source, KeyRanges):
            return bool(steps) and steps[0].path == KEY
        if len({step.descending for step in steps}) > 1 or (source.index.plural and len(source.ranges) > 1):
            return False
        given = [path for path in source.index.fields if path not in candidate.fixed]
        if any(path.plural for path in given):
            return False
        paths = [step.path for step in steps]
        return paths == [*given, SEQUENCE] or (source.index.unique and paths[: len(given)] == given and bool(given))


def _through_index(index: Index, constraints: Constraints, present: set[Path]) -> _Candidate | None:
    """The ranges of an index that the constraints come down to, or None where they do not or would miss documents."""
    if index.sparse and not present.issuperset(index.fields):
        return None
    points: list[tuple[Scalar, ...]] = []
    used: list[Constraint] = []
    last: Constraint | None = None
    combinations = 1
    for path in index.fields:
        constraint = constraints.get(path)
        if constraint is None or (path.plural and any(before.plural for before in index.fields[: len(used)])):
            break
        if constraint.points is None:
            last = constraint
            used.append(constraint)
            break
        combinations *= len(constraint.points)
        if combinations > MAX_RANGES:
            break
        points.append(constraint.points)
        used.append(constraint)
    if not used:
        return None
    ranges = tuple(
        ValueRange(equal) if last is None else ValueRange(equal, last.low, last.high, last.beginning)
        for equal in sorted(product(*points), key=_in_order)
    )
    fixed = frozenset(path for path, values in zip(index.fields, points, strict=False) if len(values) == 1)
    covered = tuple(term for constraint in used for term in constraint.terms)
    return _Candidate((IndexRanges(index, ranges),), covered, len(points), int(last is not None), fixed)


def _in_order(values: tuple[Scalar, ...]) -> list[tuple[int, float | str | int]]:
    """What puts scalars into the order of values."""
    return [_rank_of(value) for value in values]


def _rank_of(value: Scalar) -> tuple[int, float | str | int]:
    if value is None or isinstance(value, bool):
        return (0, 0) if value is None else (1, value)
    return (3, value) if isinstance(value, str) else (2, value)


def _through_keys(constraint: Constraint) -> _Candidate:
    if constraint.points is not None:
        keys = sorted({value.encode() for value in constraint.points if isinstance(value, str)})
        ranges = tuple(KeyRange(key, key + b"\0") for key in keys if key)
        fixed = frozenset({KEY}) if len(ranges) == 1 else frozenset()
        return _Candidate((KeyRanges(ranges),), constraint.terms, 1, 0, fixed)
    return _Candidate((KeyRanges(_key_ranges(constraint)),), constraint.terms, 0, 1)


def _key_ranges(constraint: Constraint) -> tuple[KeyRange, ...]:
    if constraint.beginning is not None:
        prefix = constraint.beginning.encode()
        return (KeyRange(prefix, _after_all_with(prefix)),)
    start, stop = b"", None
    if constraint.low is not None:
        if not isinstance(constraint.low.value, str):
            return ()
        start = constraint.low.value.encode() + (b"" if constraint.low.closed else b"\0")
    if constraint.high is not None:
        if not isinstance(constraint.high.value, str):
            return ()
        stop = constraint.high.value.encode() + (b"\0" if constraint.high.closed else b"")
    return (KeyRange(start, stop),) if stop is None or start < stop else ()


def _after_all_with(prefix: bytes) -> bytes | None:
    """The least bytes above everything that begins with a prefix, which is UTF-8, so that no byte of it is 255."""
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else None


def _window(constraints: Constraints) -> tuple[Window, tuple[Term, ...]]:
    """What terms about sequence number and time come down to, and those of them that say no more than that."""
    first, stop, covered = _run_of(constraints.get(SEQUENCE))
    first_ms, stop_ms, more = _run_of(constraints.get(TIME))
    return Window(first, stop, first_ms, stop_ms), (*covered, *more)


def _run_of(constraint: Constraint | None) -> tuple[int, int | None, tuple[Term, ...]]:
    """The whole numbers from one on, and before another one, among which those of the constraint are."""
    if constraint is None:
        return 0, None, ()
    if constraint.points is not None:
        points = [value for value in constraint.points if isinstance(value, (int, float)) and type(value) is not bool]
        covered = constraint.terms if len(points) < 2 else ()
        return (ceil(min(points)), floor(max(points)) + 1, covered) if points else (0, 0, constraint.terms)
    low, high = constraint.low, constraint.high
    bounds = [bound.value for bound in (low, high) if bound is not None]
    if not all(type(value) in (int, float) for value in bounds) or not bounds:
        return 0, 0, constraint.terms
    first = 0 if low is None else _first_whole(low)
    return first, None if high is None else _first_whole(Bound(high.value, not high.closed)), constraint.terms


def _first_whole(bound: Bound) -> int:
    """The first whole number from 0 on that is not below a lower bound."""
    assert isinstance(bound.value, (int, float))
    return max(ceil(bound.value) if bound.closed else floor(bound.value) + 1, 0)
