"""Who may do what: everybody × every operation × what it touches, held against a matrix that was written by hand."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

import grpc
import pytest

import blockdb
from blockdb.errors import BlockDBError, Unauthenticated
from blockdb.security.exposure import Exposure
from blockdb.security.roles import Role
from blockdb.server.authentication import Authenticator
from blockdb.server.gathering import Gatherer
from blockdb.server.grpc.door import GrpcDoor
from blockdb.server.http.application import Application
from blockdb.server.reference import reference
from blockdb.server.service import Call, Service
from blockdb.server.tokens import TokenFile
from blockdb.wire.messages.server import Watch
from blockdb.wire.table import BY_NAME
from tests.server.asgi import Asker
from tests.server.doors import Door, Grpc, Http, request_of
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
STEP = 61

KINDS = {401: "Unauthenticated", 403: "Forbidden", 404: "CollectionNotFound", 0: "Reached"}
DOORS = ("json", "msgpack", "grpc")


def cells(door: str) -> list[tuple[Who, str, What]]:
    """The cells of a door."""
    return [cell for cell in CELLS if door != "grpc" or not BY_NAME[cell[1]].is_rest]


class Reached(BlockDBError):
    """The request got to what does it."""


@dataclass
class House:
    """A server of a database with two collections, tokens for everybody, and what asks it."""

    database: blockdb.Database
    service: Service
    asker: Asker
    doors: dict[str, Door]
    headers: dict[str, dict[str, str]]
    authenticator: Authenticator

    def ask(self, who: Who, name: str, what: What, door: str = "json") -> tuple[str, str]:
        """The kind of the error (empty: there was none), and all that was said."""
        operation = BY_NAME[name]
        return self.doors[door].ask(self.headers[who.label], operation, request_of(operation, what))


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
        door = GrpcDoor(service, "127.0.0.1:0")
        with grpc.insecure_channel(f"127.0.0.1:{door.start()}") as channel:
            doors: dict[str, Door] = {"json": Http(asker, False), "msgpack": Http(asker, True), "grpc": Grpc(channel)}
            yield House(database, service, asker, doors, headers, authenticator)
        door.stop()
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


def stub(_session: Any, request: Any) -> Any:
    """Stands for what does an operation; of a stream of requests, takes all that are let through."""
    if isinstance(request, Iterator):
        for _ in request:
            pass
    raise Reached("reached")


def test_the_matrix_has_every_operation() -> None:
    assert RULES.keys() == BY_NAME.keys()
    assert len(CELLS) >= LEAST_CELLS


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("step", tiers([STEP], [1]))
def test_everybody_may_do_what_the_matrix_says_and_nothing_else(
    house: House, monkeypatch: pytest.MonkeyPatch, step: int, door: str
) -> None:
    monkeypatch.setattr(house.service, "_handlers", dict.fromkeys(BY_NAME, stub))
    monkeypatch.setattr(Gatherer, "_stored", lambda _, __, asked: [Reached("reached") for _ in asked])
    tried = cells(door)[DOORS.index(door) :: step]
    mismatches = []
    for who, name, what in tried:
        found, words = house.ask(who, name, what, door)
        wanted = KINDS[expected(who, RULES[name], what)]
        if found != wanted:
            mismatches.append((who.label, name, what.label, found, wanted, words))
    assert not mismatches, f"{len(mismatches)} of {len(tried)}: {mismatches[:5]}"


def fingerprint(database: blockdb.Database) -> tuple[Any, ...]:
    """What shows whether anything was changed."""
    whole = database.checkpoint()
    found = [(info.name, info.id, info.stats, info.schema) for info in database.collections()]
    indexes = [database.collection(name).indexes() for name in (DEFAULT, MINE, OTHER)]
    return whole, found, indexes, database.verifier_key(), database.transactions()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("step", tiers([2 * STEP], [1]))
def test_what_is_denied_has_no_effect(house: House, step: int, door: str) -> None:
    """With what really does it."""
    before = fingerprint(house.database)
    for who, name, what in cells(door)[step // 2 :: step]:
        status = expected(who, RULES[name], what)
        if status in (401, 403):
            assert house.ask(who, name, what, door)[0] == KINDS[status]
    assert fingerprint(house.database) == before
    assert house.database.verify().valid


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("step", tiers([29], [1]))
def test_the_other_ways_of_a_write_are_guarded_alike(house: House, step: int, door: str) -> None:
    """Those that wait for the disk go in groups, and those with a key of their own may have been answered before."""
    before = fingerprint(house.database)
    writes = [cell for cell in cells(door) if cell[1] in ("put", "store", "store_document")]
    denied = [(cell, status) for cell in writes if (status := expected(cell[0], RULES[cell[1]], cell[2])) in (401, 403)]
    for number, ((who, name, what), status) in enumerate(denied[::step]):
        operation, headers = BY_NAME[name], house.headers[who.label]
        request = request_of(operation, What("", what.collection, {**what.fields, "sync": True}))
        assert house.doors[door].ask(headers, operation, request)[0] == KINDS[status]
        named = {**headers, "Idempotency-Key": f"{door}{number}"}
        for _ in range(2):
            assert house.doors[door].ask(named, operation, request_of(operation, what))[0] == KINDS[status]
    assert fingerprint(house.database) == before


def test_an_answer_is_not_given_to_somebody_else(house: House) -> None:
    """Nor is it given again to whoever may not ask for it any more."""
    operation = BY_NAME["put"]
    request = request_of(operation, What("", MINE, {"key": b"u:once"}))
    file, named = TokenFile(house.database.path), {"Idempotency-Key": "once"}
    info, token = file.create("retrying", Role.WRITER, [MINE])
    house.authenticator._look()
    headers = {"Authorization": f"Bearer {token}", **named}
    assert [house.doors["json"].ask(headers, operation, request)[0] for _ in range(2)] == ["", ""]
    assert house.doors["json"].ask({**house.headers["writer"], **named}, operation, request)[0] == "DuplicateKey"
    assert house.doors["json"].ask({**house.headers["reader"], **named}, operation, request)[0] == "Forbidden"
    file.revoke(info.id)
    house.authenticator._look()
    assert house.doors["json"].ask(headers, operation, request)[0] == "Unauthenticated"


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("step", tiers([3 * STEP], [1]))
def test_who_is_denied_does_not_learn_what_exists(house: House, step: int, door: str) -> None:
    """The same words for collections and keys that are there and that are not, by name and by id."""
    other = house.database.collection(OTHER).id
    denied = [cell for cell in cells(door) if cell[2].collection == OTHER and is_denied(cell)]
    for who, name, what in denied[::step]:
        answers = set()
        for asked in (OTHER, other, ABSENT, "col_00000000-0000-0000-0000-000000000000"):
            _, words = house.ask(who, name, What(what.label, asked, what.fields, what.is_within), door)
            answers.add(words.replace(asked, "NAME"))
        if who.collections is not None:
            assert len(answers) == 1, (who, name, answers)
        if "key" in what.fields:
            gone = What(what.label, what.collection, {"key": b"v:not there"})
            assert house.ask(who, name, what, door) == house.ask(who, name, gone, door)


def is_denied(cell: tuple[Who, str, What]) -> bool:
    who, name, what = cell
    return expected(who, RULES[name], what) == 403


def test_an_id_is_as_good_as_a_name(house: House) -> None:
    """Neither more nor less is allowed by it."""
    known = {who.label: who for who in KNOWN}
    for name, kind in ((MINE, ""), (OTHER, "Forbidden"), (DEFAULT, "Forbidden")):
        what = What("", house.database.collection(name).id, {"key": OWN_KEY})
        assert house.ask(known["reader-mine"], "get", what)[0] == kind
    what = What("", house.database.collection(DEFAULT).id, {"key": OWN_KEY})
    assert house.ask(known["reader-default"], "get", what)[0] == ""


def test_nobody_reads_beyond_their_prefix_with_a_cursor_of_their_own(house: House) -> None:
    """A cursor is a place, which anybody can write."""
    from blockdb.types import AsOf
    from blockdb.wire.cursors import cursor_of

    [who] = [who for who in KNOWN if who.label == "reader-prefix"]
    for fields in ({"start": "u:1", "end": "u:9"}, {"prefix": "u:"}):
        for behind in (b"", b"a", b"t", b"u:0", b"v:1", b"zzz", b"\xff"):
            for reverse in ("true", "false"):
                query = fields | {"cursor": cursor_of(AsOf(sequence=3), behind), "reverse": reverse}
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
    [who] = [who for who in KNOWN if who.label == "writer"]
    kind, words = house.ask(who, "begin", What(""))
    assert kind == ""
    number = str(json.loads(words)["transaction"])
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


class Shown:
    """A TLS connection on which a client has shown a certificate of this name, which was verified."""

    def __init__(self, name: str) -> None:
        self._name = name

    def getpeercert(self) -> dict[str, Any]:
        return {"subject": ((("organizationName", "admin"),), (("commonName", self._name),))}


def test_a_certificate_stands_for_the_token_of_its_name(house: House) -> None:
    for name, collection, status in (
        ("reader-mine", MINE, 200),
        ("reader-mine", OTHER, 403),
        ("expired", MINE, 401),
        ("revoked", MINE, 401),
        ("somebody", MINE, 401),
    ):
        path = f"/api/v1/collections/{collection}/values/u:1"
        assert house.asker.ask("GET", path, tls=Shown(name))[0] == status
        assert house.asker.ask("GET", path, tls=Shown(name), headers=house.headers["reader"])[0] == 200
        assert house.asker.ask("GET", path, tls=Shown("admin"), headers=house.headers["wrong"])[0] == 401


def test_the_page_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "AUTHORIZATION.md"
    assert page.read_text("utf-8") == reference(), "run: python -m blockdb.server.reference > docs/AUTHORIZATION.md"
    for operation in BY_NAME.values():
        assert f"`{operation.method} {operation.path}`" in page.read_text("utf-8")


def test_a_stream_ends_when_its_token_is_revoked(house: House) -> None:
    file = TokenFile(house.database.path)
    info, token = file.create("listener", Role.READER, [MINE])
    house.authenticator._look()
    call = Call(BY_NAME["watch"], house.authenticator.principal(token), "1")
    stream = house.service.stream(call, Watch(collection=MINE, after=-1))
    assert [next(stream).position for _ in range(3)] == [-1, 0, 1]
    file.revoke(info.id)
    house.authenticator._look()
    with pytest.raises(Unauthenticated, match="was revoked"):
        next(stream)


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
