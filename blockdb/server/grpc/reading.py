"""From messages to the dictionaries that msgspec makes Structs of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from blockdb.errors import InvalidData
from blockdb.server.grpc.mending import EXACT_INTEGER_LIMIT
from blockdb.wire.protobuf import (
    Boxed,
    Choice,
    Field,
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

__all__ = ["Read", "readers_of"]

Read = Callable[[Any], Any]


def readers_of(vocabulary: Vocabulary) -> Mapping[str, Read]:
    """What reads a message, by its name."""
    desk = _Desk(vocabulary)
    for name, message in vocabulary.messages.items():
        if not message.is_oneof:
            desk.readers[name] = desk.record(message)
    return desk.readers


@dataclass(slots=True)
class _Desk:
    vocabulary: Vocabulary
    readers: dict[str, Read] = field(default_factory=dict)

    def record(self, message: MessageType) -> Read:
        """A reader of all fields: those that are always there, those that may be missing, and enums."""
        kinds: dict[str, list[Field]] = {"always": [], "maybe": [], "choice": []}
        for part in message.fields:
            kinds[_kind(part)].append(part)
        same = [part.name for part in kinds["always"] if isinstance(part.shape, Scalar)]
        several = [(part.name, self.of(part.shape)) for part in kinds["always"] if not isinstance(part.shape, Scalar)]
        maybe = [(part.name, self.of(part.shape), part.is_nullable) for part in kinds["maybe"]]
        choices = [(part.name, self.of(part.shape), part.is_nullable) for part in kinds["choice"]]

        def read(source: Any) -> dict[str, Any]:
            tree = {name: getattr(source, name) for name in same}
            for name, read_part in several:
                tree[name] = read_part(getattr(source, name))
            for name, read_part, is_nullable in maybe:
                if source.HasField(name):
                    tree[name] = read_part(getattr(source, name))
                elif is_nullable:
                    tree[name] = None
            for name, read_part, is_nullable in choices:
                if number := getattr(source, name):
                    tree[name] = read_part(number)
                elif is_nullable:
                    tree[name] = None
            return tree

        return read

    def of(self, shape: Shape) -> Read:
        match shape:
            case Json(is_object):
                return _object if is_object else _json
            case Choice(name):
                return _choice(self.vocabulary.enums[name].values)
            case Reference(name):
                return lambda source: self.readers[name](source)
            case Listed(Scalar()):
                return list
            case Mapped(Scalar()):
                return dict
            case Listed(item):
                read = self.of(item)
                return lambda source: [read(value) for value in source]
            case Mapped(item):
                read = self.of(item)
                return lambda source: {name: read(value) for name, value in source.items()}
            case Boxed(_, inner):
                read = self.of(inner)
                return lambda source: read(source.items)
            case OneOf(name, tag_field, members):
                return self._oneof(name, tag_field, {part: (tag, self.of(inside)) for part, tag, inside in members})
            case Fixed(name, parts):
                return lambda source: [self.readers[name](source).get(part.name) for part in parts]
        return lambda value: value

    @staticmethod
    def _oneof(name: str, tag_field: str, members: Mapping[str, tuple[str | int, Read]]) -> Read:
        def read(source: Any) -> dict[str, Any]:
            which = source.WhichOneof("kind")
            if which is None:
                raise InvalidData(f"{name}: one of {', '.join(members)} should be set.")
            tag, read_member = members[which]
            return {tag_field: tag, **read_member(getattr(source, which))}

        return read


def _kind(part: Field) -> str:
    """How it is seen whether a field is there."""
    if isinstance(part.shape, Choice):
        return "choice"
    if isinstance(part.shape, Listed | Mapped) or (isinstance(part.shape, Scalar) and not part.has_presence):
        return "always"
    return "maybe"


def _choice(values: tuple[tuple[str, str | int], ...]) -> Read:
    def read(number: int) -> str | int:
        if not 1 <= number <= len(values):
            raise InvalidData(f"{number} is none of {', '.join(name for name, _ in values)}.")
        return values[number - 1][1]

    return read


def _json(source: Any) -> Any:
    """What a `google.protobuf.Value` says. Whole numbers are integers, as far as a float has them exactly."""
    match source.WhichOneof("kind"):
        case "number_value":
            return _number(source.number_value)
        case "string_value":
            return source.string_value
        case "bool_value":
            return source.bool_value
        case "struct_value":
            return _object(source.struct_value)
        case "list_value":
            return [_json(value) for value in source.list_value.values]
    return None


def _object(source: Any) -> dict[str, Any]:
    return {name: _json(value) for name, value in source.fields.items()}


def _number(value: float) -> int | float:
    if not isfinite(value):
        raise InvalidData(f"{value} is no number of JSON.")
    return int(value) if value.is_integer() and abs(value) <= EXACT_INTEGER_LIMIT else value
