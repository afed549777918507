"""Idempotency keys at the service: what is stored once, and told again, also after the server was killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.errors import DuplicateKey, IdempotencyConflict, TransactionClosed
from blockdb.security.roles import ANONYMOUS, Principal, Role
from blockdb.server.service import Call, Service
from blockdb.wire.messages.collections import CreateCollection
from blockdb.wire.messages.plain import Batch, BatchOperation
from blockdb.wire.messages.records import Item, Put, PutMany
from blockdb.wire.messages.transactions import Begin, Commit, TransactionPut
from blockdb.wire.table import BY_NAME
from tests.server.harness import running

ANN = Principal("ann", Role.ADMIN)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[blockdb.Database]:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=4) as db:
        db.create_collection("other").put(b"there", b"1")
        yield db


@pytest.fixture
def service(db: blockdb.Database) -> Service:
    return Service(db)


def ask(service: Service, name: str, request: Any, key: str | None = "k", principal: Principal = ANONYMOUS) -> Any:
    return service.call(Call(BY_NAME[name], principal, "id", idempotency_key=key), request)


def many(*keys: bytes, collection: str = "default") -> PutMany:
    return PutMany(collection=collection, items=[Item(key=key, value=b"v" + key) for key in keys])


def requests(prefix: bytes) -> dict[str, Any]:
    """One of each operation that stores records."""
    a, b = prefix + b"a", prefix + b"b"
    return {
        "put": Put(key=a, value=b"1"),
        "store": Put(key=b, value=b"1"),
        "store_document": Put(collection="other", key=a, value=b"1"),
        "put_many": many(prefix + b"c", prefix + b"d", prefix + b"e"),
        "store_batch": Batch(
            operations=[BatchOperation(type="put", key=prefix + key, value=b"1") for key in (b"f", b"g")]
        ),
    }


def test_a_request_that_comes_again_gets_its_first_answer(service: Service) -> None:
    for name, request in {**requests(b""), "create_collection": CreateCollection(name="new")}.items():
        first = ask(service, name, request, name)
        assert ask(service, name, request, name) == first
        for key, principal in ((None, ANONYMOUS), ("another" + name, ANONYMOUS), (name, ANN)):
            with pytest.raises((DuplicateKey, blockdb.DuplicateCollection)):
                ask(service, name, request, key, principal)


def test_also_where_the_server_was_killed_before_it_could_answer(service: Service) -> None:
    first = {name: ask(service, name, request, name) for name, request in requests(b"").items()}
    service.database.put(b"between", b"1")
    later = Service(service.database)
    for each in (later, Service(service.database)):
        assert {name: ask(each, name, request, name) for name, request in requests(b"").items()} == first
    for name, request in requests(b"").items():
        for key, principal in (("another", ANONYMOUS), (name, ANN)):
            with pytest.raises(DuplicateKey):
                ask(later, name, request, key, principal)


def test_a_key_stands_for_one_request(service: Service) -> None:
    request = Put(key=b"a", value=b"1")
    ask(service, "put", request)
    for each in (service, Service(service.database)):
        with pytest.raises(IdempotencyConflict):
            ask(each, "put", Put(key=b"other", value=b"1"))
        with pytest.raises(IdempotencyConflict):
            ask(each, "store", request)


def intend(service: Service, name: str, request: Any, key: str = "k") -> None:
    """What a server leaves that is killed before it stores anything."""
    handlers = service._handlers

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    service._handlers = {**handlers, name: killed}
    with pytest.raises(KeyboardInterrupt):
        ask(service, name, request, key)
    service._handlers = handlers


def test_what_was_not_stored_is_stored_now(service: Service) -> None:
    intend(service, "put_many", many(b"a", b"b"))
    stored = ask(Service(service.database), "put_many", many(b"a", b"b"))
    assert (stored.first_sequence, stored.count) == (0, 2)


def test_what_somebody_else_stored_is_not_taken_for_it(service: Service) -> None:
    db = service.database
    before, apart, other = many(b"before"), many(b"x", b"y"), many(b"a", b"b")
    db.put(b"before", b"vbefore")
    for key, request in (("before", before), ("apart", apart), ("other", other)):
        intend(service, "put_many", request, key)
    db.put_many([(b"x", b"vx"), (b"between", b""), (b"y", b"vy")])
    db.put_many([(b"a", b"va"), (b"b", b"another value")])
    later = Service(db)
    for key, request in (("before", before), ("apart", apart), ("other", other)):
        with pytest.raises(DuplicateKey):
            ask(later, "put_many", request, key)


def test_what_is_stored_once_the_server_is_up_again_is_somebody_elses(service: Service) -> None:
    intend(service, "put_many", many(b"a"))
    later = Service(service.database)
    assert later.retries is not None
    later.retries._began_ms -= 10
    service.database.put(b"a", b"va")
    with pytest.raises(DuplicateKey):
        ask(later, "put_many", many(b"a"))


def test_documents_are_stored_as_their_schema_makes_them(service: Service) -> None:
    fields = {"n": {"field_type": "Integer", "default_value": 7}}
    service.database.create_collection("documents", schema={"fields": fields})
    request = Put(collection="documents", key=b"d", value=b'{ "a" : 1}')
    first = ask(service, "put", request)
    assert service.database["documents"].get(b"d") != request.value
    assert ask(Service(service.database), "put", request) == first


def begun(service: Service) -> int:
    """A transaction that has written to both collections."""
    number = ask(service, "begin", Begin(), None).transaction
    for collection in ("default", "other"):
        items = [Item(key=key, value=b"1") for key in (b"z", b"y", b"x")]
        ask(service, "transaction_put", TransactionPut(transaction=number, items=items, collection=collection), None)
    return int(number)


def test_a_commit_is_told_again(service: Service) -> None:
    number = begun(service)
    first = ask(service, "commit", Commit(transaction=number))
    assert {(each.collection, each.first_sequence, each.count) for each in first.collections} == {
        ("default", 0, 3),
        ("other", 1, 3),
    }
    assert ask(service, "commit", Commit(transaction=number)) == first
    service.database.put(b"later", b"1")
    assert ask(Service(service.database), "commit", Commit(transaction=number)) == first
    with pytest.raises(TransactionClosed):
        ask(Service(service.database), "commit", Commit(transaction=number), key="another")


def test_a_commit_that_was_not_is_not_told(service: Service) -> None:
    number = begun(service)
    intend(service, "commit", Commit(transaction=number))
    with pytest.raises(TransactionClosed):
        ask(Service(service.database), "commit", Commit(transaction=number))


def test_a_damaged_log_only_makes_it_forget(service: Service) -> None:
    request = Put(key=b"a", value=b"1")
    first = ask(service, "put", request)
    path = service.database.path / "server" / "idempotency.log"
    data = path.read_bytes()
    for at in range(0, len(data), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(DuplicateKey):
            ask(Service(service.database), "put", request)
    path.write_bytes(data)
    assert ask(Service(service.database), "put", request) == first


def test_over_http(db: blockdb.Database) -> None:
    with running(db) as served:
        path = "/api/v1/collections/default/records"
        given = {"Idempotency-Key": "order-7", "Content-Type": "application/json"}
        answers = [served.ask("POST", path, {"key": "a", "value": "1"}, **given) for _ in range(2)]
        assert [answer.status for answer in answers] == [201, 201]
        assert answers[0].json == answers[1].json
        refused = served.ask("POST", path, {"key": "b", "value": "1"}, **given)
        assert (refused.status, refused.json["error"]) == (422, "IdempotencyConflict")
        assert served.ask("POST", path, {"key": "a", "value": "1"}).status == 409
        assert db.stats().records == 1
