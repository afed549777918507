"""Who asks, over which connection, and how much: what is not allowed is refused, and others notice nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

import blockdb
from blockdb.errors import RateLimited, StorageError
from blockdb.security.exposure import Exposure
from blockdb.security.roles import Role
from blockdb.server import authentication
from blockdb.server.authentication import Authenticator
from blockdb.server.certificates import make
from blockdb.server.grpc.calling import Options
from blockdb.server.grpc.catalogue import SERVICE
from blockdb.server.grpc.door import GrpcDoor
from blockdb.server.grpc.failing import KIND_KEY, refusal_of
from blockdb.server.service import Call, Service
from blockdb.server.tls import LiveTls, TlsFiles, grpc_credentials
from blockdb.server.tokens import TokenFile
from tests.server.grpc.conftest import Stubs
from tests.server.grpc.test_methods import refused
from tests.storage.doors import until
from tests.tiers import tiers

pytestmark = pytest.mark.timeout(300)


@contextmanager
def served(
    root: Path, credentials: grpc.ServerCredentials | None = None, address: str = "localhost:0", **options: Any
) -> Iterator[GrpcDoor]:
    """A door whose service knows the tokens of the database."""
    with blockdb.open(root) as database:
        service = Service(database, Authenticator(root, Exposure(True, False, ())))
        door = GrpcDoor(service, address, credentials, Options(**options) if options else None)
        door.start()
        yield door
        service.close()
        door.stop()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("limits") / "db"


@pytest.fixture(scope="module")
def tokens(root: Path) -> dict[str, str]:
    with blockdb.open(root):
        file = TokenFile(root)
        told = {name: file.create(name, Role(name), None, b"")[1] for name in ("reader", "writer", "admin")}
        return told | {"limited": file.create("limited", Role.WRITER, None, b"u:")[1]}


@pytest.fixture(scope="module")
def door(root: Path, tokens: dict[str, str]) -> Iterator[GrpcDoor]:
    with served(root, max_message_bytes=100_000, max_metadata_bytes=4_000, max_connections=20, max_streams=8) as door:
        yield door


@pytest.fixture
def stub(door: GrpcDoor, stubs: Stubs) -> Iterator[Any]:
    with grpc.insecure_channel(f"localhost:{door.port}") as channel:
        yield stubs.pb2_grpc.BlockDBStub(channel)


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


# ── who ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_asks_has_to_say_so(stub: Any, stubs: Stubs, tokens: dict[str, str], door: GrpcDoor) -> None:
    ask = stubs.pb2.Nothing()
    for metadata in ([], bearer("bdb_nothing_like_it"), [("authorization", "Basic YTpi")], bearer("")):
        code, _, told = refused(lambda metadata=metadata: stub.Whoami(ask, metadata=metadata))
        assert (code, told[KIND_KEY]) == ("UNAUTHENTICATED", "Unauthenticated")
    assert stub.Whoami(ask, metadata=bearer(tokens["reader"])).name == "reader"
    assert stub.Health(ask).status == "healthy"
    assert dict(door._service.monitor.meters.snapshot().rejected)["auth"] >= 4


def test_each_may_do_what_their_role_says(stub: Any, stubs: Stubs, tokens: dict[str, str]) -> None:
    pb2 = stubs.pb2
    code, _, told = refused(lambda: stub.Put(pb2.Put(key=b"k", value=b"v"), metadata=bearer(tokens["reader"])))
    assert (code, told[KIND_KEY]) == ("PERMISSION_DENIED", "Forbidden")
    assert stub.Put(pb2.Put(key=b"k", value=b"v"), metadata=bearer(tokens["writer"])).count == 1
    assert refused(lambda: stub.Flush(pb2.Nothing(), metadata=bearer(tokens["writer"])))[0] == "PERMISSION_DENIED"
    stub.Flush(pb2.Nothing(), metadata=bearer(tokens["admin"]))


def test_each_piece_of_an_import_has_to_be_allowed(stub: Any, stubs: Stubs, tokens: dict[str, str]) -> None:
    pb2 = stubs.pb2
    pieces = [pb2.Import(items=[pb2.Item(key=key, value=b"1")]) for key in (b"u:1", b"v:1", b"u:2")]
    code, _, _ = refused(lambda: stub.ImportRecords(iter(pieces), metadata=bearer(tokens["limited"])))
    assert code == "PERMISSION_DENIED"
    have = [stub.Exists(pb2.ByKey(key=key), metadata=bearer(tokens["reader"])).exists for key in (b"u:1", b"v:1")]
    assert have == [True, False]


def test_who_is_known_no_more_hears_no_more(
    stub: Any, stubs: Stubs, tokens: dict[str, str], door: GrpcDoor, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pb2, file = stubs.pb2, TokenFile(root)
    monkeypatch.setattr(authentication, "LOOK_EVERY_S", 0.0)
    token, secret = file.create("passing", Role.WRITER)
    until(lambda: asked_well(lambda: stub.Whoami(pb2.Nothing(), metadata=bearer(secret))))
    watching = stub.Watch(pb2.Watch(), metadata=bearer(secret), timeout=60)
    next(watching)
    go_on = threading.Event()

    def pieces() -> Iterator[Any]:
        yield pb2.Import(items=[pb2.Item(key=b"passing", value=b"1")])
        go_on.wait(20)
        yield pb2.Import(items=[pb2.Item(key=b"too late", value=b"1")])

    importing = stub.ImportRecords.future(pieces(), metadata=bearer(secret))
    until(lambda: stub.Exists(pb2.ByKey(key=b"passing"), metadata=bearer(tokens["reader"])).exists)
    file.revoke(token.id)
    go_on.set()
    assert refused(importing.result)[0] == "UNAUTHENTICATED"
    stub.Put(pb2.Put(key=b"after", value=b"1"), metadata=bearer(tokens["writer"]))
    assert refused(lambda: list(watching))[0] == "UNAUTHENTICATED"
    assert not stub.Exists(pb2.ByKey(key=b"too late"), metadata=bearer(tokens["reader"])).exists


def test_hooks_are_told_who_asked_and_where(stub: Any, stubs: Stubs, tokens: dict[str, str], door: GrpcDoor) -> None:
    told: list[Call] = []
    door._service.hooks.append(lambda call, *_: told.append(call))
    metadata = [*bearer(tokens["writer"]), ("idempotency-key", "once"), ("x-request-id", "r1")]
    stub.Exists(stubs.pb2.ByKey(key=b"k"), metadata=metadata)
    door._service.hooks.pop()
    [call] = told
    assert (call.principal.name, call.door, call.idempotency_key, call.request_id) == ("writer", "grpc", "once", "r1")
    assert call.peer.startswith(("127.0.0.1:", "[::1]:"))


# ── how much ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("compression", tiers([grpc.Compression.NoCompression], [grpc.Compression.Gzip]))
def test_a_message_that_is_too_large(
    stub: Any, stubs: Stubs, tokens: dict[str, str], compression: grpc.Compression, caplog: pytest.LogCaptureFixture
) -> None:
    request = stubs.pb2.Put(key=b"k", value=bytes(300_000))
    code, words, _ = refused(lambda: stub.Put(request, compression=compression, metadata=bearer(tokens["writer"])))
    assert code == "RESOURCE_EXHAUSTED"
    assert "larger than max" in words
    assert caplog.records == []


def test_metadata_that_is_too_large(stub: Any, stubs: Stubs) -> None:
    code, _, _ = refused(lambda: stub.Whoami(stubs.pb2.Nothing(), metadata=[("x-much", "x" * 6_000)]))
    assert code == "RESOURCE_EXHAUSTED"


def test_only_so_many_connections(tmp_path: Path) -> None:
    with served(tmp_path / "db", address="127.0.0.1:0", max_connections=3) as door:

        def ask() -> Any:
            with grpc.insecure_channel(
                f"127.0.0.1:{door.port}", options=[("grpc.use_local_subchannel_pool", 1)]
            ) as channel:
                return channel.unary_unary(f"/{SERVICE}/Health")(b"", timeout=60)

        with ExitStack() as held:
            for _ in range(6):
                held.enter_context(socket.create_connection(("127.0.0.1", door.port)))
            assert refused(ask)[0] == "UNAVAILABLE"
        until(lambda: asked_well(ask))


def asked_well(ask: Any) -> bool:
    try:
        ask()
    except grpc.RpcError:
        return False
    return True


def test_a_stream_that_stalls_is_ended(
    stub: Any, stubs: Stubs, tokens: dict[str, str], door: GrpcDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door.options, "stall_timeout_s", 0.05)
    never = threading.Event()
    pieces = iter(lambda: never.wait(30), True)
    code, _, _ = refused(lambda: stub.ImportRecords(pieces, metadata=bearer(tokens["writer"])))
    never.set()
    assert code == "DEADLINE_EXCEEDED"
    until(lambda: door.options.streams == 0)


def test_nothing_is_read_of_who_is_not_known_or_says_nothing(
    stub: Any, door: GrpcDoor, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    never = threading.Event()
    with grpc.insecure_channel(f"localhost:{door.port}") as channel:
        put = channel.stream_unary(f"/{SERVICE}/Put")
        assert refused(lambda: put(iter(lambda: never.wait(30), True), timeout=20))[0] == "UNAUTHENTICATED"
        monkeypatch.setattr(door.options, "stall_timeout_s", 0.05)
        waiting = iter(lambda: never.wait(30), True)
        code, words, _ = refused(lambda: put(waiting, timeout=20, metadata=bearer(tokens["writer"])))
        assert (code, words[:7]) == ("DEADLINE_EXCEEDED", "Nothing")
        code, _, _ = refused(lambda: put(iter([]), timeout=20, metadata=bearer(tokens["writer"])))
        assert code == "INVALID_ARGUMENT"
        never.set()


def test_what_comes_too_often_is_told_when_to_come_again() -> None:
    refusal = refusal_of(RateLimited(0.25), "r1")
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert dict(refusal.metadata)["grpc-retry-pushback-ms"] == "250"


@pytest.mark.torture
def test_a_client_that_does_not_read_is_let_go(
    stub: Any, stubs: Stubs, tokens: dict[str, str], door: GrpcDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    pb2 = stubs.pb2
    for each in range(100):
        stub.Put(pb2.Put(key=b"large%d" % each, value=bytes(90_000)), metadata=bearer(tokens["writer"]))
    monkeypatch.setattr(door.options, "stall_timeout_s", 0.2)
    stalled = stub.ScanPages(pb2.Scan(limit=1), metadata=bearer(tokens["reader"]))
    until(lambda: door.options.streams == 1)
    until(lambda: door.options.streams == 0)
    with pytest.raises(grpc.RpcError):
        list(stalled)


@pytest.mark.parametrize("count", tiers([40], [1000]))
def test_many_watchers_are_not_as_many_threads(
    stub: Any, stubs: Stubs, tokens: dict[str, str], door: GrpcDoor, count: int
) -> None:
    before = threading.active_count()
    watching = [stub.Watch(stubs.pb2.Watch(), metadata=bearer(tokens["reader"])) for _ in range(count)]
    codes = []
    for each in watching:
        try:
            next(each)
        except grpc.RpcError as error:
            codes.append(error.code())
    assert len(codes) == count - 8
    assert set(codes) <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert threading.active_count() - before < 20
    for each in watching:
        each.cancel()
    until(lambda: door.options.streams == 0)


# ── where ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_address_that_is_taken_is_told(door: GrpcDoor) -> None:
    other = GrpcDoor(door._service, f"127.0.0.1:{door.port}")
    with pytest.raises(StorageError, match=r"gRPC cannot listen at 127\.0\.0\.1"):
        other.start()
    other.stop()


def test_a_client_certificate_stands_for_its_token(tmp_path: Path, stubs: Stubs) -> None:
    made = tmp_path / "tls"
    make(made, clients=["shop", "stranger"])
    root = tmp_path / "db"
    with blockdb.open(root):
        TokenFile(root).create("shop", Role.READER)
    credentials = grpc_credentials(LiveTls(TlsFiles(made / "server.crt", made / "server.key", made / "ca.crt")))

    def channel(name: str | None) -> grpc.Channel:
        pair = [(made / f"client-{name}.{kind}").read_bytes() if name else None for kind in ("key", "crt")]
        return grpc.secure_channel(
            f"localhost:{door.port}", grpc.ssl_channel_credentials((made / "ca.crt").read_bytes(), *pair)
        )

    ask = stubs.pb2.Nothing()
    with served(root, credentials) as door:
        with channel("shop") as shop:
            assert stubs.pb2_grpc.BlockDBStub(shop).Whoami(ask).name == "shop"
        with channel("stranger") as stranger:
            assert refused(lambda: stubs.pb2_grpc.BlockDBStub(stranger).Whoami(ask))[0] == "UNAUTHENTICATED"
        with channel(None) as nobody:
            assert refused(lambda: stubs.pb2_grpc.BlockDBStub(nobody).Whoami(ask, timeout=60))[0] == "UNAVAILABLE"


def test_a_stop_lets_what_was_begun_come_to_its_end(tmp_path: Path, stubs: Stubs) -> None:
    with blockdb.open(tmp_path / "db") as database:
        service = Service(database)
        door = GrpcDoor(service, "localhost:0")
        begun, go_on = threading.Event(), threading.Event()
        handle = service._handlers["put_many"]

        def slow(session: Any, request: Any) -> Any:
            begun.set()
            go_on.wait(20)
            return handle(session, request)

        service._handlers = {**service._handlers, "put_many": slow}
        with grpc.insecure_channel(f"localhost:{door.start()}") as channel:
            stub = stubs.pb2_grpc.BlockDBStub(channel)
            watching = stub.Watch(stubs.pb2.Watch())
            next(watching)
            call = stub.PutMany.future(stubs.pb2.PutMany(items=[{"key": b"k", "value": b"v"}]))
            assert begun.wait(20)
            service.close()
            stopping = threading.Thread(target=door.stop, args=(20,))
            stopping.start()
            go_on.set()
            assert call.result(timeout=20).count == 1
            assert list(watching) is not None  # it ends
            stopping.join(20)
            assert not stopping.is_alive()
        assert database.get(b"k") == b"v"
        door.stop()
