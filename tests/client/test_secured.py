"""Who asks, over which wire, and what becomes of a write whose answer was lost on the way."""

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

import blockdb
from blockdb.client.addresses import nodes_of
from blockdb.client.carrying import Identity, tls_context
from blockdb.client.exchange import Asked
from blockdb.client.policy import Policy
from blockdb.client.transport import Transport
from blockdb.security.exposure import Exposure
from blockdb.security.roles import Role
from blockdb.server.authentication import Authenticator
from blockdb.server.certificates import make
from blockdb.server.tokens import TokenFile
from blockdb.wire.failures import Failure
from tests.client.fakes import Visit, serving
from tests.client.served import served

pytestmark = pytest.mark.torture


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Guarded(NamedTuple):
    """A server that asks who is there, and two tokens."""

    url: str
    reader: str
    writer: str


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    path = tmp_path_factory.mktemp("guarded") / "db"
    with blockdb.open(path) as db:
        db.create_collection("users")
        db.create_collection("orders")
        tokens = TokenFile(path)
        reader = tokens.create("reader", Role.READER)[1]
        writer = tokens.create("writer", Role.WRITER, ["users"])[1]
        authenticator = Authenticator(path, Exposure(True, False, ()))
        with served(db, authenticator=authenticator) as server:
            yield Guarded(server.url, reader, writer)


def test_nobody_gets_in_without_a_token(guarded: Guarded) -> None:
    for token in (None, "bdb_0123456789abcdef_" + 64 * "0", "nonsense"):
        with pytest.raises(blockdb.Unauthenticated) as caught:
            blockdb.connect(guarded.url, token=token)
        assert token is None or token not in str(caught.value)


def test_a_token_opens_what_it_is_for(guarded: Guarded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with blockdb.connect(guarded.url, token=guarded.writer) as remote:
        users = remote["users"]
        users.put(b"key", b"value")
        assert remote.collection_names() == ("users",)
        for use in (lambda: remote["orders"], lambda: remote.put(b"key", b""), lambda: users.compact()):
            with pytest.raises(blockdb.Forbidden, match="'writer'"):
                use()
    monkeypatch.setenv("BLOCKDB_TOKEN", guarded.reader)
    with blockdb.connect(guarded.url, verified=True, state=tmp_path / "state.json") as remote:
        assert remote["users"].get(b"key") == b"value"
        assert remote["users"].get(b"other") is None
        assert list(remote["users"].scan()) == [(b"key", b"value")]
        with pytest.raises(blockdb.Forbidden):
            remote["users"].put(b"other", b"")


# ── by name ──────────────────────────────────────────────────────────────────────────────────────────────────────


def called(guarded: Guarded, name: str, body: bytes, token: str) -> Failure | None:
    """What is answered where an operation is asked for by its name; None where it is done."""
    transport = Transport(nodes_of(guarded.url), Policy(attempts=1), Identity(token), tls_context())
    headers = (("accept", "application/msgpack"), ("content-type", "application/msgpack"))
    reply = transport.send(Asked("POST", f"/api/v1/call/{name}", headers, body))
    transport.close()
    return None if reply.status < 300 else msgspec.msgpack.decode(reply.body, type=Failure)


def test_what_is_called_by_name_is_allowed_or_not_as_everywhere(guarded: Guarded) -> None:
    in_users = msgspec.msgpack.encode({"collection": "users"})
    for token, name, body, kind in (
        (guarded.reader, "indexes", in_users, None),
        (guarded.reader, "drop", in_users, "Forbidden"),
        (guarded.reader, "put", msgspec.msgpack.encode({"key": b"a", "value": b""}), "Forbidden"),
        (guarded.writer, "get", msgspec.msgpack.encode({"collection": "orders", "key": b"a"}), "Forbidden"),
        (guarded.writer, "flush", b"\x80", "Forbidden"),
        ("", "get", msgspec.msgpack.encode({"key": b"a"}), "Unauthenticated"),
        (guarded.reader, "get", b"\xc1", "InvalidData"),
        (guarded.reader, "get", b"\x80", "InvalidData"),
        (guarded.reader, "no such operation", b"\x80", "NotFound"),
        (guarded.writer, "import_records", b"\x80", "NotFound"),
    ):
        failure = called(guarded, name.replace(" ", "%20"), body, token)
        assert (None if failure is None else failure.kind) == kind, (name, failure)


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_both_sides_show_who_they_are(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    make(ours, hosts=["127.0.0.1"], clients=["writer"])
    make(theirs, hosts=["127.0.0.1"], clients=["writer"])
    certificate = (ours / "client-writer.crt", ours / "client-writer.key")
    with blockdb.open(tmp_path / "db") as db, served(db, tls=ours) as server:
        assert server.url.startswith("https")
        with blockdb.connect(server.url, ca_file=ours / "ca.crt", certificate=certificate) as remote:
            remote.put(b"key", b"value")
            assert remote.get(b"key") == b"value"
            feed = remote.watch(after=-1)
            change = feed.take(10)
            assert change is not None
            feed.stop()
        with pytest.raises(blockdb.Unavailable, match="its certificate is not good"):
            blockdb.connect(server.url, ca_file=theirs / "ca.crt", certificate=certificate)
        with pytest.raises(blockdb.Unavailable, match="its certificate is not good"):
            blockdb.connect(server.url)
        with pytest.raises(blockdb.BlockDBError):
            blockdb.connect(server.url, ca_file=ours / "ca.crt", attempts=2)
        with pytest.raises(blockdb.Unavailable):
            blockdb.connect(server.url.replace("https", "http"), attempts=2)


# ── lost answers ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_write_whose_answer_was_lost_is_done_once(tmp_path: Path) -> None:
    """Between client and server somebody hangs up on every other answer, once the server has given it."""
    with blockdb.open(tmp_path / "db") as db, served(db) as server:

        def losing(visit: Visit) -> None:
            method, target, _ = visit.head.split(" ", 2)
            lines = visit.head.split("\r\n")[1:]
            headers = dict(line.split(": ", 1) for line in lines)
            connection = HTTPConnection(server.url.removeprefix("http://"))
            connection.request(method, target, visit.body or None, headers)
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            if visit.number % 2:
                visit.hang_up()
            visit.answer(
                body, f"{answer.status} {answer.reason}", f"content-type: {answer.headers['content-type']}\r\n"
            )

        with serving(losing) as between, blockdb.connect(between.url) as remote:
            for number in range(10):
                assert remote.put(b"key%d" % number, b"") == number
            assert remote.put_many([(b"more%d" % number, b"") for number in range(5)]) == range(10, 15)
            with remote.transaction() as transaction:
                transaction.put(b"last", b"")
            with pytest.raises(blockdb.DuplicateKey):
                remote.put(b"last", b"")
            assert len(between.visits) > 20
        assert db.next_sequence == 16
