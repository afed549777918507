"""Writes whose heads are known already: all that is decided about others is decided about them, each time."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

import msgspec
import pytest

import blockdb
from blockdb.database.transactions.transaction import Transaction
from blockdb.security.roles import Role
from blockdb.server.http.again import Again
from blockdb.server.serving import Served
from blockdb.server.tokens import TokenFile
from tests.server.running import Address, end, served_here, serving
from tests.storage.doors import until

PUT = "/api/v1/collections/default/records"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Address]]:
    with served_here(tmp_path_factory.mktemp("again") / "db") as found:
        yield found


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each request with a head that was known, whether it was answered without it."""
    asked: list[bool] = []
    call = Again.__call__

    def noted(*arguments: object) -> bool:
        asked.append(call(*arguments))  # type: ignore[arg-type]
        return asked[-1]

    monkeypatch.setattr(Again, "__call__", noted)
    return asked


class Client:
    """One connection on which the same head is sent each time."""

    def __init__(self, connection: socket.socket, headers: dict[str, str], path: str = PUT) -> None:
        self._connection = connection
        self._head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in headers.items()
        )

    def put(self, key: str, value: str = "v", name: str = "", **more: object) -> tuple[int, dict[str, Any]]:
        """The status and what is told."""
        body = json.dumps({"key": key, "value": value, **more}).encode()
        return self.ask(body, name)

    def ask(self, body: bytes, name: str = "") -> tuple[int, dict[str, Any]]:
        status, data = self._ask(body, f"Idempotency-Key: {name}\r\n" if name else "")
        return status, json.loads(data)

    def ask_packed(self, members: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        status, data = self._ask(msgspec.msgpack.encode(members))
        return status, msgspec.msgpack.decode(data)

    def _ask(self, body: bytes, more: str = "") -> tuple[int, bytes]:
        self._connection.sendall(f"{self._head}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = HTTPResponse(self._connection)
        answer.begin()
        self.headers = answer.headers
        return answer.status, answer.read()


@contextmanager
def client(address: Address, headers: dict[str, str] | None = None, path: str = PUT) -> Iterator[Client]:
    with socket.create_connection(address, timeout=20) as connection:
        yield Client(connection, headers or {}, path)


def test_answers_are_the_same_as_those_to_whole_requests(running: tuple[Served, Address], short: list[bool]) -> None:
    served, address = running
    database, meters = served.service.database, served.service.monitor.meters
    for path in (PUT, "/api/v1/put"):
        with client(address, {"Content-Type": "application/json"}, path) as one:
            before = [one.put(f"{path}1")[0], dict(one.headers)]
            after = [one.put(f"{path}2")[0], dict(one.headers)]
            assert short.pop() is True
            assert not short
            for found in (before, after):
                for name in ("x-request-id", "date", "content-length"):
                    assert found[1].pop(name), name  # type: ignore[attr-defined]
            assert before == after
            refused = one.put(f"{path}1"), one.put("")
            assert short == [True, True]
            assert [(status, told["error"]) for status, told in refused] == [
                (409, "DuplicateKey"),
                (400, "InvalidData"),
            ]
            assert one.ask(b"{")[1]["error"] == "InvalidData"
            assert one.put("x", unknown=1)[0] == 400
            assert one.put(f"{path}3", sync=True)[0] in (200, 201)
            assert short[2:] == [False, False, True]
            short.clear()
        assert database.get(f"{path}2".encode()) == b"v"
    acts = [(act.operation, act.outcome) for act in database.acts()]
    assert acts.count(("put", "ok")) == acts.count(("store", "ok")) == 3
    assert acts.count(("put", "DuplicateKey")) == acts.count(("put", "InvalidData")) == 1
    assert meters.snapshot().in_flight == 0


def abort_once_waited_for(served: Served, transaction: Transaction) -> None:
    until(lambda: served.service.database.stats().transactions.waiting > 0)
    transaction.abort()


def test_what_waits_for_a_transaction_is_waited_for(
    running: tuple[Served, Address], short: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, address = running
    admitted: list[str] = []
    admit = served.service.admit
    monkeypatch.setattr(
        served.service, "admit", lambda call, request: (admitted.append(call.request_id), admit(call, request))
    )
    with client(address) as one:
        assert one.put("before")[0] == 201
        begun = served.service.transactions.begin(served.service.nobody, None)[0]
        assert one.put("beside a transaction")[0] == 201
        served.service.transactions.abort(served.service.nobody, begun)
        assert short == [True]
        with served.service.database.transaction() as transaction:
            transaction.put(b"locked", b"1")
            assert one.put("free")[0] == 201
        assert one.put("locked")[0] == 409
        assert short == [True] * 3
        with served.service.database.transaction() as transaction:
            transaction.put(b"locked in vain", b"1")
            aborting = threading.Thread(target=abort_once_waited_for, args=(served, transaction))
            aborting.start()
            assert one.put("locked in vain", "mine")[0] == 201
            aborting.join()
        assert len(admitted) == len(set(admitted)), "each is counted once, however it goes"
        served._options.max_body_bytes = 100
        assert one.put("long", "v" * 100)[1]["error"] == "RequestTooLarge"
        served._options.max_body_bytes = 1 << 20


def test_what_comes_from_a_page_is_not_taken(running: tuple[Served, Address], short: list[bool]) -> None:
    _, address = running
    for headers in ({"Origin": "http://localhost"}, {"Content-Encoding": "identity"}):
        with client(address, headers) as one:
            assert [one.put(f"{headers}")[0] for _ in range(2)] == [201, 409]
            assert short == [True] * ("Content-Encoding" in headers)


def test_what_has_a_key_is_done_once(running: tuple[Served, Address], short: list[bool]) -> None:
    served, address = running
    with client(address) as one:
        told = [one.put(f"keyed {key}", name=f"k{key}") for key in "aabab"]
        assert short == [True] * 4
        assert [status for status, _ in told] == [201] * 5
        assert told[0] == told[1] == told[3] != told[2] == told[4]
        status, answer = one.put("keyed a", "another", name="ka")
        assert (status, answer["error"]) == (422, "IdempotencyConflict")
        assert short == [True] * 5
        assert one.put("keyed c", name="two words")[0] == 201
        assert len(short) == 5
    outcomes = [act.outcome for act in served.service.database.acts() if act.key.startswith(b"keyed")]
    assert outcomes == ["ok"] * 5 + ["IdempotencyConflict", "ok"]


def test_reads_that_are_asked_for_by_name_are_taken(running: tuple[Served, Address], short: list[bool]) -> None:
    served, address = running
    served.service.database.put(b"read", b"1")
    for name, found in (
        ("get", {"found": True, "key": b"read", "value": b"1", "redacted": False}),
        ("exists", {"exists": True}),
    ):
        headers = {"Content-Type": "application/msgpack", "Accept": "application/msgpack"}
        with client(address, headers, f"/api/v1/call/{name}") as one:
            assert [one.ask_packed({"key": b"read"}) for _ in range(2)] == [(200, found)] * 2
            status, told = one.ask_packed({"key": b"read", "collection": "nowhere"})
            assert (status, told["kind"]) == (404, "CollectionNotFound")
            assert short == [True] * 2
            short.clear()


def test_who_asks_and_how_often_is_looked_at_each_time(running: tuple[Served, Address], short: list[bool]) -> None:
    served, address = running
    file = TokenFile(Path(served.config.database.data_dir))
    info, token = file.create("ann", Role.WRITER, ["default"], b"ann:")
    served._authenticator._look()  # type: ignore[attr-defined]
    with client(address, {"Authorization": f"Bearer {token}"}) as one:
        assert one.put("ann:1")[0] == one.put("ann:2")[0] == 201
        status, told = one.put("bob:1")
        assert (status, told["error"]) == (403, "Forbidden")
        served._limits.rate.per_second = 1
        one.put("ann:3")
        status, told = one.put("ann:4")
        assert (status, told["error"], one.headers["retry-after"]) == (429, "RateLimited", "1")
        served._limits.rate.per_second = 0
        assert short == [True] * 4
        file.revoke(info.id)
        served._authenticator._look()  # type: ignore[attr-defined]
        assert one.put("ann:5")[0] == 401
        assert short[4:] == [False]
    assert served.service.database.get(b"bob:1") is None
    outcomes = [act.outcome for act in served.service.database.acts() if act.principal == "ann"]
    assert outcomes == ["ok", "ok", "Forbidden", "ok", "RateLimited"]


def test_what_takes_too_long_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event

    from blockdb.server.gathering import Gatherer

    release = Event()
    together = Gatherer._together

    def slow(self: Gatherer, group: object) -> list[object]:
        release.wait(20)
        return together(self, group)  # type: ignore[arg-type]

    with served_here(tmp_path / "db") as (served, address), client(address) as one:
        assert one.put("1", sync=True)[0] == 201
        monkeypatch.setattr(Gatherer, "_together", slow)
        served._options.request_timeout_s = 0.01
        status, told = one.put("2", sync=True)
        assert (status, told["error"]) == (504, "RequestTimeout")
        served._options.request_timeout_s = 30
        release.set()
        assert one.put("3", sync=True)[1]["first_sequence"] == 2


@pytest.mark.torture
def test_who_asks_again_after_a_kill_gets_the_first_answer(tmp_path: Path) -> None:
    """Many at a time, gathered, until the server is killed among them; all of them are asked again then."""
    answered: dict[str, dict[str, Any]] = {}
    many = threading.Event()

    def work(name: int, address: Address) -> None:
        with suppress(OSError, HTTPException), client(address) as one:
            for number in range(10_000):
                key = f"{name}-{number}"
                asked.add(key)
                status, told = one.put(key, name=key)
                assert status == 201
                answered[key] = told
                if len(answered) > 2_000:
                    many.set()

    asked: set[str] = set()
    with serving(tmp_path / "db") as (process, address):
        threads = [threading.Thread(target=work, args=(name, address)) for name in range(8)]
        for thread in threads:
            thread.start()
        assert many.wait(60)
        process.kill()
        for thread in threads:
            thread.join(60)
    with serving(tmp_path / "db") as (process, address), client(address) as one:
        for key in sorted(asked):
            status, told = one.put(key, name=key)
            assert status == 201
            assert told == answered.get(key, told)
        assert end(process)[0] == 0
    with blockdb.open(tmp_path / "db") as db:
        assert {record.key.decode() for record in db.records()} == asked
        assert db.stats().records == len(asked) > 2_000
