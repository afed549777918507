"""A schema as JSON Schema (draft 2020-12), and JSON Schema as a schema. What cannot be said is refused and named.

Two things differ by nature. An Integer has neither fraction nor exponent, where `integer` takes 1.0. A Timestamp may
also be whole milliseconds, so it goes out as `"type": ["string", "integer"], "format": "date-time"`; `string` alone
comes in too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import floor
from typing import Any, Final

from blockdb.documents import reading
from blockdb.documents.kinds import FieldType
from blockdb.documents.paths import EACH, MISSING, Part, Path, Value
from blockdb.documents.rules import Rule, RuleName
from blockdb.documents.schema import Schema
from blockdb.documents.tree import Node
from blockdb.documents.values import plain, shown
from blockdb.errors import InvalidData

__all__ = ["DIALECT", "from_json_schema", "to_json_schema"]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_OWN: Final = "x-blockdb"
"""The keyword for version and indexes; others ignore keywords that they do not know."""

_TYPES: Final[dict[FieldType, dict[str, Value]]] = {
    FieldType.STRING: {"type": "string"},
    FieldType.INTEGER: {"type": "integer"},
    FieldType.FLOAT: {"type": "number"},
    FieldType.BOOLEAN: {"type": "boolean"},
    FieldType.ARRAY: {"type": "array"},
    FieldType.OBJECT: {"type": "object"},
    FieldType.BINARY: {"type": "string", "contentEncoding": "base64"},
    FieldType.TIMESTAMP: {"type": ["string", "integer"], "format": "date-time"},
}
_LIMITS: Final = {
    FieldType.STRING: {RuleName.MIN_LENGTH: "minLength", RuleName.MAX_LENGTH: "maxLength", RuleName.PATTERN: "pattern"},
    FieldType.INTEGER: {RuleName.MIN_VALUE: "minimum", RuleName.MAX_VALUE: "maximum"},
    FieldType.FLOAT: {RuleName.MIN_VALUE: "minimum", RuleName.MAX_VALUE: "maximum"},
    FieldType.ARRAY: {RuleName.MIN_LENGTH: "minItems", RuleName.MAX_LENGTH: "maxItems"},
    FieldType.OBJECT: {RuleName.MIN_LENGTH: "minProperties", RuleName.MAX_LENGTH: "maxProperties"},
}
_INNER: Final = {FieldType.ARRAY: {"items"}, FieldType.OBJECT: {"properties", "required", "additionalProperties"}}
_SAY_NOTHING: Final = frozenset(
    {"$schema", "$id", "$comment", "title", "description", "examples", "deprecated", "readOnly", "writeOnly"}
)
_RE2_ALONE: Final = re.compile(r"\\[AzaQEC]|\\[pP][A-Z]|\\x\{|\(\?(?!:|<[A-Za-z_])|\[:\^?\w+:\]")
"""What RE2 has in its patterns, and ECMA-262 has not: `\\A`, `\\pN`, `(?i)`, `[:alpha:]` and the like."""


def to_json_schema(schema: Schema) -> dict[str, Value]:
    """The schema as JSON Schema. Raises InvalidData with all that cannot be said in it."""
    problems: list[str] = []
    own = {"version": schema.version, "indexes": schema.to_json()["indexes"]}
    told = {name: value for name, value in own.items() if value}
    result = {"$schema": DIALECT, **_written(schema.tree, problems), **({_OWN: told} if told else {})}
    if problems:
        raise InvalidData(f"JSON Schema cannot say: {'; '.join(problems)}.")
    return result


def from_json_schema(source: Mapping[str, Any]) -> Schema:
    """The schema that a JSON Schema says. Raises InvalidData with all that cannot be said here.

    Titles, descriptions and other words for people are left out.
    """
    reader = _Reader()
    document = plain(source)
    reader.root(document)
    if reader.problems:
        raise InvalidData(f"A schema here cannot say: {'; '.join(reader.problems)}.")
    own = reading.members(document.get(_OWN, {}), _OWN, {"version", "indexes"})
    return Schema.from_json({**own, "fields": reader.fields, "required_fields": reader.required})


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _written(node: Node, problems: list[str]) -> dict[str, Value]:
    if node.kind is None:
        return {}
    result = dict(_TYPES[node.kind])
    for rule in node.rules:
        _write_rule(rule, node, result, problems)
    if node.default is not MISSING:
        result["default"] = node.default
    if node.members:
        result["properties"] = {name: _written(child, problems) for name, child in node.members.items()}
        required = [name for name, child in node.members.items() if child.demanded]
        result |= {"required": required} if required else {}
    if node.each is not None:
        result["items"] = _written(node.each, problems)
    return result


def _write_rule(rule: Rule, node: Node, result: dict[str, Value], problems: list[str]) -> None:
    keyword = _LIMITS.get(node.kind, {}).get(rule.name) if node.kind else None
    if rule.name is RuleName.ONE_OF:
        result["enum"] = list(rule.value)
    elif keyword is None:
        problems.append(f"{rule.name} of `{Path(node.parts)}`, which is {node.kind}")
    elif rule.name is RuleName.PATTERN and (found := _RE2_ALONE.search(rule.value)):
        problems.append(f"`{found.group()}` in the Pattern of `{Path(node.parts)}`")
    elif keyword in result:
        result.setdefault("allOf", []).append({keyword: rule.value})
    else:
        result[keyword] = rule.value


# ── in ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Reader:
    """Goes through a JSON Schema, and collects the fields in their own JSON form."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.fields: dict[str, Value] = {}
        self.required: list[str] = []

    def root(self, source: dict[str, Value]) -> None:
        if source.get("type", "object") != "object":
            self.problems.append(f"`type` {shown(source['type'])}: a document is an object")
            return
        self._known(source, "", _INNER[FieldType.OBJECT] | {"type", _OWN})
        self._members(source, (), "")

    def _members(self, source: dict[str, Value], parts: tuple[Part, ...], at: str) -> None:
        if source.get("additionalProperties", True) not in (True, {}):
            self.problems.append(f"`{reading.inside(at, 'additionalProperties')}`: other fields are always allowed")
        here = reading.inside(at, "properties")
        for name, member in reading.members(source.get("properties", {}), here).items():
            self._field(member, (*parts, name), reading.inside(here, name))
        required = reading.inside(at, "required")
        for place, name in enumerate(reading.array(source.get("required", []), required)):
            self.required.append(str(Path((*parts, reading.text(name, f"{required}[{place}]")))))

    def _field(self, source: Value, parts: tuple[Part, ...], at: str) -> None:
        if source is True or (type(source) is dict and source.keys() <= _SAY_NOTHING):
            return
        members = reading.members(source, at)
        kind = self._kind(members, at)
        if kind is None:
            return
        limits = _LIMITS.get(kind, {})
        inner = _INNER.get(kind, set())
        exclusive = {"exclusiveMinimum", "exclusiveMaximum"} if kind is FieldType.INTEGER else set()
        shape = {*_TYPES[kind], "type", "enum", "const", "default", "allOf", *limits.values()}
        self._known(members, at, shape | inner | exclusive)
        field: dict[str, Value] = {"field_type": str(kind), "validation_rules": self._rules(members, kind, at)}
        if "default" in members:
            field["default_value"] = members["default"]
            if members["default"] is None:
                self.problems.append(f"`{at}.default` null: a field is never null")
        self.fields[str(Path(parts))] = field
        if kind is FieldType.OBJECT:
            self._members(members, parts, at)
        if "items" in members:
            self._field(members["items"], (*parts, EACH), reading.inside(at, "items"))

    def _kind(self, members: dict[str, Value], at: str) -> FieldType | None:
        said = members["type"] if "type" in members else _type_of(members)
        if said == "string" and members.get("contentEncoding") == "base64":
            return FieldType.BINARY
        if said in ("string", ["string", "integer"], ["integer", "string"]) and members.get("format") == "date-time":
            return FieldType.TIMESTAMP
        plainly = {keywords["type"]: kind for kind, keywords in _TYPES.items() if len(keywords) == 1}
        if type(said) is str and said in plainly:
            return plainly[said]
        what = "without a type" if said is None else f"of the type {shown(said)}"
        self.problems.append(f"`{at}`, which is {what}: a field has one type, and is never null")
        return None

    def _rules(self, members: dict[str, Value], kind: FieldType, at: str) -> list[dict[str, Value]]:
        keywords = {keyword: str(name) for name, keyword in _LIMITS.get(kind, {}).items()}
        rules = [{keywords[keyword]: value} for keyword, value in members.items() if keyword in keywords]
        for name, step in (("exclusiveMinimum", 1), ("exclusiveMaximum", -1)):
            if name in members and kind is FieldType.INTEGER:
                rules.append(self._exclusive(members[name], step, reading.inside(at, name)))
        if "enum" in members:
            rules.append({"OneOf": members["enum"]})
        if "const" in members:
            rules.append({"OneOf": [members["const"]]})
        for place, part in enumerate(reading.array(members.get("allOf", []), f"{at}.allOf")):
            here = f"{at}.allOf[{place}]"
            if type(part) is not dict or part.keys() != {"pattern"} or kind is not FieldType.STRING:
                self.problems.append(f"`{here}`: only patterns of a string may stand there")
            else:
                rules.append({"Pattern": part["pattern"]})
        return rules

    def _exclusive(self, limit: Value, step: int, at: str) -> dict[str, Value]:
        if type(limit) not in (int, float):
            raise reading.wrong(at, f"expected a number, found {shown(limit)}")
        if step > 0:
            return {"MinValue": floor(limit) + 1}
        return {"MaxValue": -floor(-limit) - 1}

    def _known(self, members: dict[str, Value], at: str, known: set[str]) -> None:
        self.problems += [f"`{reading.inside(at, name)}`" for name in members if name not in known | _SAY_NOTHING]


def _type_of(members: dict[str, Value]) -> str | None:
    """The type of all values that `enum` or `const` name; None if they differ, or there are none."""
    choices = [members["const"]] if "const" in members else members.get("enum")
    kinds = {type(choice) for choice in choices} if type(choices) is list else set()
    if kinds == {int, float}:
        return "number"
    names = {str: "string", int: "integer", float: "number", bool: "boolean"}
    return names.get(kinds.pop()) if len(kinds) == 1 else None
