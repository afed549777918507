"""The trail: what of what is asked is entered before it is answered, and that nothing is done where that cannot be."""

import asyncio
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.database.database import Database
from blockdb.errors import BlockDBError, Forbidden, Unauthenticated, WritesStopped
from blockdb.security.roles import Principal, Role
from blockdb.server import trail
from blockdb.server.http.application import Application
from blockdb.server.service import Call, Service
from blockdb.server.tokens import TokenFile
from blockdb.server.trail import AuditTrail
from blockdb.types import Act
from blockdb.wire.messages import records, server, transactions
from blockdb.wire.table import BY_NAME
from tests.storage.doors import TroubledDoor, open_through, until

ANN = Principal("ann", Role.ADMIN, token_id="1f2e")
BOB = Principal("bob", Role.READER)
SECRETS = ("bdb_1f2e_thesecret", "thevalue", "thefilter")


class Doorkeeper:
    """Knows two people by their tokens."""

    def principal(self, secret: str | None, certificate_name: str | None = None) -> Principal:
        if secret == SECRETS[0]:
            return ANN
        if secret == "bob":
            return BOB
        raise Unauthenticated("Who are you?")

    def check(self, principal: Principal) -> None:
        """Everybody stays who they are."""


class Served:
    """A service with a trail."""

    def __init__(self, database: Database, what: str = trail.CHANGES) -> None:
        self.database = database
        self.service = Service(database, Doorkeeper())
        self.trail = AuditTrail(database, what)
        self.trail.attach(self.service)

    def call(self, name: str, request: Any, who: Principal = ANN, id_: str = "r1") -> Any:
        return self.service.call(Call(BY_NAME[name], who, id_, "127.0.0.1:5", "http"), request)

    def put(self, key: bytes, who: Principal = ANN) -> Any:
        return self.call("put", records.Put(collection="default", key=key, value=b"thevalue"), who)

    def acts(self) -> list[Act]:
        return list(self.database.acts())

    def outcomes(self) -> list[tuple[str, str, str]]:
        return [(act.principal, act.operation, act.outcome) for act in self.acts()]

    def stop(self) -> None:
        self.trail.close()
        self.service.close()
        self.database.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(blockdb.open(tmp_path / "db"))
    yield made
    made.stop()


def test_it_is_entered_before_it_is_answered(served: Served) -> None:
    served.put(b"key")
    [act] = served.acts()
    assert act.sequence == 0
    assert act[1:12] == ("ann", "1f2e", "127.0.0.1:5", "http", "put", "default", b"key", 3, 1, "ok", "r1")
    batch = [records.Item(key=b"%d" % number, value=b"") for number in range(3)]
    served.call("put_many", records.PutMany(collection="default", items=batch))
    assert served.acts()[1][7:10] == (b"0", 1, 3)


def test_changes_and_refusals_are_entered_and_reads_are_not(served: Served) -> None:
    served.put(b"key")
    served.call("get", records.Get(collection="default", key=b"key"), BOB)
    with pytest.raises(blockdb.DuplicateKey):
        served.put(b"key")
    with pytest.raises(Forbidden):
        served.put(b"other", BOB)
    begun = served.call("begin", transactions.Begin())
    served.call("commit", transactions.Commit(transaction=begun.transaction))
    assert served.outcomes() == [
        ("ann", "put", "ok"),
        ("ann", "put", "DuplicateKey"),
        ("bob", "put", "Forbidden"),
        ("ann", "commit", "ok"),
    ]


@pytest.mark.parametrize(("what", "entered"), [(trail.ALL, ["put", "get"]), (trail.OFF, [])])
def test_it_is_entered_what_the_setting_says(what: str, entered: list[str], tmp_path: Path) -> None:
    served = Served(blockdb.open(tmp_path / "db"), what)
    served.put(b"key")
    served.call("get", records.Get(collection="default", key=b"key"))
    assert [act.operation for act in served.acts()] == entered
    assert (tmp_path / "db" / "audit").exists() == bool(entered)
    served.stop()


def test_what_has_met_a_bug_is_entered_as_such(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.service, "_handlers", {})
    with pytest.raises(KeyError):
        served.put(b"key")
    assert served.outcomes() == [("ann", "put", "Internal")]


def test_it_is_read_through_the_server_by_those_who_may(served: Served) -> None:
    for number in range(4):
        served.put(b"%d" % number)
    with pytest.raises(Forbidden):
        served.call("audit_log", server.Acts(), BOB)
    entries = served.call("audit_log", server.Acts(after=1, limit=9)).entries
    assert [(each.sequence, each.key, each.key_count, each.outcome) for each in entries] == [
        (2, b"2", 1, "ok"),
        (3, b"3", 1, "ok"),
        (4, b"", 0, "Forbidden"),
    ]
    newest = served.call("audit_log", server.Acts(reverse=True, failed=True, principal="bob")).entries
    assert [each.operation for each in newest] == ["audit_log"]
    with pytest.raises(blockdb.InvalidData, match="At most 1,000"):
        served.call("audit_log", server.Acts(limit=1_001))


# ── over HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────


def asked(served: Served, method: str, path: str, body: bytes = b"", token: str | None = None) -> int:
    """The status of the answer to a request."""
    headers = [(b"content-length", b"%d" % len(body))]
    if token is not None:
        headers.append((b"authorization", token.encode()))
    raw_path, _, query = path.partition("?")
    scope = {"type": "http", "method": method, "path": raw_path, "raw_path": raw_path.encode(), "headers": headers}
    scope |= {"query_string": query.encode(), "client": ("10.0.0.1", 7)}
    statuses: list[int] = []
    messages = [{"type": "http.request", "body": body}]

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()  # who asked stays there until it is answered
        return messages.pop()

    async def send(message: dict[str, Any]) -> None:
        if "status" in message:
            statuses.append(message["status"])

    application = Application(served.service)
    asyncio.run(application(scope, receive, send))
    application.close()
    return statuses[0]


def test_no_value_no_secret_and_no_query_gets_into_the_log(served: Served, tmp_path: Path) -> None:
    bearer = f"Bearer {SECRETS[0]}"
    put = b'{"key":"key","value":"thevalue"}'
    assert asked(served, "POST", "/api/v1/collections/default/records", put, bearer) == 201
    find = b'{"where":"name = \'thefilter\'"}'
    asked(served, "POST", "/api/v1/collections/default/find", find, bearer)
    assert asked(served, "POST", "/api/v1/collections/default/records", put, "Bearer bob") == 403
    for token in (None, "Bearer bdb_1f2e_thesecret2", "Basic thesecret"):
        assert asked(served, "POST", "/api/v1/collections/default/records", put, token) == 401
    assert served.outcomes() == [
        ("ann", "put", "ok"),
        ("bob", "put", "Forbidden"),
        *[("nobody", "put", "Unauthenticated")] * 3,
    ]
    assert {act.peer for act in served.acts()} == {"10.0.0.1:7"}
    stored = b"".join(file.read_bytes() for file in (tmp_path / "db" / "audit").iterdir())
    for secret in (*SECRETS, "thesecret"):
        assert secret.encode() not in stored


def test_of_a_crowd_at_the_door_only_some_are_entered_and_all_are_counted(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "monotonic", lambda: 7.5)
    call = Call(BY_NAME["put"], served.service.nobody, "r")
    for _ in range(80):
        with pytest.raises(Unauthenticated):
            served.service.identify(call, "Bearer who")
    served.trail.close()
    found = served.acts()
    assert len(found) == trail.AT_THE_DOOR_A_SECOND + 1
    assert (found[-1].operation, found[-1].keys) == ("turned_away", 30)


def test_tokens_that_are_made_and_revoked_beside_the_server_are_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "FORCE_EVERY_S", 0.001)
    database = blockdb.open(tmp_path / "db")
    tokens = TokenFile(tmp_path / "db")
    old, _ = tokens.create("old", Role.READER)
    served = Served(database)
    new, _ = tokens.create("new", Role.WRITER)
    until(lambda: len(served.acts()) == 1)
    tokens.revoke(old.id)
    served.trail.close()
    found = [(act.principal, act.operation, act.token_id) for act in served.acts()]
    assert found == [("local", "token create", new.id), ("local", "token revoke", old.id)]
    served.stop()


# ── where nothing can be entered, nothing is done ────────────────────────────────────────────────────────────────


class AuditTrouble(TroubledDoor):
    """A system that cannot write to the audit log, while `full` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self._descriptors: set[int] = set()

    def open_append(self, path: Path) -> int:
        descriptor = super().open_append(path)
        if path.suffix == ".acts":
            self._descriptors.add(descriptor)
        return descriptor

    def write(self, descriptor: int, data: Any) -> int:
        if self.full and descriptor in self._descriptors:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(descriptor, data)

    def force(self, descriptor: Any) -> None:
        if self.full and descriptor in self._descriptors:
            raise OSError(errno.EIO, "Input/output error")


def test_what_cannot_be_entered_is_not_acknowledged_and_nothing_more_is_done(tmp_path: Path) -> None:
    door = AuditTrouble()
    served = Served(open_through(door, tmp_path / "db"))
    served.put(b"before")
    door.full = True
    with pytest.raises(WritesStopped, match="free some space"):
        served.put(b"unknown")
    for _ in range(2):
        with pytest.raises(WritesStopped):
            served.put(b"not done")
    assert served.database.get(b"not done") is None
    assert served.call("get", records.Get(collection="default", key=b"before")).found, "reads are not entered"
    door.full = False
    served.put(b"after")
    keys = [(act.key, act.outcome) for act in served.acts()]
    assert keys[:2] == [(b"before", "ok"), (b"unknown", "ok")], "what was done is entered after all"
    assert keys[-1] == (b"after", "ok")
    served.stop()
    assert blockdb.verify(tmp_path / "db").valid


def test_after_a_failed_force_nothing_is_done_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "FORCE_EVERY_S", 0.001)
    door = AuditTrouble()
    served = Served(open_through(door, tmp_path / "db"))
    served.put(b"before")
    door.full = True
    until(lambda: served.trail._failure is not None or _tried(served, b"again"))
    door.full = False
    until(lambda: served.trail._failure is not None)
    with pytest.raises(WritesStopped):
        served.put(b"not done")
    assert served.database.get(b"not done") is None
    for close in (served.trail.close, served.database.close):
        with pytest.raises(WritesStopped):
            close()


def _tried(served: Served, key: bytes) -> bool:
    with pytest.raises(BlockDBError):
        served.put(key)
    return False


def test_it_is_forced_signed_and_journaled_by_and_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_EVERY_S", "SIGN_EVERY_S", "JOURNAL_EVERY_S"):
        monkeypatch.setattr(trail, name, 0.001)
    served = Served(blockdb.open(tmp_path / "db"))
    log = served.database.audit_log()
    for number in range(3):
        served.put(b"%d" % number)
        until(lambda: log.is_forced)
        until(lambda: served.database._core.audit_log._journaled() == log.head)
    served.stop()
    assert blockdb.verify(tmp_path / "db").valid
