"""Requests and answers as Protocol Buffers: which message and field, of which type and number, each Struct becomes.

A field's number is its place among the fields of its Struct, so fields may be appended and never moved.

| Python | proto3 |
|---|---|
| a Struct or dataclass | a message of the same name |
| `bool`, `int`, `float`, `str`, `bytes` | `bool`, `int64` (from 0 up: `uint64`), `double`, `string`, `bytes` |
| `X | None`, or a default that is not zero or empty | `optional`: absent is None, or the default |
| an Enum, a Literal | an enum, whose 0 is None, or the default |
| `list[X]`, `tuple[X, ...]`, `dict[str, X]` | `repeated`, `map<string, X>` |
| a list or map that is optional, or inside another | a message whose field `items` is it |
| `Any`, a union of what JSON has; a dictionary of them | `google.protobuf.Value`; `google.protobuf.Struct` |
| a union of tagged Structs | a message with a `oneof` |
| `tuple[X, Y]` | a message with the fields `first` and `second` (and `third`, `fourth`) |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from inspect import getdoc
from types import MappingProxyType
from typing import Any, Final

import msgspec.inspect as inspect
from msgspec import NODEFAULT

__all__ = [
    "Boxed",
    "Choice",
    "EnumType",
    "Field",
    "Fixed",
    "Json",
    "Listed",
    "Mapped",
    "MessageType",
    "Method",
    "OneOf",
    "Reference",
    "Scalar",
    "Shape",
    "Vocabulary",
    "camel",
    "describe",
]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value that is the same on both sides; `name` is its type in proto3."""

    name: str


@dataclass(frozen=True, slots=True)
class Json:
    """Any JSON value, or, with `is_object`, any JSON object."""

    is_object: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values of the enum of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A message that stands for a Struct or a dataclass."""

    name: str


@dataclass(frozen=True, slots=True)
class Listed:
    """Several of the same."""

    item: Shape


@dataclass(frozen=True, slots=True)
class Mapped:
    """Several of the same, by name."""

    item: Shape


@dataclass(frozen=True, slots=True)
class Boxed:
    """A list or map in a message of its own, where proto3 cannot say that there is none, or several."""

    name: str
    inner: Listed | Mapped


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several tagged Structs: a message of this name with a field for each."""

    name: str
    tag_field: str
    members: tuple[tuple[str, str | int, Reference], ...]
    """The name of each field, the tag and the message that it stands for."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Several of which each has its place: a message of this name."""

    name: str
    parts: tuple[Field, ...]


Shape = Scalar | Json | Choice | Reference | Listed | Mapped | Boxed | OneOf | Fixed


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message."""

    name: str
    number: int
    shape: Shape
    has_presence: bool = False
    """Whether a scalar that is not there is told apart from one that is zero or empty (`optional`)."""
    is_nullable: bool = False
    """Whether None is what absence stands for."""


@dataclass(frozen=True, slots=True)
class EnumType:
    """An enum: the name of each value and what it stands for. Their numbers are their places, from 1."""

    name: str
    values: tuple[tuple[str, str | int], ...]
    doc: str = ""

    @property
    def unspecified(self) -> str:
        """The name of the value 0."""
        return f"{_shouted(self.name.rpartition('.')[2])}_UNSPECIFIED"


@dataclass(frozen=True, slots=True)
class MessageType:
    """A message; `name` is of the form `Outer.Inner` for one inside another."""

    name: str
    fields: tuple[Field, ...]
    doc: str = ""
    is_oneof: bool = False
    """Whether only one field is ever set."""
    tag_field: str | None = None
    """What msgspec adds to the fields of a tagged Struct, and a message has no need of."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the service."""

    name: str
    request: str
    answer: str
    has_requests: bool = False
    """Whether there is a stream of requests."""
    has_answers: bool = False
    """Whether there is a stream of answers."""
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All messages and enums, by name, in the order in which they were met; `types` says the message of a class."""

    messages: Mapping[str, MessageType]
    enums: Mapping[str, EnumType]
    types: Mapping[type, str]


def describe(types: Iterable[type], names: Mapping[type, str] = MappingProxyType({})) -> Vocabulary:
    """Messages for Structs or dataclasses and for all that they consist of.

    `names` says what a message is called that is not called as its class. Raises TypeError, naming the field, for
    what cannot be told in proto3, and for two classes of one name.
    """
    builder = _Builder(dict(names))
    for kind in types:
        builder.message_of(inspect.type_info(kind))
    return Vocabulary(builder.messages, builder.enums, builder.types)


def camel(name: str) -> str:
    """`set_schema` as `SetSchema`."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^0-9A-Za-z]+", name))


def _shouted(name: str) -> str:
    """`TimeUnit` or `by-hour` as `TIME_UNIT`, `BY_HOUR`."""
    return re.sub(r"[^0-9A-Z]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()).strip("_")


_SCALARS: Final[Mapping[type[inspect.Type], str]] = {
    inspect.BoolType: "bool",
    inspect.FloatType: "double",
    inspect.StrType: "string",
    inspect.BytesType: "bytes",
}
_ZEROS: Final = (False, 0, 0.0, "", b"")
_JSON: Final = (inspect.BoolType, inspect.IntType, inspect.FloatType, inspect.StrType, inspect.NoneType)
_ORDINALS: Final = ("first", "second", "third", "fourth")
_LISTS: Final = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType, inspect.CollectionType)


@dataclass(slots=True)
class _Builder:
    names: dict[type, str]
    messages: dict[str, MessageType] = dataclass_field(default_factory=dict)
    enums: dict[str, EnumType] = dataclass_field(default_factory=dict)
    types: dict[type, str] = dataclass_field(default_factory=dict)

    def message_of(self, info: inspect.Type) -> str:
        """The name of the message for a Struct or a dataclass, which is made unless it is there."""
        if not isinstance(info, inspect.StructType | inspect.DataclassType):
            raise TypeError(f"{info} is no Struct.")
        kind = info.cls
        if kind not in self.types:
            name = self.types[kind] = self.names.get(kind, kind.__name__)
            self._enter(MessageType(name, ()), kind)
            fields = tuple(self._field(name, number, told) for number, told in enumerate(info.fields, 1))
            tag = info.tag_field if isinstance(info, inspect.StructType) else None
            self.messages[name] = MessageType(name, fields, getdoc(kind) or "", tag_field=tag)
        return self.types[kind]

    def _enter(self, message: MessageType, source: object) -> None:
        if message.name in self.messages or message.name in self.enums:
            raise TypeError(f"There are two messages of the name {message.name}; one is {source}. Name one in `names`.")
        self.messages[message.name] = message

    def _field(self, message: str, number: int, told: inspect.Field) -> Field:
        place = f"{message}.{told.encode_name}"
        kind, is_optional = _without_none(_plain(told.type))
        shape = self._shape(kind, place)
        has_default, default = _default_of(told)
        if isinstance(shape, Listed | Mapped):
            if is_optional:
                shape = self._boxed(place, shape)
            elif has_default and default:
                raise TypeError(f"{place}: a list or map has no default but an empty one, or None.")
        is_nullable = is_optional and shape != Json()
        if is_nullable and has_default and default is not None:
            raise TypeError(f"{place}: what may be None has no default but None, which absence stands for.")
        is_told = is_nullable or (has_default and default not in _ZEROS)
        return Field(told.encode_name, number, shape, isinstance(shape, Scalar) and is_told, is_nullable)

    def _shape(self, kind: inspect.Type, place: str) -> Shape:
        match kind:
            case inspect.IntType(ge=ge, gt=gt):
                return Scalar("uint64" if (ge is not None and ge >= 0) or (gt is not None and gt >= -1) else "int64")
            case inspect.BoolType() | inspect.FloatType() | inspect.StrType() | inspect.BytesType():
                return Scalar(_SCALARS[type(kind)])
            case inspect.AnyType():
                return Json()
            case inspect.CustomType() if kind.cls is object:
                return Json()
            case inspect.EnumType():
                return self._enum(kind.cls.__name__, [member.value for member in kind.cls], getdoc(kind.cls) or "")
            case inspect.LiteralType():
                return self._enum(self._inner(place), list(kind.values), "")
            case inspect.StructType() | inspect.DataclassType():
                return Reference(self.message_of(kind))
            case inspect.UnionType():
                return self._union(kind, place)
        return self._several(kind, place)

    def _several(self, kind: inspect.Type, place: str) -> Shape:
        if isinstance(kind, _LISTS):
            return Listed(self._item(kind.item_type, place))
        if isinstance(kind, inspect.DictType | inspect.FrozenDictType):
            if not isinstance(_plain(kind.key_type), inspect.StrType):
                raise TypeError(f"{place}: the keys of a map are strings.")
            item = self._item(kind.value_type, place)
            return Json(is_object=True) if item == Json() else Mapped(item)
        if isinstance(kind, inspect.TupleType) and len(kind.item_types) <= len(_ORDINALS):
            return self._fixed(kind, self._inner(place))
        raise TypeError(f"{place}: {kind} has no counterpart in proto3.")

    def _fixed(self, kind: inspect.TupleType, name: str) -> Fixed:
        self._enter(MessageType(name, ()), name)
        told = zip(_ORDINALS, kind.item_types, strict=False)
        parts = tuple(
            self._field(name, number, inspect.Field(ordinal, ordinal, item))
            for number, (ordinal, item) in enumerate(told, 1)
        )
        self.messages[name] = MessageType(name, parts)
        return Fixed(name, parts)

    def _item(self, kind: inspect.Type, place: str) -> Shape:
        shape = self._shape(_plain(kind), place)
        return self._boxed(f"{place}_item", shape) if isinstance(shape, Listed | Mapped) else shape

    def _boxed(self, place: str, inner: Listed | Mapped) -> Boxed:
        name = self._inner(place) + ("List" if isinstance(inner, Listed) else "Map")
        self._enter(MessageType(name, (Field("items", 1, inner),)), place)
        return Boxed(name, inner)

    def _union(self, kind: inspect.UnionType, place: str) -> Shape:
        members = [_plain(member) for member in kind.types]
        if all(isinstance(member, _JSON) for member in members):
            return Json()
        tagged = [member for member in members if isinstance(member, inspect.StructType)]
        if len(tagged) < len(members) or any(member.tag_field is None for member in tagged):
            raise TypeError(f"{place}: a union is of tagged Structs, or of what JSON has; not {kind}.")
        return self._oneof(tagged, self._inner(place))

    def _oneof(self, members: list[inspect.StructType], name: str) -> OneOf:
        fields, told = [], []
        for number, member in enumerate(members, 1):
            reference = Reference(self.message_of(member))
            field = _shouted(reference.name).lower()
            fields.append(Field(field, number, reference))
            told.append((field, member.tag if isinstance(member.tag, int) else str(member.tag), reference))
        self._enter(MessageType(name, tuple(fields), is_oneof=True), name)
        return OneOf(name, str(members[0].tag_field), tuple(told))

    def _enum(self, name: str, values: list[Any], doc: str) -> Choice:
        prefix = _shouted(name.rpartition(".")[2])
        told = EnumType(name, tuple((f"{prefix}_{_shouted(str(value))}", value) for value in values), doc)
        if self.enums.setdefault(name, told) != told or name in self.messages:
            raise TypeError(f"There are two messages of the name {name}. Name one in `names`.")
        return Choice(name)

    def _inner(self, place: str) -> str:
        """The name of a message inside another, for a field of it."""
        message, _, field = place.rpartition(".")
        return f"{message}.{camel(field)}"


def _plain(kind: inspect.Type) -> inspect.Type:
    """A type without what is only told about it."""
    return _plain(kind.type) if isinstance(kind, inspect.Metadata) else kind


def _without_none(kind: inspect.Type) -> tuple[inspect.Type, bool]:
    """`X` and True of `X | None`; of everything else itself, and False."""
    if not isinstance(kind, inspect.UnionType) or not kind.includes_none:
        return kind, False
    others = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
    return (_plain(others[0]) if len(others) == 1 else inspect.UnionType(tuple(others))), True


def _default_of(told: inspect.Field) -> tuple[bool, Any]:
    """Whether a field has a default, and which."""
    if told.default_factory is not NODEFAULT:
        return True, told.default_factory()
    return told.default is not NODEFAULT, told.default
