"""Which schema may follow which: every document that was valid must stay valid.

That is decided from the two schemas alone, but for one thing. Other fields than the named ones are allowed, so a name
that a new version adds may be in documents already, with anything in it: those documents have to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from blockdb.documents.kinds import FieldType, instant
from blockdb.documents.paths import EACH, Path, Value
from blockdb.documents.rules import Rule, RuleName
from blockdb.documents.schema import Schema
from blockdb.documents.tree import Node
from blockdb.documents.values import shown
from blockdb.errors import InvalidData

__all__ = ["Evolution", "compare", "require_compatible"]


@dataclass(frozen=True, slots=True)
class Evolution:
    """What a change of schema means to the documents that were valid before it."""

    refusals: tuple[str, ...]
    """Why some of them may not be valid any more: each change that is not compatible, with its path."""
    additions: tuple[Path, ...]
    """Paths about which the old schema said nothing. Documents without them are valid, others have to be looked at."""


_WIDER: Final = {(FieldType.INTEGER, FieldType.FLOAT), (FieldType.BINARY, FieldType.STRING)}
_LOWER: Final = {RuleName.MIN_LENGTH, RuleName.MIN_VALUE}


def compare(old: Schema, new: Schema) -> Evolution:
    """What the change from `old` to `new` means. Versions, defaults and indexes are not looked at."""
    refusals: list[str] = []
    additions: list[Path] = []
    for finding in _changes(old.tree, new.tree):
        if isinstance(finding, Path):
            additions.append(finding)
        else:
            refusals.append(finding)
    return Evolution(tuple(refusals), tuple(additions))


def require_compatible(old: Schema, new: Schema) -> tuple[Path, ...]:
    """The additions of a change that is compatible. Raises InvalidData with every reason why it is not."""
    evolution = compare(old, new)
    if evolution.refusals:
        raise InvalidData(
            "The schema cannot follow the present one, under which documents were stored: "
            f"{'; '.join(evolution.refusals)}. Give new rules to new fields, or make a new collection."
        )
    return evolution.additions


def _changes(old: Node, new: Node) -> Iterator[str | Path]:
    """What is incompatible, as text, and what is new, as a path."""
    if new.kind is None:
        return
    path = Path(new.parts)
    if old.kind is None:
        yield path
        return
    yield from _own_changes(old, new, f"`{path}`")
    for name, child in new.members.items():
        before = old.members.get(name) or Node((*new.parts, name))
        if child.demanded and not before.demanded:
            yield f"`{Path(child.parts)}` becomes required"
        yield from _changes(before, child)
    if new.each is not None:
        yield from _changes(old.each or Node((*new.parts, EACH)), new.each)


def _own_changes(old: Node, new: Node, path: str) -> Iterator[str]:
    choices = next((rule.value for rule in old.rules if rule.name is RuleName.ONE_OF), None)
    if choices is not None and (old.kind, new.kind) != (FieldType.FLOAT, FieldType.INTEGER):  # 1 may stand there as 1.0
        refused = [choice for choice in choices if _is_valid(old, choice) and not _is_valid(new, choice)]
        if refused:
            yield f"{path} does not take {shown(refused[0])} any more"
    elif old.kind is not new.kind and (old.kind, new.kind) not in _WIDER:
        yield f"{path} becomes {new.kind}, and was {old.kind}"
    elif old.kind is FieldType.BINARY and new.kind is FieldType.STRING and new.rules:
        yield f"{path} becomes String with rules, and was Binary"
    else:
        for rule in new.rules:
            if not _follows(rule, old):
                yield f"{path} gets a stricter rule: {rule.name} {shown(rule.value)}"


def _is_valid(node: Node, value: Value) -> bool:
    return next(node.violations(value), None) is None


def _follows(rule: Rule, old: Node) -> bool:
    """Whether the rule holds wherever the old ones do."""
    if rule.name is RuleName.MIN_LENGTH and rule.value == 0:
        return True
    before = [other.value for other in old.rules if other.name is rule.name]
    match rule.name:
        case RuleName.MIN_LENGTH | RuleName.MAX_LENGTH | RuleName.MIN_VALUE | RuleName.MAX_VALUE:
            limits = [_measure(value, old) for value in before]
            limit = _measure(rule.value, old)
            return any(other >= limit if rule.name in _LOWER else other <= limit for other in limits)
        case RuleName.PATTERN:
            return rule.value in before
        case RuleName.ONE_OF:
            return False  # unless there were choices before, all values of the type were taken


def _measure(value: Value, node: Node) -> Value:
    return instant(value) if node.kind is FieldType.TIMESTAMP else value
