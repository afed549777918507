"""The description of the interface, and whether the server does what it says: asked by schemathesis."""

import json
from collections.abc import Iterator
from http import HTTPStatus

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import checks
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks as openapi_checks

import blockdb
from blockdb.server.http.openapi import document
from blockdb.wire.operation import Kind
from blockdb.wire.table import OPERATIONS

from .harness import Served, running

SCHEMA = schemathesis.openapi.from_dict(document())

# Streams do not end, a tile of a random path is none, and dropping the collection that others ask about is no test.
LEFT_OUT = {each.name for each in OPERATIONS if each.kind is not Kind.PLAIN} | {"drop", "drop_collection"}
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]
NAMES = [each.name for each in OPERATIONS if each.name not in LEFT_OUT]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with blockdb.open(tmp_path_factory.mktemp("served") / "db") as database, running(database) as served:
        users = database.create_collection("users")
        users.create_index("by_name", ["name"])
        users.put(b"a", {"name": "x"})
        yield served


def ask_as_described(served: Served, name: str, examples: int, schema: schemathesis.BaseSchema = SCHEMA) -> None:
    operation = schema.find_operation_by_id(name)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy())
    def run(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=served.url, checks=CHECKS)

    run()


@pytest.mark.parametrize("name", NAMES[::15])
def test_the_server_does_what_it_says(served: Served, name: str) -> None:
    ask_as_described(served, name, 5)


@pytest.mark.torture
@pytest.mark.parametrize("name", NAMES)
def test_the_server_does_what_it_says_at_length(served: Served, name: str) -> None:
    ask_as_described(served, name, 100)


def test_a_wrong_description_is_noticed(served: Served) -> None:
    wrong = document()
    wrong["components"]["schemas"]["Error"]["properties"]["message"] = {"type": "integer"}
    with pytest.raises(FailureGroup):
        ask_as_described(served, "fetch", 20, schemathesis.openapi.from_dict(wrong))


def test_the_description_is_served_with_a_page_to_try_it(served: Served) -> None:
    answer = served.ask("GET", "/openapi.json")
    assert (answer.status, answer.json) == (HTTPStatus.OK, json.loads(json.dumps(document())))
    page = served.ask("GET", "/docs")
    assert page.status == HTTPStatus.OK
    assert b"docs.js" in page.body
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert b"openapi.json" in served.ask("GET", "/docs.js").body


def test_every_operation_is_described_and_says_what_it_takes() -> None:
    described = {
        operation["operationId"]: operation
        for methods in document()["paths"].values()
        for operation in methods.values()
    }
    assert described.keys() == {each.name for each in OPERATIONS}
    for operation in OPERATIONS:
        assert (described[operation.name].get("security") == []) == (operation.right is None)
        assert str(operation.status) in described[operation.name]["responses"]
