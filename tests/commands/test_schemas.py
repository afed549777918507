"""collection schema, and collection create --schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import blockdb

from .conftest import Run

USERS: dict[str, Any] = {
    "fields": {
        "email": {"field_type": "String", "required": True, "validation_rules": [{"Pattern": "@"}]},
        "born\x1b": {"field_type": "Timestamp"},
    },
    "required_fields": ["email"],
    "indexes": [{"name": "by_email", "fields": ["email"], "unique": True, "sparse": False}],
}
USERS["fields"]['"born\\u001b"'] = USERS["fields"].pop("born\x1b")


@pytest.fixture
def users(run: Run, here: Path) -> Path:
    """The file of a schema, and a collection that has it."""
    file = here / "users.json"
    file.write_text(json.dumps(USERS))
    assert run("collection", "create", "users", "--schema", str(file), "--by", "me").code == 0
    return file


def test_a_schema_is_set_shown_and_followed(run: Run, here: Path, users: Path) -> None:
    shown = json.loads(run("collection", "schema", "users").out)
    assert shown == blockdb.Schema.from_json(USERS).numbered(1).to_json()
    assert json.loads(run("collection", "schema", "users", "--format", "json").out) == shown
    done = run("collection", "schema", "users", "--set", str(users), "--by", "you")
    assert done.text == "Schema of collection 'users' set: version 2, from record 0 on\n"
    listed = [json.loads(line) for line in run("collection", "schema", "users", "--history").text.splitlines()]
    assert [(line["version"], line["first_sequence"], line["by"]) for line in listed] == [(1, 0, "me"), (2, 0, "you")]
    assert "Schema: version 2" in run("collection", "describe", "users").text


def test_what_is_not_valid_is_refused_with_everything_that_is_wrong(run: Run, users: Path) -> None:
    refused = run("collection", "put", "users", "a", '{"email":"x","born\\u001b":"today"}')
    assert refused.code == 1
    assert refused.err.startswith("Error: ValidationError: The document of key 'a' is not as the schema says: `email` ")
    assert '; `"born\\u001b"` is "today"' in refused.err
    assert run("collection", "put", "users", "a", "text").err.startswith("Error: InvalidData: The value of key 'a'")
    assert run("collection", "put", "users", "a", '{"email":"x@y"}').code == 0
    assert run("collection", "put", "users", "b", '{"email":"x@y"}').err.startswith("Error: UniqueViolation: ")


def test_json_schema_goes_out_and_comes_in(run: Run, here: Path, users: Path) -> None:
    said = run("collection", "schema", "users", "--json-schema").out
    assert json.loads(said)["properties"]["email"] == {"type": "string", "pattern": "@"}
    assert run("collection", "create", "others", "--schema", "-", stdin=said).code == 0
    assert run("collection", "schema", "others").out == run("collection", "schema", "users").out


def test_where_there_is_no_schema(run: Run) -> None:
    run("put", "a", "b")
    assert (
        run("collection", "schema", "default").text == "Collection 'default' has no schema: its values are any bytes\n"
    )
    assert run("collection", "schema", "default", "--history").out == b""


@pytest.mark.parametrize(
    ("text", "words", "code", "error"),
    [
        (None, (), 1, "IoError: cannot open new.json"),
        ("{", (), 1, "InvalidData: new.json: This is not a document: invalid JSON at byte 1"),
        ('{"fields":{"a":5}}', (), 1, "InvalidData: new.json: The schema is wrong at `fields.a`"),
        ('{"properties":{"a":{"$ref":"b"}}}', (), 1, "InvalidData: new.json: A schema here cannot say: `properties.a`"),
        ('{"fields":{"email":{"field_type":"Float"}}}', (), 1, "InvalidData: The schema cannot follow the present one"),
        ("{}", ("--history",), 2, "Usage: --set is given alone"),
    ],
)
def test_what_cannot_be_set(
    run: Run, here: Path, users: Path, text: str | None, words: tuple[str, ...], code: int, error: str
) -> None:
    if text is not None:
        (here / "new.json").write_text(text)
    done = run("collection", "schema", "users", "--set", "new.json", *words)
    assert (done.code, done.out) == (code, b"")
    assert done.err.startswith(f"Error: {error}")
    assert run("collection", "schema", "users", "--history").text.count("\n") == 1
