"""From the dictionaries that msgspec makes of Structs to those that Protocol Buffers makes messages of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

from blockdb.errors import InvalidData
from blockdb.wire.protobuf import (
    Boxed,
    Choice,
    Fixed,
    Json,
    Listed,
    Mapped,
    MessageType,
    OneOf,
    Reference,
    Scalar,
    Shape,
    Vocabulary,
)

__all__ = ["EXACT_INTEGER_LIMIT", "Mend", "menders_of"]

EXACT_INTEGER_LIMIT: Final = 2**53
"""Beyond it, integers are not exact in `google.protobuf.Value`, whose numbers are all floats."""

Mend = Callable[[Any], Any]


def menders_of(vocabulary: Vocabulary) -> Mapping[str, Mend]:
    """What mends the fields of a message, in place; there is none for a message that needs no mending."""
    workshop = _Workshop(vocabulary, _needy(vocabulary))
    for name in workshop.needy:
        workshop.menders[name] = workshop.record(vocabulary.messages[name])
    return workshop.menders


def _needy(vocabulary: Vocabulary) -> frozenset[str]:
    """The messages that have something to mend, or hold one that has."""
    needy: frozenset[str] = frozenset()
    while True:
        found = frozenset(name for name, message in vocabulary.messages.items() if _is_needy(message, needy))
        if found == needy:
            return needy
        needy = found


def _is_needy(message: MessageType, needy: Set[str]) -> bool:
    return message.tag_field is not None or any(_differs(part.shape, needy) for part in message.fields)


def _differs(shape: Shape, needy: Set[str]) -> bool:
    match shape:
        case Scalar():
            return False
        case Reference(name):
            return name in needy
        case Listed(item) | Mapped(item):
            return _differs(item, needy)
    return True


@dataclass(slots=True)
class _Workshop:
    vocabulary: Vocabulary
    needy: frozenset[str]
    menders: dict[str, Mend] = field(default_factory=dict)

    def record(self, message: MessageType) -> Mend:
        parts = [(part.name, self.of(part.shape)) for part in message.fields if _differs(part.shape, self.needy)]
        nulls = frozenset(part.name for part in message.fields if part.shape == Json())
        tag_field = message.tag_field

        def mend(tree: dict[str, Any]) -> dict[str, Any]:
            if tag_field is not None:
                tree.pop(tag_field, None)
            for name, mend_part in parts:
                if name in tree and (tree[name] is not None or name in nulls):
                    tree[name] = mend_part(tree[name])
            return tree

        return mend

    def of(self, shape: Shape) -> Mend:
        match shape:
            case Json(is_object):
                return _exact if is_object else _value
            case Choice(name):
                return {value: number for number, (_, value) in enumerate(self.vocabulary.enums[name].values, 1)}.get
            case Reference(name) if name in self.needy:
                return lambda tree: self.menders[name](tree)
            case Listed(item) if _differs(item, self.needy):
                mend = self.of(item)
                return lambda values: [mend(value) for value in values]
            case Mapped(item) if _differs(item, self.needy):
                mend = self.of(item)
                return lambda values: {name: mend(value) for name, value in values.items()}
            case Boxed(_, inner):
                mend = self.of(inner)
                return lambda values: {"items": mend(values)}
            case OneOf(_, tag_field, members):
                return self._oneof(tag_field, {tag: (part, self.of(inside)) for part, tag, inside in members})
            case Fixed(_, parts):
                mends = [(part.name, self.of(part.shape)) for part in parts]
                return lambda values: {
                    name: mend(value) for (name, mend), value in zip(mends, values, strict=True) if value is not None
                }
        return lambda value: value

    @staticmethod
    def _oneof(tag_field: str, members: Mapping[str | int, tuple[str, Mend]]) -> Mend:
        def mend(tree: dict[str, Any]) -> dict[str, Any]:
            name, mend_member = members[tree[tag_field]]
            return {name: mend_member(tree)}

        return mend


def _exact(value: Any) -> Any:
    """Free JSON as it is. Raises InvalidData for numbers that would not come out as they went in."""
    if isinstance(value, dict):
        for member in value.values():
            _exact(member)
    elif isinstance(value, list | tuple):
        for member in value:
            _exact(member)
    elif isinstance(value, int):
        if not -EXACT_INTEGER_LIMIT <= value <= EXACT_INTEGER_LIMIT:
            raise InvalidData(
                f"{value} is no number that google.protobuf.Value can hold; read it over HTTP, or as bytes."
            )
    elif isinstance(value, float) and not isfinite(value):
        raise InvalidData(f"{value} is no number of JSON.")
    return value


def _value(value: Any) -> dict[str, Any]:
    """Free JSON as what `google.protobuf.Value` is made of."""
    match value:
        case None:
            return {"null_value": 0}
        case bool():
            return {"bool_value": value}
        case int() | float():
            return {"number_value": _exact(value)}
        case str():
            return {"string_value": value}
        case dict():
            return {"struct_value": _exact(value)}
        case list() | tuple():
            return {"list_value": {"values": [_value(member) for member in value]}}
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")
