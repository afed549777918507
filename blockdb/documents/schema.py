"""What is expected of the documents of a collection: fields by their paths, with types, rules and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from blockdb.documents import reading
from blockdb.documents.fields import MAX_FIELDS, Field, SchemaIndex
from blockdb.documents.kinds import FieldType
from blockdb.documents.paths import MISSING, Missing, Path, Value
from blockdb.documents.rules import Rule, RuleName
from blockdb.documents.tree import Node, grow
from blockdb.documents.validator import Validator
from blockdb.documents.values import parse, plain

__all__ = ["MAX_VERSION", "Field", "Schema", "SchemaIndex", "SchemaVersion"]

MAX_VERSION: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Schema:
    """What is expected of documents. Other fields than the ones that are named are allowed. Raises InvalidData.

    Where `address.city` is named, `address` is an Object; where `items[].price` is, `items` is an Array of Objects.
    """

    fields: Mapping[Path, Field]
    required: frozenset[Path] = frozenset()
    """Paths that must be there though nothing else is said of them; fields say it themselves."""
    indexes: tuple[SchemaIndex, ...] = ()
    version: int | None = None
    """From 1; None stands for the next one, whichever that is."""

    tree: Node = field(init=False, compare=False, repr=False)
    """The fields by what is in what."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tree", grow(self.fields, self.required))

    @classmethod
    def from_json(cls, source: Mapping[str, Any] | bytes | str) -> Schema:
        """The schema of its JSON form, an object or its text. Raises InvalidData with the place of what is wrong."""
        if isinstance(source, str):
            source = source.encode("utf-8", "surrogatepass")
        return _schema(parse(source) if isinstance(source, bytes) else plain(source))

    def to_json(self) -> dict[str, Value]:
        """Its JSON form; `from_json` makes an equal schema of it."""
        required = [str(path) for path, field in self.fields.items() if field.required]
        version = {} if self.version is None else {"version": self.version}
        return {
            **version,
            "fields": {str(path): _field_to_json(field) for path, field in self.fields.items()},
            "required_fields": required + sorted(map(str, self.required)),
            "indexes": [_index_to_json(index) for index in self.indexes],
        }

    @classmethod
    def from_json_schema(cls, source: Mapping[str, Any]) -> Schema:
        """The schema that a JSON Schema (draft 2020-12) says. Raises InvalidData with all that cannot be said here."""
        from blockdb.documents.json_schema import from_json_schema

        return from_json_schema(source)

    def to_json_schema(self) -> dict[str, Value]:
        """The schema as JSON Schema. Raises InvalidData with all that cannot be said in it."""
        from blockdb.documents.json_schema import to_json_schema

        return to_json_schema(self)

    def numbered(self, version: int) -> Schema:
        """The same with that version."""
        return replace(self, version=version)

    def validator(self) -> Validator:
        """What checks documents against it, compiled: keep it for as many documents as there are."""
        return Validator(self.tree)


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """A schema that a collection had, or has."""

    version: int
    """From 1, without a gap."""
    first_sequence: int
    """The first record that was, or will be, written under it."""
    time_ms: int
    """When it was set: Unix time in milliseconds."""
    by: str
    schema: Schema


# ── JSON form ────────────────────────────────────────────────────────────────────────────────────────────────────


def _schema(source: Value) -> Schema:
    members = reading.members(source, "", {"version", "fields", "required_fields", "indexes"})
    version = members.get("version")
    if version is not None and (type(version) is not int or not 1 <= version <= MAX_VERSION):
        raise reading.wrong("version", f"expected a whole number from 1 to {MAX_VERSION}")
    fields = _fields(members.get("fields", {}))
    required = _required(members.get("required_fields", []))
    declared = {path: replace(field, required=field.required or path in required) for path, field in fields.items()}
    indexes = _indexes(members.get("indexes", []))
    return Schema(declared, frozenset(required - declared.keys()), indexes, version)


def _fields(source: Value) -> dict[Path, Field]:
    members = reading.members(source, "fields")
    if len(members) > MAX_FIELDS:
        raise reading.wrong("fields", f"{len(members)} fields; {MAX_FIELDS} at most are taken")
    fields: dict[Path, Field] = {}
    for name, definition in members.items():
        at = reading.inside("fields", name)
        path = reading.checked(at, Path.parse, name)
        if path in fields:
            raise reading.wrong(at, f"the path `{path}` occurs twice")
        fields[path] = _field(definition, at)
    return fields


def _field(source: Value, at: str) -> Field:
    members = reading.members(source, at, {"field_type", "required", "default_value", "validation_rules"})
    if "field_type" not in members:
        raise reading.wrong(at, "expected a field_type")
    kind = reading.one_of(members["field_type"], f"{at}.field_type", FieldType)
    required = reading.boolean(members.get("required", False), f"{at}.required")
    rules = _rules(members.get("validation_rules", []), f"{at}.validation_rules")
    return Field(kind, required, _default(members.get("default_value"), kind), rules)


def _default(value: Value, kind: FieldType) -> Value | Missing:
    """Null is none. Text is, where the field is not text, the JSON of the default: "18" of an Integer is 18."""
    if value is None:
        return MISSING
    if type(value) is str and kind not in {FieldType.STRING, FieldType.BINARY, FieldType.TIMESTAMP}:
        return reading.json_of(value)
    return value


def _rules(source: Value, at: str) -> tuple[Rule, ...]:
    return tuple(_rule(member, f"{at}[{place}]") for place, member in enumerate(reading.array(source, at)))


def _rule(source: Value, at: str) -> Rule:
    members = reading.members(source, at, set(RuleName))
    if len(members) != 1:
        raise reading.wrong(at, 'expected an object with one rule, such as {"MinLength": 1}')
    ((name, value),) = members.items()
    return Rule(RuleName(name), tuple(value) if type(value) is list else value)


def _required(source: Value) -> frozenset[Path]:
    paths = reading.array(source, "required_fields", MAX_FIELDS)
    return frozenset(
        reading.checked(f"required_fields[{place}]", Path.parse, reading.text(path, f"required_fields[{place}]"))
        for place, path in enumerate(paths)
    )


def _indexes(source: Value) -> tuple[SchemaIndex, ...]:
    indexes: list[SchemaIndex] = []
    for place, definition in enumerate(reading.array(source, "indexes", MAX_FIELDS)):
        at = f"indexes[{place}]"
        indexes.append(_index(definition, at))
        if any(other.name == indexes[-1].name for other in indexes[:-1]):
            raise reading.wrong(f"{at}.name", f"the name `{indexes[-1].name}` occurs twice")
    return tuple(indexes)


def _index(source: Value, at: str) -> SchemaIndex:
    members = reading.members(source, at, {"name", "fields", "unique", "sparse"})
    name = reading.text(members.get("name"), f"{at}.name")
    texts = reading.array(members.get("fields"), f"{at}.fields")
    paths = [
        reading.checked(f"{at}.fields[{place}]", Path.parse, reading.text(text, f"{at}.fields[{place}]"))
        for place, text in enumerate(texts)
    ]
    if not name or not paths:
        raise reading.wrong(at, "an index has a name, and one field at least")
    unique = reading.boolean(members.get("unique", False), f"{at}.unique")
    return SchemaIndex(name, tuple(paths), unique, reading.boolean(members.get("sparse", False), f"{at}.sparse"))


def _field_to_json(field: Field) -> dict[str, Value]:
    default = {} if field.default is MISSING else {"default_value": field.default}
    rules = [{str(rule.name): list(rule.value) if type(rule.value) is tuple else rule.value} for rule in field.rules]
    return {"field_type": str(field.type), "required": field.required, **default, "validation_rules": rules}


def _index_to_json(index: SchemaIndex) -> dict[str, Value]:
    fields = [str(path) for path in index.fields]
    return {"name": index.name, "fields": fields, "unique": index.unique, "sparse": index.sparse}
