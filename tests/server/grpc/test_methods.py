"""Methods through stubs that protoc has made of the packaged file: each once, and what is special about some."""

from __future__ import annotations

import threading
from typing import Any

import grpc
import msgspec
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from blockdb.server.grpc import health
from blockdb.server.grpc.catalogue import SERVICE, catalogue
from blockdb.server.grpc.failing import FAILURE_KEY, KIND_KEY, MOST_WORDS
from blockdb.wire.failures import Failure, error_of
from tests.server.grpc.conftest import Running
from tests.storage.doors import until

pytestmark = pytest.mark.timeout(300)

ALL: list[tuple[str, dict[str, Any]]] = [
    ("CreateCollection", {"name": "people", "schema": {}, "settings": {"redactable": True}}),
    ("PutMany", {"items": [{"key": b"%02d" % each, "value": b"v"} for each in range(25)]}),
    ("Put", {"key": b"p1", "value": b'{"name": "Ada", "age": 36}', "collection": "people"}),
    ("Put", {"key": b"p2", "value": b'{"name": "Bob", "age": 20.5}', "collection": "people"}),
    ("CreateIndex", {"collection": "people", "name": "by_age", "fields": ["age"]}),
    ("Indexes", {"collection": "people"}),
    ("Find", {"collection": "people", "where": "age >= :low", "parameters": {"low": 30}}),
    ("FindPages", {"collection": "people", "limit": 1}),
    ("Explain", {"collection": "people", "where": "age = 36"}),
    ("Document", {"collection": "people", "key": b"p1"}),
    ("DropIndex", {"collection": "people", "index": "by_age"}),
    ("SetSchema", {"collection": "people", "schema": {"fields": {"name": {"field_type": "String"}}}}),
    ("Schemas", {"collection": "people"}),
    ("SchemaVersion", {"collection": "people", "sequence": 0}),
    ("Collections", {}),
    ("Describe", {"collection": "people"}),
    ("Locate", {"collection": "people"}),
    ("ShowCollectionStats", {"collection": "people"}),
    ("TotalStats", {}),
    ("ClusterStatus", {}),
    ("ClusterHealth", {}),
    ("ClusterMembers", {}),
    ("ClusterPartitions", {}),
    ("Health", {}),
    ("Alerts", {}),
    ("Metrics", {}),
    ("ServerStatistics", {}),
    ("Stats", {}),
    ("Get", {"key": b"01"}),
    ("Exists", {"key": b"01"}),
    ("Record", {"key": b"01"}),
    ("Scan", {"limit": 3, "reverse": True}),
    ("ScanPages", {"limit": 10, "keys_only": True}),
    ("Count", {"prefix": b"1"}),
    ("Records", {"first": 3, "limit": 4}),
    ("Redact", {"collection": "people", "keys": [b"p2"], "reason": "asked"}),
    ("ImportRecords", {"items": [{"key": b"i", "value": b"1"}]}),
    ("Watch", {"after": -1, "timeout_s": 0.01}),
    ("Blocks", {}),
    ("Block", {"number": 1}),
    ("BlockRecords", {"number": 1}),
    ("BlockLeaves", {"number": 1}),
    ("Begin", {}),
    ("Transactions", {}),
    ("TransactionPut", {"transaction": 1, "items": [{"key": b"t", "value": b"1"}]}),
    ("TransactionGet", {"transaction": 1, "key": b"t"}),
    ("TransactionExists", {"transaction": 1, "key": b"t"}),
    ("TransactionScan", {"transaction": 1, "prefix": b"t"}),
    ("TransactionFind", {"transaction": 1, "collection": "people"}),
    ("Commit", {"transaction": 1}),
    ("Begin", {}),
    ("Abort", {"transaction": 2}),
    ("Prove", {"key": b"01"}),
    ("ProveAbsent", {"key": b"none"}),
    ("ProveRange", {"prefix": b"0"}),
    ("ProveRun", {"first": 2, "count": 3}),
    ("Checkpoint", {}),
    ("DatabaseCheckpoint", {}),
    ("Consistency", {"old_size": 10, "size": 20}),
    ("DatabaseConsistency", {"old_size": 0, "size": 1}),
    ("Root", {"size": 10}),
    ("DatabaseRoot", {"size": 1}),
    ("Tile", {"path": "checkpoint"}),
    ("Keys", {}),
    ("RotateKey", {}),
    ("Anchors", {}),
    ("Publish", {}),
    ("CheckAnchors", {}),
    ("Whoami", {}),
    ("About", {}),
    ("DatabaseStatistics", {}),
    ("Statistics", {"collection": "people"}),
    ("Audit", {}),
    ("Backup", {}),
    ("AuditCollection", {}),
    ("AuditLog", {"reverse": True}),
    ("Flush", {}),
    ("Tokens", {}),
    ("FlushCollection", {}),
    ("Compact", {}),
    ("CompactCollection", {}),
    ("Backup", {}),
    ("Drop", {"collection": "people"}),
]
REFUSED = dict.fromkeys(
    (
        "AddNode",
        "ClusterEvents",
        "ClusterRebalance",
        "ClusterTransfer",
        "RemoveNode",
        "BackupSince",
        "CreateToken",
        "RevokeToken",
    ),
    "INVALID_ARGUMENT",
)
"""What one server alone does not do, or does for no token without a name, and says so."""


def asked(running: Running, name: str, fields: dict[str, Any]) -> list[Any]:
    """All answers."""
    offer = next(offer for offer in catalogue().offers if offer.method.name == name)
    request = getattr(running.pb2, offer.method.request)(**fields)
    answer = getattr(running.stub, name)(iter([request]) if offer.method.has_requests else request, timeout=20)
    return list(answer) if offer.method.has_answers else [answer]


def test_every_method_works(running: Running) -> None:
    answers: dict[str, list[Any]] = {}
    for name, fields in ALL:
        if "transaction" in fields:
            fields = {**fields, "transaction": answers["Begin"][0].transaction}
        answers[name] = asked(running, name, fields)
        assert answers[name], name
    for name, code in REFUSED.items():
        with pytest.raises(grpc.RpcError) as refused:
            asked(running, name, {})
        assert refused.value.code().name == code
    assert {*answers, *REFUSED} == {offer.method.name for offer in catalogue().offers}

    assert answers["Get"][0].value == b"v"
    assert [document.key for document in answers["Find"][0].documents] == [b"p1"]
    assert dict(answers["Find"][0].documents[0].value.items()) == {"name": "Ada", "age": 36}
    assert [len(page.documents) for page in answers["FindPages"]] == [1, 1, 0]
    assert [item.key for page in answers["ScanPages"] for item in page.items] == [b"%02d" % each for each in range(25)]
    assert [len(page.items) for page in answers["ScanPages"]] == [10, 10, 5]
    assert [each.change.record.key for each in answers["Watch"] if each.HasField("change")][:2] == [b"00", b"01"]
    assert answers["ImportRecords"][0].stored == 1
    assert answers["TransactionScan"][0].items[0].value == b"1"
    assert answers["Audit"][-1].report.valid
    assert b"blockdb" in b"".join(each.data for each in answers["Tile"])


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────


def refused(call: Any) -> tuple[str, str, dict[str, Any]]:
    """Code, words and trailing metadata."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    return error.code().name, error.details(), dict(error.trailing_metadata())


def test_an_error_can_be_raised_again(running: Running) -> None:
    pb2, stub = running.pb2, running.stub
    stub.Put(pb2.Put(key=b"twice", value=b"1"))
    code, words, metadata = refused(lambda: stub.Put(pb2.Put(key=b"twice", value=b"2")))
    assert code == "ALREADY_EXISTS"
    assert metadata[KIND_KEY] == "DuplicateKey"
    error = error_of(msgspec.msgpack.decode(metadata[FAILURE_KEY], type=Failure))
    assert type(error).__name__ == "DuplicateKey"
    assert str(error) == words
    assert error.key == b"twice"  # type: ignore[attr-defined]


def test_a_long_error_fits_into_metadata(running: Running) -> None:
    pb2, stub = running.pb2, running.stub
    code, words, metadata = refused(lambda: stub.Get(pb2.Get(key=b"k", collection="ü" * 20_000)))
    assert (code, metadata[KIND_KEY]) == ("NOT_FOUND", "CollectionNotFound")
    assert len(words) == MOST_WORDS + 1
    assert FAILURE_KEY not in metadata


def test_an_error_ends_a_stream(running: Running) -> None:
    pb2, stub = running.pb2, running.stub
    assert refused(lambda: list(stub.Watch(pb2.Watch(after=10**9))))[0] == "INVALID_ARGUMENT"
    assert refused(lambda: list(stub.ScanPages(pb2.Scan(limit=0))))[0] == "INVALID_ARGUMENT"
    assert refused(lambda: list(stub.Tile(pb2.ByTile(path="nowhere"))))[0] == "INVALID_ARGUMENT"


def test_what_is_no_message_is_refused(running: Running) -> None:
    call = running.channel.unary_unary(f"/{SERVICE}/Put")
    code, words, _ = refused(lambda: call(b"\xff\xff\xff"))
    assert (code, words) == ("INVALID_ARGUMENT", "This is no message Put of blockdb.v1; compare your blockdb.proto.")


def test_a_bug_is_told_without_its_text(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a secret")

    handlers = {**running.service._handlers, "get": broken}  # type: ignore[attr-defined]
    monkeypatch.setattr(running.service, "_handlers", handlers)
    code, words, metadata = refused(lambda: running.stub.Get(running.pb2.Get(key=b"k")))
    assert (code, metadata[KIND_KEY]) == ("INTERNAL", "Internal")
    assert "secret" not in words


def test_a_request_id_comes_back(running: Running) -> None:
    pb2, stub = running.pb2, running.stub
    _, call = stub.Exists.with_call(pb2.ByKey(key=b"k"), metadata=[("x-request-id", "mine")])
    assert dict(call.trailing_metadata())["x-request-id"] == "mine"
    _, call = stub.Exists.with_call(pb2.ByKey(key=b"k"))
    assert len(dict(call.trailing_metadata())["x-request-id"]) == 16
    assert refused(lambda: stub.Put(pb2.Put(), metadata=[("x-request-id", "mine")]))[2]["x-request-id"] == "mine"


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_deadline_and_a_cancelled_call_end_the_work(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Semaphore(0), threading.Semaphore(0)

    def slow(session: Any, _: Any) -> None:
        begun.release()
        until(session.call.is_cancelled)
        ended.release()

    monkeypatch.setattr(running.service, "_handlers", {**running.service._handlers, "count": slow})  # type: ignore[attr-defined]
    code, _, _ = refused(lambda: running.stub.Count(running.pb2.Count(), timeout=0.1))
    assert code == "DEADLINE_EXCEEDED"
    assert ended.acquire(timeout=20)
    call = running.stub.Count.future(running.pb2.Count())
    assert begun.acquire(timeout=20)
    assert begun.acquire(timeout=20)
    call.cancel()
    assert ended.acquire(timeout=20)


def test_what_takes_longer_than_it_may_is_told(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(session: Any, _: Any) -> None:
        until(session.call.is_cancelled)

    monkeypatch.setattr(running.service, "_handlers", {**running.service._handlers, "count": slow})  # type: ignore[attr-defined]
    monkeypatch.setattr(running.door.options, "request_timeout_s", 0.05)
    code, _, metadata = refused(lambda: running.stub.Count(running.pb2.Count()))
    assert (code, metadata[KIND_KEY]) == ("DEADLINE_EXCEEDED", "RequestTimeout")


def test_a_watcher_that_goes_away_leaves_nothing(running: Running) -> None:
    watching = running.stub.Watch(running.pb2.Watch())
    next(watching)
    assert running.door.options.streams == 1
    running.stub.Put(running.pb2.Put(key=b"seen", value=b"1"))
    assert next(each for each in watching if each.HasField("change")).change.record.key == b"seen"
    watching.cancel()
    until(lambda: running.door.options.streams == 0)


def test_there_are_only_so_many_streams(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running.door.options, "max_streams", 1)
    watching = running.stub.Watch(running.pb2.Watch())
    next(watching)
    code, words, metadata = refused(lambda: list(running.stub.Watch(running.pb2.Watch(), timeout=60)))
    assert (code, metadata[KIND_KEY]) == ("UNAVAILABLE", "Unavailable")
    assert "max_streams" in words
    watching.cancel()
    until(lambda: running.door.options.streams == 0)


def test_an_import_that_breaks_off_keeps_what_came(running: Running) -> None:
    """And the client hears of it at once, also while it has nothing to send."""
    pb2, stub = running.pb2, running.stub
    reached, never = threading.Event(), threading.Event()

    def pieces() -> Any:
        yield pb2.Import(items=[pb2.Item(key=b"kept", value=b"1")])
        reached.wait(20)
        yield pb2.Import(items=[pb2.Item(key=b"", value=b"1")])
        never.wait(60)

    call = stub.ImportRecords.future(pieces())
    until(lambda: stub.Exists(pb2.ByKey(key=b"kept")).exists)
    reached.set()
    with pytest.raises(grpc.RpcError) as caught:
        call.result(timeout=60)
    never.set()
    assert caught.value.code().name == "INVALID_ARGUMENT"
    until(lambda: running.door.options.streams == 0)


# ── health and reflection ────────────────────────────────────────────────────────────────────────────────────────


def test_health_follows_readiness(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOK_EVERY_S", 0.01)
    stub = health_pb2_grpc.HealthStub(running.channel)
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    watching = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
    assert next(watching).status == serving
    assert stub.Check(health_pb2.HealthCheckRequest()).status == serving
    monkeypatch.setattr(running.service, "is_stopping", True)
    assert stub.Check(health_pb2.HealthCheckRequest(service=SERVICE)).status == not_serving
    assert next(watching).status == not_serving
    watching.cancel()
    assert refused(lambda: stub.Check(health_pb2.HealthCheckRequest(service="other")))[0] == "NOT_FOUND"


def test_reflection_tells_all_that_a_client_needs(running: Running) -> None:
    database = ProtoReflectionDescriptorDatabase(running.channel)
    assert {SERVICE, "grpc.health.v1.Health"} <= set(database.get_services())
    pool = DescriptorPool(database)
    service = pool.FindServiceByName(SERVICE)
    assert [method.name for method in service.methods] == [offer.method.name for offer in catalogue().offers]
    assert pool.FindServiceByName("grpc.health.v1.Health")
    method = service.methods_by_name["Whoami"]
    call = running.channel.unary_unary(
        f"/{SERVICE}/Whoami",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    assert call(GetMessageClass(method.input_type)()).name == "anonymous"
