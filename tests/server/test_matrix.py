"""Who may do what: everybody × every operation × what it touches, held against a matrix that was written by hand."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from time import time
from typing import Any

import pytest

import blockdb
from blockdb.errors import BlockDBError
from blockdb.security.exposure import Exposure
from blockdb.security.roles import Role
from blockdb.server.authentication import Authenticator
from blockdb.server.http.application import Application
from blockdb.server.service import Service
from blockdb.server.tokens import TokenFile
from blockdb.wire.operation import Kind, Operation
from blockdb.wire.table import BY_NAME
from tests.server.asgi import Asker, path_of
from tests.server.matrix import (
    ABSENT,
    DEFAULT,
    EVERYBODY,
    KNOWN,
    MINE,
    OTHER,
    OTHER_KEY,
    OWN_KEY,
    RULES,
    What,
    Who,
    expected,
    whats,
)
from tests.tiers import tiers

CELLS = [(who, name, what) for name, rule in RULES.items() for what in whats(rule.split()[1]) for who in EVERYBODY]
LEAST_CELLS = 2_000
STEP = 17

BODIES: dict[str, dict[str, Any]] = {
    "create_collection": {"name": "new"},
    "add_index": {"name": "i", "fields": ["a"]},
    "create_index": {"name": "i", "fields": ["a"]},
    "set_schema": {"schema": {"fields": {}}},
    "add_node": {"node_id": "n", "address": "127.0.0.1:1"},
    "redact": {"reason": "law"},
}
"""What stands in the body besides what is touched."""
PARAMETERS = {"index": "i", "number": "0", "sequence": "0", "size": "0", "transaction": "1", "key": "u:1"}
PARAMETERS["path"] = "checkpoint"
QUERIES = {"prove_run": {"first": "0", "count": "1"}, "consistency": {"old_size": "0", "size": "0"}}
QUERIES["database_consistency"] = QUERIES["consistency"]


class Reached(BlockDBError):
    """The request got to what does it."""


@dataclass
class House:
    """A server of a database with two collections, tokens for everybody, and what asks it."""

    database: blockdb.Database
    service: Service
    asker: Asker
    headers: dict[str, dict[str, str]]

    def ask(self, who: Who, name: str, what: What) -> tuple[int, bytes]:
        operation = BY_NAME[name]
        path, query, body = request_of(operation, what)
        return self.asker.ask(operation.method, path, query, body, self.headers[who.label])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    root = tmp_path_factory.mktemp("matrix") / "db"
    with blockdb.open(root, blockchain_batch_size=2, redactable=True) as database:
        collections = [database, *map(database.create_collection, (MINE, OTHER))]
        for collection in collections:
            for key in (OWN_KEY, OTHER_KEY, b"a", b"u:2"):
                collection.put(key, b'{"a": 1}')
        authenticator = Authenticator(root, Exposure(True, False, ()), clock=lambda: time() + 3600)
        service = Service(database, authenticator)
        application = Application(service)
        headers = credentials(TokenFile(root))
        authenticator._look()
        asker = Asker(application)
        yield House(database, service, asker, headers)
        asker.close()
        application.close()
        service.close()


def credentials(file: TokenFile) -> dict[str, dict[str, str]]:
    """The headers of everybody, by their labels."""
    tokens = {who.label: file.create(who.label, Role(who.role), who.collections, who.prefix)[1] for who in KNOWN}
    gone, revoked = file.create("revoked", Role.ADMIN)
    file.revoke(gone.id)
    tokens["expired"] = file.create("expired", Role.ADMIN, expires_ms=int((time() + 1800) * 1000))[1]
    tokens["wrong"] = tokens["admin"][:-16] + "0123456789abcdef"
    tokens["revoked"] = revoked
    headers = {label: {"Authorization": f"Bearer {token}"} for label, token in tokens.items()}
    basic = b64encode(f"admin:{tokens['admin']}".encode()).decode()
    return headers | {"nobody": {}, "basic": {"Authorization": f"Basic {basic}"}}


def request_of(operation: Operation, what: What) -> tuple[str, dict[str, bytes | str], bytes]:
    """Path, query and body of a request."""
    fields = what.fields if what.collection is None else what.fields | {"collection": what.collection}
    given: dict[str, Any] = {"node_id": "n", **PARAMETERS, **fields}
    in_path = operation.parameters
    rest: dict[str, Any] = {name: value for name, value in fields.items() if name not in (*in_path, "keys")}
    path = path_of(operation, given)
    if not operation.has_body:
        return path, rest | QUERIES.get(operation.name, {}), b""
    body = {name: value.decode() if isinstance(value, bytes) else value for name, value in rest.items()}
    keys = [key.decode() for key in fields.get("keys", ())]
    if operation.name == "redact":
        body["keys"] = keys
    elif operation.name == "store_batch":
        body["operations"] = [{"type": "put", "key": key, "value": "v"} for key in keys]
    elif operation.kind is Kind.REQUESTS:
        return path, rest, b"".join(json.dumps({"key": key, "value": "v"}).encode() + b"\n" for key in keys)
    elif keys:
        body["items"] = [{"key": key, "value": "v"} for key in keys]
    if operation.name in ("store", "put", "store_document"):
        body["value"] = "v"
    return path, {}, json.dumps(body | BODIES.get(operation.name, {})).encode()


def told(body: bytes) -> str:
    return str(json.loads(body).get("error"))


def stub(_session: Any, request: Any) -> Any:
    """Stands for what does an operation; of a stream of requests, takes all that are let through."""
    if isinstance(request, Iterator):
        for _ in request:
            pass
    raise Reached("reached")


def test_the_matrix_has_every_operation() -> None:
    assert RULES.keys() == BY_NAME.keys()
    assert len(CELLS) >= LEAST_CELLS


@pytest.mark.parametrize("step", tiers([STEP], [1]))
def test_everybody_may_do_what_the_matrix_says_and_nothing_else(
    house: House, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(house.service, "_handlers", dict.fromkeys(BY_NAME, stub))
    mismatches = []
    for who, name, what in CELLS[::step]:
        status, body = house.ask(who, name, what)
        found = 0 if told(body) == "Reached" else status
        if found != expected(who, RULES[name], what):
            mismatches.append((who.label, name, what.label, found, expected(who, RULES[name], what), body[:200]))
    assert not mismatches, f"{len(mismatches)} of {len(CELLS[::step])}: {mismatches[:5]}"


def fingerprint(database: blockdb.Database) -> tuple[Any, ...]:
    """What shows whether anything was changed."""
    whole = database.checkpoint()
    found = [(info.name, info.id, info.stats, info.schema) for info in database.collections()]
    indexes = [database.collection(name).indexes() for name in (DEFAULT, MINE, OTHER)]
    return whole, found, indexes, database.verifier_key(), database.transactions()


@pytest.mark.parametrize("step", tiers([STEP], [1]))
def test_what_is_denied_has_no_effect(house: House, step: int) -> None:
    """With what really does it."""
    before = fingerprint(house.database)
    for who, name, what in CELLS[step // 2 :: step]:
        status = expected(who, RULES[name], what)
        if status in (401, 403):
            assert house.ask(who, name, what)[0] == status
    assert fingerprint(house.database) == before
    assert house.database.verify().valid


@pytest.mark.parametrize("step", tiers([13], [1]))
def test_who_is_denied_does_not_learn_what_exists(house: House, step: int) -> None:
    """The same words for collections and keys that are there and that are not, by name and by id."""
    other = house.database.collection(OTHER).id
    for who, name, what in CELLS[::step]:
        if expected(who, RULES[name], what) != 403 or what.collection != OTHER:
            continue
        answers = set()
        for asked in (OTHER, other, ABSENT, "col_00000000-0000-0000-0000-000000000000"):
            _, body = house.ask(who, name, What(what.label, asked, what.fields, what.is_within))
            answers.add(body.decode().replace(asked, "NAME"))
        if who.collections is not None:
            assert len(answers) == 1, (who, name, answers)
        if "key" in what.fields:
            gone = What(what.label, what.collection, {"key": b"v:not there"})
            assert house.ask(who, name, what) == house.ask(who, name, gone)


def test_an_id_is_as_good_as_a_name(house: House) -> None:
    """Neither more nor less is allowed by it."""
    known = {who.label: who for who in KNOWN}
    for name, status in ((MINE, 200), (OTHER, 403), (DEFAULT, 403)):
        what = What("", house.database.collection(name).id, {"key": OWN_KEY})
        assert house.ask(known["reader-mine"], "get", what)[0] == status
    what = What("", house.database.collection(DEFAULT).id, {"key": OWN_KEY})
    assert house.ask(known["reader-default"], "get", what)[0] == 200


def test_nobody_reads_beyond_their_prefix_with_a_cursor_of_their_own(house: House) -> None:
    """A cursor is a place, which anybody can write."""
    from blockdb.server.handlers.cursors import cursor_of

    [who] = [who for who in KNOWN if who.label == "reader-prefix"]
    for fields in ({"start": "u:1", "end": "u:9"}, {"prefix": "u:"}):
        for behind in (b"", b"a", b"t", b"u:0", b"v:1", b"zzz", b"\xff"):
            for reverse in ("true", "false"):
                query = fields | {"cursor": cursor_of(3, behind), "reverse": reverse}
                path = f"/api/v1/collections/{MINE}/scan"
                status, body = house.asker.ask("GET", path, query, b"", house.headers[who.label])
                assert status == 200, body
                assert {item["key"] for item in json.loads(body)["items"]} <= {"u:1", "u:2"}


def test_the_lists_of_collections_show_only_ones_own(house: House) -> None:
    for who in KNOWN:
        for path in ("/api/v1/collections", "/api/v1/catalogue"):
            _, body = house.asker.ask("GET", path, headers=house.headers[who.label])
            names = {each["name"] for each in json.loads(body)["collections"]}
            assert names == set(who.collections or (DEFAULT, MINE, OTHER))


def test_a_transaction_belongs_to_who_began_it(house: House) -> None:
    known = {who.label: who for who in KNOWN}
    status, body = house.ask(known["writer"], "begin", What(""))
    assert status == 201
    number = str(json.loads(body)["transaction"])
    for label in ("admin", "writer-mine", "reader"):
        for method, end in (("POST", "/commit"), ("DELETE", "")):
            answers = set()
            for asked in (number, "999999"):
                path = f"/api/v1/transactions/{asked}{end}"
                status, body = house.asker.ask(method, path, headers=house.headers[label])
                answers.add((status, body.decode().replace(f"transaction {asked} ", "")))
            [(status, _)] = answers
            assert status == 404
    house.asker.ask("DELETE", f"/api/v1/transactions/{number}", headers=house.headers["writer"])


def test_an_import_is_denied_before_it_is_read(house: House) -> None:
    """Also an empty one, and one whose first records are one's own."""
    path = f"/api/v1/collections/{MINE}/import"
    status, _ = house.asker.ask("POST", path, headers=house.headers["reader"])
    assert status == 403
    for collection in (OTHER, ABSENT):
        other = f"/api/v1/collections/{collection}/import"
        assert house.asker.ask("POST", other, headers=house.headers["writer-mine"])[0] == 403
    lines = b'{"key": "u:new", "value": "v"}\n{"key": "v:new", "value": "v"}\n'
    status, _ = house.asker.ask("POST", path, body=lines, headers=house.headers["writer-prefix"])
    assert status == 403
    assert not house.database.collection(MINE).exists(b"v:new")
