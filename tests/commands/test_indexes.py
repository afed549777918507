"""collection create-index, drop-index, indexes."""

from __future__ import annotations

import json

import pytest

from blockdb.commands.indexes import fields

from .conftest import Run


@pytest.mark.parametrize(
    ("text", "parts"),
    [("a", ["a"]), ("a.b, c[]", ["a.b", "c[]"]), ('"x,y".z,b', ['"x,y".z', "b"]), ("a,,b", ["a", "", "b"])],
)
def test_fields_stand_between_commas(text: str, parts: list[str]) -> None:
    assert fields(text) == parts


def test_indexes_as_they_are_told_of(run: Run) -> None:
    run("collection", "create", "users")
    run("collection", "put", "users", "1", '{"email": "a@b", "age": 7}')
    made = run("collection", "create-index", "users", "email_index", "--fields", "email", "--unique")
    assert (made.code, made.text) == (0, "Index 'email_index' created successfully\n")
    made = run("collection", "create-index", "users", "two", "--fields", "age,tags[]", "--sparse", "--format", "json")
    assert json.loads(made.out)["index"]["fields"] == ["age", "tags[]"]
    listed = [json.loads(line) for line in run("collection", "indexes", "users").text.splitlines()]
    assert [(row["name"], row["fields"], row["kind"], row["entries"], row["state"]) for row in listed] == [
        ("email_index", "email", "unique", 1, "ready"),
        ("two", "age, tags[]", "sparse", 0, "ready"),
    ]
    refused = run("collection", "put", "users", "2", '{"email": "a@b"}')
    assert refused.code != 0
    assert "Index 'email_index' is unique, and record '1' has email = \"a@b\" already." in refused.err
    again = run("collection", "create-index", "users", "two", "--fields", "age")
    assert "Index with name 'two' already exists" in again.err
    dropped = run("collection", "drop-index", "users", "two")
    assert (dropped.code, dropped.text) == (0, "Index 'two' dropped successfully\n")
    missing = run("collection", "drop-index", "users", "two")
    assert "Index 'two' not found" in missing.err
