"""Schemas: what they accept is what the oracle accepts; malformed ones are refused with the place."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from blockdb.documents.json_schema import from_json_schema, to_json_schema
from blockdb.documents.schema import Schema
from blockdb.errors import InvalidData

from . import oracle
from .strategies import DOCUMENTS, VALUES, schemas

USERS: dict[str, Any] = {
    "version": 1,
    "fields": {
        "email": {"field_type": "String", "required": True, "validation_rules": [{"Pattern": "^[^@]+@[^@]+\\.[^@]+$"}]},
        "name": {"field_type": "String", "required": True, "validation_rules": [{"MinLength": 1}, {"MaxLength": 100}]},
        "age": {"field_type": "Integer", "validation_rules": [{"MinValue": 0}], "default_value": "18"},
        "address": {"field_type": "Object"},
        "address.city": {"field_type": "String", "required": True, "default_value": "Oslo"},
        "tags": {"field_type": "Array", "validation_rules": [{"MaxLength": 3}], "default_value": []},
        "tags[]": {"field_type": "String", "validation_rules": [{"OneOf": ["vip", "new"]}]},
        "items[].price": {"field_type": "Float", "required": True},
        "items[].count": {"field_type": "Integer", "default_value": 1},
    },
    "required_fields": ["email"],
    "indexes": [{"name": "email_index", "fields": ["email"], "unique": True, "sparse": False}],
}


def agree(source: dict[str, Any], document: dict[str, Any]) -> None:
    """The oracle, the exact check and the quick one say the same."""
    try:
        schema = Schema.from_json(source)
    except InvalidData as error:
        assume(False)
        raise AssertionError from error
    validator = schema.validator()
    found = {(violation.path, str(violation.rule)) for violation in validator.check(document)}
    assert found == oracle.violations(schema.to_json(), document)
    assert validator.accepts(document) == (not found)
    assert Schema.from_json(schema.to_json()) == schema


@settings(max_examples=50)
@given(schemas(), DOCUMENTS)
def test_documents_are_judged_as_by_the_oracle(source: dict[str, Any], document: dict[str, Any]) -> None:
    agree(source, document)


@pytest.mark.torture
@pytest.mark.timeout(900)
@settings(max_examples=3000, deadline=None)
@given(schemas(), DOCUMENTS)
def test_documents_are_judged_as_by_the_oracle_at_length(source: dict[str, Any], document: dict[str, Any]) -> None:
    agree(source, document)


def test_all_violations_are_told_at_once_with_their_paths() -> None:
    validator = Schema.from_json(USERS).validator()
    document = {
        "email": "x",
        "age": -1,
        "address": {"city": None},
        "tags": ["vip", "old", 1],
        "items": [{"price": True}, {}, 3],
    }
    told = {violation.path: violation.message for violation in validator.check(document)}
    assert told == {
        "email": "does not match the pattern `^[^@]+@[^@]+\\.[^@]+$`",
        "name": "is missing, and it is required",
        "age": "is -1, where 0 at least is expected",
        "address.city": "is null, where a String is expected",
        "tags[1]": 'is "old", which is none of ["vip","new"]',
        "tags[2]": "is 1, where a String is expected",
        "items[0].price": "is true, where a Float (a number) is expected",
        "items[1].price": "is missing, and it is required",
        "items[2]": "is 3, where an Object is expected",
    }


def test_the_quick_check_looks_into_arrays() -> None:
    accepts = Schema.from_json(USERS).validator().accepts
    document: dict[str, Any] = {
        "email": "a@b.c",
        "name": "A",
        "age": 1,
        "tags": ["vip"],
        "items": [{"price": 1, "count": 1}],
    }
    assert accepts(document)
    assert not accepts({**document, "tags": ["vip", "old"]})
    assert not accepts({**document, "items": [*document["items"], {"count": 1}]})


def test_defaults_are_filled_in_where_there_is_an_object_for_them() -> None:
    validator = Schema.from_json(USERS).validator()
    document: dict[str, Any] = {"email": "a@b.c", "name": "A", "items": [{"price": 1}, {"price": 2, "count": 5}]}
    assert not validator.accepts(document)
    assert validator.check(document) == ()
    assert validator.fill(document)
    assert document == {
        "email": "a@b.c",
        "name": "A",
        "age": 18,
        "tags": [],
        "items": [{"price": 1, "count": 1}, {"price": 2, "count": 5}],
    }
    assert validator.accepts(document)
    assert not validator.fill(document)
    document["tags"].append("vip")
    other: dict[str, Any] = {"email": "a@b.c", "name": "B", "address": {}}
    assert validator.fill(other)
    assert other["tags"] == []
    assert other["address"] == {"city": "Oslo"}


def test_what_must_be_there_says_so_where_its_object_is_not_named() -> None:
    alone = Schema.from_json({"fields": {"a.b.c": {"field_type": "String", "required": True}}}).validator()
    assert [violation.path for violation in alone.check({})] == ["a.b.c"]
    beside = {"a.b": {"field_type": "Object"}, "a.b.c": {"field_type": "String", "required": True}}
    validator = Schema.from_json({"fields": beside}).validator()
    assert validator.accepts({})
    assert [violation.path for violation in validator.check({"a": {"b": {}}})] == ["a.b.c"]


VALUES_BY_TYPE: dict[str, list[Any]] = {
    "String": ["", "é"],
    "Integer": [0, -1, 10**30],
    "Float": [0, 0.5, 10**30, -0.0],
    "Boolean": [True, False],
    "Array": [[], [None]],
    "Object": [{}, {"a": None}],
    "Binary": ["", "aGk="],
    "Timestamp": [0, -62135596800000, 253402300799999, "2026-01-31T12:00:00Z", "2026-01-31t12:00:00.25+23:59"],
}
NO_TIMES = [
    "2026-02-30T00:00:00Z",
    "2026-01-31T12:00:00",
    "2026-01-31 12:00:00Z",
    "2026-01-31T12:00:00+0100",
    "2026-01-31",
]
OTHERS = [None, "=", "aGk", "aGk=\n", 253402300800000, "20260131T120000Z", "2026-W05-6T12:00:00Z", *NO_TIMES]


@pytest.mark.parametrize("kind", VALUES_BY_TYPE)
def test_what_is_of_a_type(kind: str) -> None:
    validator = Schema.from_json({"fields": {"a": {"field_type": kind}}}).validator()
    candidates = [*(value for values in VALUES_BY_TYPE.values() for value in values), *OTHERS]
    for value in candidates:
        expected = oracle.is_of(kind, value)
        assert validator.accepts({"a": value}) == expected, value
        assert (not validator.check({"a": value})) == expected, value
    assert all(validator.accepts({"a": value}) for value in VALUES_BY_TYPE[kind])


def test_so_many_violations_are_told_and_no_more() -> None:
    validator = Schema.from_json({"fields": {"a[]": {"field_type": "String"}}}).validator()
    assert len(validator.check({"a": list(range(5000))})) == 1000


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ({"colour": 1}, "colour"),
        ({"version": 0}, "version"),
        ({"version": True}, "version"),
        ({"fields": []}, "fields"),
        ({"fields": {"a..b": {"field_type": "String"}}}, 'fields."a..b"'),
        ({"fields": {"a": 5}}, "fields.a"),
        ({"fields": {"a": {}}}, "fields.a"),
        ({"fields": {"a": {"field_type": "Text"}}}, "fields.a.field_type"),
        ({"fields": {"a": {"field_type": ["String"]}}}, "fields.a.field_type"),
        ({"fields": {"a": {"field_type": "String", "required": 1}}}, "fields.a.required"),
        ({"fields": {"a": {"field_type": "String", "colour": 1}}}, "fields.a.colour"),
        ({"fields": {"a": {"field_type": "String"}, '"a"': {"field_type": "String"}}}, r'fields."\\"a\\""'),
        ({"fields": {"a": {"field_type": "Integer", "default_value": "x"}}}, "fields.a.default_value"),
        ({"fields": {"a": {"field_type": "Array"}, "a.b": {"field_type": "String"}}}, "fields.a"),
        ({"fields": {"a[]": {"field_type": "String"}, "a.b": {"field_type": "String"}}}, "fields.a"),
        ({"fields": {"a[]": {"field_type": "String", "required": True}}}, r'fields."a\[\]"'),
        ({"fields": {"a[]": {"field_type": "String", "default_value": "x"}}}, r'fields."a\[\]"'),
        ({"required_fields": "a"}, "required_fields"),
        ({"required_fields": ["a", 5]}, r"required_fields\[1\]"),
        ({"required_fields": ["a."]}, r"required_fields\[0\]"),
        ({"indexes": [{"name": "x"}]}, r"indexes\[0\].fields"),
        ({"indexes": [{"name": "x", "fields": []}]}, r"indexes\[0\]"),
        ({"indexes": [{"name": "x", "fields": ["a"]}] * 2}, r"indexes\[1\].name"),
        ({"indexes": [{"name": "x", "fields": ["a["]}]}, r"indexes\[0\].fields\[0\]"),
    ],
)
def test_malformed_schemas_are_refused_with_the_place(source: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidData, match=f"^The schema is wrong at `{place}`:"):
        Schema.from_json(source)


@pytest.mark.parametrize(
    ("kind", "rules", "what"),
    [
        ("Integer", [{"MinLength": 1}], "MinLength is for fields of the types"),
        ("String", [{"MinValue": 1}], "MinValue is for fields of the types"),
        ("Array", [{"OneOf": [[]]}], "OneOf is for fields of the types"),
        ("Timestamp", [{"Pattern": "x"}], "Pattern is for fields of the types String"),
        ("String", [{"MinLength": -1}], "whole number from 0"),
        ("String", [{"MinLength": True}], "whole number from 0"),
        ("String", [{"MinLength": 1.0}], "whole number from 0"),
        ("String", [{"Pattern": 1}], "Pattern is a string"),
        ("String", [{"Pattern": "a("}], "missing \\)"),
        ("String", [{"Pattern": "(?=a)"}], "RE2"),
        ("String", [{"Pattern": "(a)\\1"}], "RE2"),
        ("String", [{"Pattern": "(x{1000}){1000}"}], "RE2"),
        ("String", [{"Pattern": "x" * 5000}], "4096 at most"),
        ("Integer", [{"MinValue": "1"}], "MinValue of this field is a Float"),
        ("Timestamp", [{"MinValue": "yesterday"}], "MinValue of this field is a Timestamp"),
        ("Integer", [{"OneOf": []}], "1 to 10000"),
        ("Integer", [{"OneOf": 5}], "1 to 10000"),
        ("Integer", [{"OneOf": [1, 1.5]}], "1.5 is not"),
        ("Integer", [{"OneOf": [True]}], "true is not"),
        ("Integer", [{"MinValue": 1}, {"MinValue": 2}], "occurs twice"),
        ("Integer", [{"MinValue": 2}, {"MaxValue": 1.5}], "no value fits"),
        ("String", [{"MinLength": 2}, {"MaxLength": 1}], "no value fits"),
        ("Timestamp", [{"MinValue": 5}, {"MaxValue": "1970-01-01T00:00:00Z"}], "no value fits"),
        ("String", [{"Length": 1}], "there is no such member"),
        ("String", [{}], "an object with one rule"),
        ("String", [{"MinLength": 1, "MaxLength": 2}], "an object with one rule"),
        ("String", {"MinLength": 1}, "expected an array"),
        ("String", [5], "expected an object"),
    ],
)
def test_rules_that_make_no_sense_are_refused(kind: str, rules: Any, what: str) -> None:
    with pytest.raises(InvalidData, match=rf"^The schema is wrong at `fields.a.validation_rules.*`: .*{what}"):
        Schema.from_json({"fields": {"a": {"field_type": kind, "validation_rules": rules}}})


def mutated(draw: Any, source: Any) -> Any:
    """The same with something else at one place."""
    if not isinstance(source, dict | list) or not source or draw(st.integers(0, 4)) == 0:
        return draw(st.one_of(VALUES, st.binary(max_size=2), st.text(max_size=3)))
    result = copy.copy(source)
    place = draw(st.sampled_from(sorted(source) if isinstance(source, dict) else range(len(source))))
    if isinstance(result, dict) and draw(st.integers(0, 9)) == 0:
        result[draw(st.text(max_size=3))] = result.pop(place)
    else:
        result[place] = mutated(draw, result[place])
    return result


def test_a_rule_whose_value_is_of_another_kind_says_which() -> None:
    email = USERS["fields"]["email"] | {"validation_rules": [{"Pattern": []}]}
    with pytest.raises(InvalidData, match="Pattern is a string, and this is an array"):
        Schema.from_json(USERS | {"fields": USERS["fields"] | {"email": email}})


@settings(max_examples=60)
@given(st.data())
def test_whatever_is_given_as_a_schema_is_one_or_is_refused(data: st.DataObject) -> None:
    source = mutated(data.draw, USERS)
    try:
        schema = Schema.from_json(source)
    except InvalidData:
        return
    assert Schema.from_json(msgspec.json.encode(schema.to_json())) == schema
    schema.validator().check({"tags": 1})


@settings(max_examples=25)
@given(schemas(), DOCUMENTS)
def test_json_schema_says_the_same(source: dict[str, Any], document: dict[str, Any]) -> None:
    try:
        schema = Schema.from_json(source)
        said = to_json_schema(schema)
    except InvalidData:
        assume(False)
        return
    again = from_json_schema(msgspec.json.decode(msgspec.json.encode(said)))
    before, after = schema.validator().check(document), again.validator().check(document)
    assert bool(before) == bool(after)


def test_json_schema_of_the_usual_kind() -> None:
    schema = Schema.from_json(USERS)
    said = to_json_schema(schema)
    assert said["required"] == ["email", "name"]
    assert said["properties"]["address"] == {
        "type": "object",
        "properties": {"city": {"type": "string", "default": "Oslo"}},
        "required": ["city"],
    }
    assert said["properties"]["tags"]["items"] == {"type": "string", "enum": ["vip", "new"]}
    assert said["x-blockdb"] == {"version": 1, "indexes": USERS["indexes"]}
    again = from_json_schema(said)
    assert again.version == 1
    assert again.indexes == schema.indexes


def test_json_schema_that_others_write_is_read() -> None:
    schema = from_json_schema(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "A user",
            "type": "object",
            "properties": {
                "id": {"type": "integer", "exclusiveMinimum": 0, "description": "who"},
                "level": {"enum": [1, 2.5]},
                "kind": {"const": "user"},
                "born": {"type": "string", "format": "date-time"},
                "code": {"type": "string", "allOf": [{"pattern": "^a"}, {"pattern": "b$"}]},
                "anything": {},
            },
            "required": ["id", "anything"],
        }
    )
    validator = schema.validator()
    assert validator.accepts(
        {"id": 1, "level": 1, "kind": "user", "born": "2026-01-01T00:00:00Z", "code": "ab", "anything": None}
    )
    wrong = validator.check({"id": 0, "level": 3, "kind": "x", "born": "2026", "code": "a"})
    assert [violation.path for violation in wrong] == ["id", "level", "kind", "born", "code", "anything"]


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ({"type": "array"}, ["`type`"]),
        (
            {"properties": {"a": {"type": "string", "format": "email"}, "b": {"$ref": "#/$defs/b"}}, "$defs": {}},
            ["`\\$defs`", "`properties.a.format`", "`properties.b`"],
        ),
        ({"properties": {"a": {"type": ["string", "null"]}}}, ["`properties.a`"]),
        (
            {"properties": {"a": {"type": "number", "multipleOf": 2, "exclusiveMinimum": 1}}},
            ["multipleOf", "exclusiveMinimum"],
        ),
        ({"additionalProperties": False}, ["additionalProperties"]),
        (
            {"properties": {"a": {"type": "object", "additionalProperties": False}}},
            ["properties.a.additionalProperties"],
        ),
        ({"properties": {"a": {"type": "integer", "default": None}}}, ["properties.a.default"]),
        ({"properties": {"a": {"type": "array", "prefixItems": []}}}, ["properties.a.prefixItems"]),
        ({"properties": {"a": {"enum": 5}}}, ["`properties.a`"]),
        ({"oneOf": []}, ["`oneOf`"]),
    ],
)
def test_what_json_schema_says_and_a_schema_cannot_is_named(source: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(InvalidData, match=".*".join(["^A schema here cannot say: ", *named])):
        from_json_schema(source)


@pytest.mark.parametrize(
    ("kind", "rule", "named"),
    [
        ("Binary", {"MinLength": 1}, "MinLength of `a`"),
        ("Timestamp", {"MaxValue": 1}, "MaxValue of `a`"),
        ("String", {"Pattern": "(?i)x"}, r"`\(\?` in the Pattern of `a`"),
        ("String", {"Pattern": "[[:alpha:]]"}, "alpha"),
    ],
)
def test_what_a_schema_says_and_json_schema_cannot_is_named(kind: str, rule: dict[str, Any], named: str) -> None:
    schema = Schema.from_json({"fields": {"a": {"field_type": kind, "validation_rules": [rule]}}})
    with pytest.raises(InvalidData, match=f"^JSON Schema cannot say: .*{named}"):
        to_json_schema(schema)
