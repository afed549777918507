"""The fields of a schema as a tree: what is expected of a value, of its members, and of theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from blockdb.documents import reading
from blockdb.documents.fields import Field
from blockdb.documents.kinds import EXPECTED, TESTS, FieldType
from blockdb.documents.paths import EACH, MISSING, Part, Path, Value, located
from blockdb.documents.rules import Rule, RuleName, Tester, check_rule, tester
from blockdb.documents.values import Steps, kind_of, shown
from blockdb.errors import Violation

__all__ = ["Node", "grow"]

_CONTAINERS: Final = frozenset({FieldType.ARRAY, FieldType.OBJECT})


@dataclass
class Node:
    """What is expected at one path."""

    parts: tuple[Part, ...]
    definition: Field | None = None
    required: bool = False
    members: dict[str, Node] = field(default_factory=dict)
    """What is expected of the members of an Object, by their names."""
    each: Node | None = None
    """What is expected of each member of an Array."""

    @cached_property
    def kind(self) -> FieldType | None:
        """The type, also where it follows from what is said of the members alone; None if nothing is said."""
        if self.definition is not None:
            return self.definition.type
        if self.members:
            return FieldType.OBJECT
        return FieldType.ARRAY if self.each else None

    @cached_property
    def demanded(self) -> bool:
        """Whether it must be there. What is not named itself must be there if one of its members must.

        So `address.city` alone, required, demands `address`; beside an `address` that is not required, it demands the
        city of those that have one.
        """
        return self.required or (self.definition is None and any(child.demanded for child in self.members.values()))

    @cached_property
    def default(self) -> Value:
        """What is put there where it is missing; `MISSING` if nothing is."""
        return MISSING if self.definition is None else self.definition.default

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of the field itself."""
        return () if self.definition is None else self.definition.rules

    @cached_property
    def testers(self) -> list[tuple[RuleName, Tester]]:
        """The rules, ready to be asked."""
        return [] if self.kind is None else [(rule.name, tester(rule, self.kind)) for rule in self.rules]

    def demands(self, steps: Steps) -> Iterator[Steps]:
        """What is missing, from here down, where this must be there and is not."""
        if self.required or not self.members:
            yield steps
        for name, child in () if self.required else self.members.items():
            if child.demanded:
                yield from child.demands((*steps, name))

    def violations(self, value: Value, steps: Steps = ()) -> Iterator[Violation]:
        """All that is wrong with the value, which stands at `steps`. O(n)."""
        kind = self.kind
        if kind is not None and not TESTS[kind](value):
            found = kind_of(value) if type(value) in (dict, list) else shown(value)
            yield Violation(located(steps), "Type", f"is {found}, where {EXPECTED[kind]} is expected")
            return
        for name, test in self.testers:
            if (what := test(value)) is not None:
                yield Violation(located(steps), name, what)
        if self.each is not None:
            for place, member in enumerate(value):
                yield from self.each.violations(member, (*steps, place))
        for member_name, child in self.members.items():
            if member_name in value:
                yield from child.violations(value[member_name], (*steps, member_name))
            elif child.demanded:
                for missing in child.demands((*steps, member_name)):
                    yield Violation(located(missing), "Required", "is missing, and it is required")

    def fill(self, value: Value) -> bool:
        """Puts defaults, in place, where they are missing; whether there were any. Other types are left alone."""
        filled = False
        if type(value) is dict:
            for name, child in self.members.items():
                if name not in value and child.default is not MISSING:
                    value[name] = deepcopy(child.default)
                    filled = True
                if name in value:
                    filled |= child.fill(value[name])
        elif type(value) is list and self.each is not None:
            for member in value:
                filled |= self.each.fill(member)
        return filled


def grow(fields: Mapping[Path, Field], required: Iterable[Path]) -> Node:
    """The tree of a schema's fields. Raises InvalidData, with the place, if they cannot be together."""
    root = Node((), Field(FieldType.OBJECT))
    for path, definition in fields.items():
        node = _reach(root, path)
        node.definition = definition
        node.required = definition.required
    for path in required:
        _reach(root, path).required = True
    _check(root)
    return root


def _reach(root: Node, path: Path) -> Node:
    node = root
    for place, part in enumerate(path.parts):
        parts = path.parts[: place + 1]
        if part is EACH:
            node.each = node.each or Node(parts)
            node = node.each
        else:
            node = node.members.setdefault(part, Node(parts))
    return node


def _check(node: Node) -> None:
    path = str(Path(node.parts))
    at = reading.inside("fields", path) if node.parts else "fields"
    if node.members and node.each:
        raise reading.wrong(at, f"`{path}` is an Object by one path (`.`), an Array by another (`[]`)")
    inner = FieldType.OBJECT if node.members else FieldType.ARRAY
    if (node.members or node.each) and node.kind is not inner:
        raise reading.wrong(at, f"`{path}` is {node.kind}, and has members by another path, as {EXPECTED[inner]} has")
    for child in [*node.members.values(), *([node.each] if node.each else [])]:
        _check(child)
    if node.definition is not None:
        _check_field(node, node.definition, at)
    if node.parts and node.parts[-1] is EACH and (node.required or node.default is not MISSING):
        raise reading.wrong(at, "the members of an array are not required and have no default: there may be none")


def _check_field(node: Node, definition: Field, at: str) -> None:
    values = {}
    for place, rule in enumerate(definition.rules):
        here = f"{at}.validation_rules[{place}]"
        reading.checked(here, check_rule, rule, definition.type)
        if rule.name in values and rule.name is not RuleName.PATTERN:
            raise reading.wrong(here, f"{rule.name} occurs twice; only Pattern may")
        values[rule.name] = rule
    _check_range(values, definition.type, f"{at}.validation_rules")
    if definition.default is not MISSING:
        _check_default(node, definition.default, f"{at}.default_value")


def _check_range(rules: dict[RuleName, Rule], kind: FieldType, at: str) -> None:
    shortest, longest = rules.get(RuleName.MIN_LENGTH), rules.get(RuleName.MAX_LENGTH)
    if shortest and longest and shortest.value > longest.value:
        raise reading.wrong(at, "MinLength is more than MaxLength, so that no value fits")
    least, most = rules.get(RuleName.MIN_VALUE), rules.get(RuleName.MAX_VALUE)
    if least and most and tester(least, kind)(most.value) is not None:
        raise reading.wrong(at, "MinValue is more than MaxValue, so that no value fits")


def _check_default(node: Node, default: Value, at: str) -> None:
    completed = deepcopy(default)
    node.fill(completed)
    for violation in node.violations(completed):
        place = f"`{violation.path}` of the default" if violation.path else "the default"
        raise reading.wrong(at, f"{place} {violation.message}")
