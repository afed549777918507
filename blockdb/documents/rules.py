"""The six rules of fields: what they may stand on, what they test, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from blockdb.documents.kinds import EXPECTED, TESTS, FieldType, binary_length, instant
from blockdb.documents.paths import Value
from blockdb.documents.patterns import Pattern
from blockdb.documents.values import kind_of, shown
from blockdb.errors import InvalidData

__all__ = ["MAX_CHOICES", "Rule", "RuleName", "Tester", "check_rule", "tester"]


Tester: TypeAlias = Callable[[Value], str | None]
"""Of a value of the right type: None if the rule holds, otherwise what to say of it."""


class RuleName(StrEnum):
    """What a rule is called in a schema."""

    MIN_LENGTH = "MinLength"
    MAX_LENGTH = "MaxLength"
    PATTERN = "Pattern"
    MIN_VALUE = "MinValue"
    MAX_VALUE = "MaxValue"
    ONE_OF = "OneOf"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a field."""

    name: RuleName
    value: Value
    """The limit, the pattern's text, or the choices as a tuple."""


MAX_CHOICES: Final = 10_000
"""So many values a `OneOf` may have."""

_LENGTH: Final = frozenset({FieldType.STRING, FieldType.BINARY, FieldType.ARRAY, FieldType.OBJECT})
_ORDER: Final = frozenset({FieldType.INTEGER, FieldType.FLOAT, FieldType.TIMESTAMP})
_ON: Final = {
    RuleName.MIN_LENGTH: _LENGTH,
    RuleName.MAX_LENGTH: _LENGTH,
    RuleName.PATTERN: frozenset({FieldType.STRING}),
    RuleName.MIN_VALUE: _ORDER,
    RuleName.MAX_VALUE: _ORDER,
    RuleName.ONE_OF: frozenset(FieldType) - {FieldType.ARRAY, FieldType.OBJECT},
}
_UNITS: Final = {
    FieldType.STRING: "character",
    FieldType.BINARY: "byte",
    FieldType.ARRAY: "member",
    FieldType.OBJECT: "member",
}


def check_rule(rule: Rule, kind: FieldType) -> None:
    """Raises InvalidData unless the rule makes sense on a field of that type."""
    if kind not in _ON[rule.name]:
        fits = ", ".join(sorted(_ON[rule.name]))
        raise InvalidData(f"{rule.name} is for fields of the types {fits}, and this one is {kind}")
    match rule.name:
        case RuleName.MIN_LENGTH | RuleName.MAX_LENGTH:
            if type(rule.value) is not int or rule.value < 0:
                raise InvalidData(f"{rule.name} is a whole number from 0, and this is {shown(rule.value)}")
        case RuleName.PATTERN:
            if type(rule.value) is not str:
                raise InvalidData(f"Pattern is a string, and this is {kind_of(rule.value)}")
            Pattern(rule.value)
        case RuleName.MIN_VALUE | RuleName.MAX_VALUE:
            bound = kind if kind is FieldType.TIMESTAMP else FieldType.FLOAT
            if not TESTS[bound](rule.value):
                raise InvalidData(f"{rule.name} of this field is {EXPECTED[bound]}, and this is {shown(rule.value)}")
        case RuleName.ONE_OF:
            _check_choices(rule.value, kind)


def _check_choices(choices: Value, kind: FieldType) -> None:
    if type(choices) is not tuple or not 1 <= len(choices) <= MAX_CHOICES:
        raise InvalidData(f"OneOf is an array of 1 to {MAX_CHOICES} values")
    for choice in choices:
        if not TESTS[kind](choice):
            raise InvalidData(f"OneOf of this field has values that are {EXPECTED[kind]}, and {shown(choice)} is not")


# ── tests ────────────────────────────────────────────────────────────────────────────────────────────────────────


def tester(rule: Rule, kind: FieldType) -> Tester:
    """A function of a value of that type: None if the rule holds, otherwise what to say of it."""
    match rule.name:
        case RuleName.PATTERN:
            pattern = Pattern(rule.value)
            return lambda value: None if pattern.search(value) else f"does not match the pattern `{rule.value}`"
        case RuleName.ONE_OF:
            choices = frozenset(rule.value)
            listed = shown(list(rule.value), 80)
            return lambda value: None if value in choices else f"is {shown(value)}, which is none of {listed}"
        case RuleName.MIN_LENGTH | RuleName.MAX_LENGTH:
            return _length_test(rule, kind)
        case RuleName.MIN_VALUE | RuleName.MAX_VALUE:
            return _order_test(rule, kind)


def _length_test(rule: Rule, kind: FieldType) -> Tester:
    length: Callable[[Value], int] = binary_length if kind is FieldType.BINARY else len
    least = rule.name is RuleName.MIN_LENGTH
    unit = _UNITS[kind]

    def test(value: Value) -> str | None:
        count = length(value)
        if (count >= rule.value) if least else (count <= rule.value):
            return None
        word = "least" if least else "most"
        return f"has {count} {unit}{'' if count == 1 else 's'}, where {rule.value} at {word} are expected"

    return test


def _order_test(rule: Rule, kind: FieldType) -> Tester:
    measure: Callable[[Value], Value] = instant if kind is FieldType.TIMESTAMP else lambda value: value
    limit = measure(rule.value)
    least = rule.name is RuleName.MIN_VALUE

    def test(value: Value) -> str | None:
        if (measure(value) >= limit) if least else (measure(value) <= limit):
            return None
        return f"is {shown(value)}, where {shown(rule.value)} at {'least' if least else 'most'} is expected"

    return test
