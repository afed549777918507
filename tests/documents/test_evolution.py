"""Evolution: what was valid stays valid, and what is not compatible is refused with every reason."""

import copy
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from blockdb.documents.evolution import compare, require_compatible
from blockdb.documents.schema import Schema
from blockdb.documents.tree import Node
from blockdb.errors import InvalidData

from .strategies import NAMES, NUMBERS, SCALARS, TEXTS, fields, schemas


def valid(draw: st.DrawFn, node: Node, depth: int = 4) -> Any:
    """Something that the node takes; often, not always."""
    if node.kind is None:
        return draw(SCALARS)
    if node.kind == "Object":
        value = {
            name: valid(draw, child, depth - 1)
            for name, child in node.members.items()
            if child.demanded or draw(st.booleans())
        }
        return value if node.members else dict.fromkeys(draw(st.lists(st.sampled_from(NAMES), max_size=3)), 1)
    if node.kind == "Array":
        member = node.each or Node(())
        return [valid(draw, member, depth - 1) for _ in range(draw(st.integers(0, 3)))]
    fitting = [value for value in (*TEXTS, *NUMBERS, True, False) if not list(node.violations(value))]
    return draw(st.sampled_from(fitting)) if fitting else None


def changed(draw: st.DrawFn, source: dict[str, Any]) -> dict[str, Any]:
    """The schema with a few changes."""
    result = copy.deepcopy(source)
    for _ in range(draw(st.integers(1, 3))):
        paths = sorted(result["fields"])
        match draw(st.integers(0, 6)):
            case 0 if paths:
                del result["fields"][draw(st.sampled_from(paths))]
            case 1:
                path = draw(st.sampled_from(["a", "b", '"c d"', "a.b", "a[]", "b.a", "b[].a"]))
                kind = draw(st.sampled_from(["String", "Integer", "Float", "Object", "Array", "Binary"]))
                result["fields"][path] = draw(fields(kind, path.endswith("[]")))
            case 2 if paths:
                field = result["fields"][draw(st.sampled_from(paths))]
                field["field_type"] = draw(st.sampled_from(["String", "Float", "Integer", "Timestamp"]))
            case 3 if paths:
                result["fields"][draw(st.sampled_from(paths))]["required"] = draw(st.booleans())
            case 4 if paths:
                rules = result["fields"][draw(st.sampled_from(paths))]["validation_rules"]
                if rules:
                    rules.pop(draw(st.integers(0, len(rules) - 1)))
            case 5 if paths:
                for rule in result["fields"][draw(st.sampled_from(paths))]["validation_rules"]:
                    for name, limit in rule.items():
                        if isinstance(limit, int):
                            rule[name] = max(0, limit + draw(st.sampled_from([-1, 1])))
                        if isinstance(limit, list):
                            rule[name] = [*limit, *draw(st.lists(st.sampled_from(limit), max_size=1))]
            case 6:
                result["required_fields"] = draw(st.lists(st.sampled_from(["a", "b", "a.b"]), max_size=1))
    return result


def stays_valid(data: st.DataObject) -> None:
    source = data.draw(schemas())
    try:
        old = Schema.from_json(source)
        new = Schema.from_json(changed(data.draw, source))
    except InvalidData:
        assume(False)
        return
    evolution = compare(old, new)
    assume(not evolution.refusals)
    document = valid(data.draw, old.tree)
    assume(not old.validator().check(document))
    if not any(path.values(document) for path in evolution.additions):
        assert new.validator().check(document) == ()


@settings(max_examples=30)
@given(st.data())
def test_what_was_valid_stays_valid(data: st.DataObject) -> None:
    stays_valid(data)


@pytest.mark.torture
@pytest.mark.timeout(900)
@settings(max_examples=2000, deadline=None)
@given(st.data())
def test_what_was_valid_stays_valid_at_length(data: st.DataObject) -> None:
    stays_valid(data)


@settings(max_examples=20)
@given(schemas())
def test_a_schema_may_follow_itself(source: dict[str, Any]) -> None:
    try:
        schema = Schema.from_json(source)
    except InvalidData:
        assume(False)
        return
    evolution = compare(schema, schema)
    assert evolution.refusals == ()
    assert evolution.additions == ()


def field(kind: str, *rules: dict[str, Any], required: bool = False) -> dict[str, Any]:
    return {"field_type": kind, "required": required, "validation_rules": list(rules)}


def schema(**members: dict[str, Any]) -> Schema:
    return Schema.from_json({"fields": {name.replace("__", "."): member for name, member in members.items()}})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (schema(a=field("Integer")), schema(a=field("Float"))),
        (schema(a=field("Binary", {"MinLength": 1})), schema(a=field("String"))),
        (schema(a=field("String", required=True)), schema(a=field("String"))),
        (schema(a=field("String")), schema()),
        (schema(a=field("String", {"MinLength": 2})), schema(a=field("String", {"MinLength": 1}))),
        (schema(a=field("String", {"MaxLength": 2})), schema(a=field("String", {"MaxLength": 3}))),
        (schema(a=field("String")), schema(a=field("String", {"MinLength": 0}))),
        (schema(a=field("Integer", {"MinValue": 2})), schema(a=field("Float", {"MinValue": 1.5}))),
        (
            schema(a=field("Timestamp", {"MaxValue": 5})),
            schema(a=field("Timestamp", {"MaxValue": "2026-01-01T00:00:00Z"})),
        ),
        (schema(a=field("String", {"OneOf": ["x", "y"]})), schema(a=field("String", {"OneOf": ["z", "y", "x"]}))),
        (
            schema(a=field("String", {"OneOf": ["x", "yy"]})),
            schema(a=field("String", {"MaxLength": 2}, {"Pattern": "x|y"})),
        ),
        (schema(a=field("Integer", {"OneOf": [1]})), schema(a=field("Float", {"OneOf": [1.0, 2.5]}))),
        (schema(a=field("String", {"Pattern": "x"}, {"Pattern": "y"})), schema(a=field("String", {"Pattern": "y"}))),
        (schema(a__b=field("String", required=True)), schema(a=field("Object", required=True), a__b=field("String"))),
    ],
)
def test_compatible_changes(old: Schema, new: Schema) -> None:
    assert require_compatible(old, new) == ()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (schema(a=field("Float")), schema(a=field("Integer")), "`a` becomes Integer, and was Float"),
        (schema(a=field("String")), schema(a=field("Timestamp")), "becomes Timestamp"),
        (schema(a=field("Float", {"OneOf": [1]})), schema(a=field("Integer")), "becomes Integer"),
        (schema(a=field("Binary")), schema(a=field("String", {"MinLength": 1})), "with rules"),
        (schema(a=field("String")), schema(a=field("String", required=True)), "`a` becomes required"),
        (schema(), schema(a=field("String", required=True)), "`a` becomes required"),
        (schema(a=field("String", {"MinLength": 1})), schema(a=field("String", {"MinLength": 2})), "MinLength 2"),
        (schema(a=field("String")), schema(a=field("String", {"MaxLength": 9})), "MaxLength 9"),
        (schema(a=field("Integer", {"MaxValue": 2})), schema(a=field("Integer", {"MaxValue": 1})), "MaxValue 1"),
        (schema(a=field("String")), schema(a=field("String", {"Pattern": "x"})), 'Pattern "x"'),
        (schema(a=field("String")), schema(a=field("String", {"OneOf": ["x"]})), "OneOf"),
        (schema(a=field("String", {"OneOf": ["x", "y"]})), schema(a=field("String", {"OneOf": ["x"]})), '"y" any more'),
        (
            schema(a=field("Object")),
            schema(a=field("Object"), a__b=field("String", required=True)),
            "`a.b` becomes required",
        ),
        (
            schema(a=field("Object"), a__b=field("String", required=True)),
            schema(a__b=field("String", required=True)),
            "`a` becomes required",
        ),
    ],
)
def test_incompatible_changes(old: Schema, new: Schema, reason: str) -> None:
    with pytest.raises(InvalidData, match=f"cannot follow the present one.*{reason}"):
        require_compatible(old, new)


def test_all_reasons_are_told_and_names_that_are_new() -> None:
    old = schema(a=field("String"), b=field("Integer"))
    new = schema(
        a=field("Boolean"), b=field("Integer", {"MinValue": 1}, required=True), c=field("String"), d__e=field("String")
    )
    evolution = compare(old, new)
    assert len(evolution.refusals) == 3
    assert [str(path) for path in evolution.additions] == ["c", "d"]
