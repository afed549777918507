"""What requests wait for in a cluster: against a log that is told when to answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, cast

import pytest

import blockdb
from blockdb.cluster.database.database import ReplicatedDatabase
from blockdb.errors import InvalidData, Unavailable
from blockdb.security.roles import ANONYMOUS
from blockdb.server import concerns as module
from blockdb.server.concerns import Concerns, concern_of, name_of
from blockdb.server.service import Call
from blockdb.wire.messages.records import ByKey, Get, Put
from blockdb.wire.operation import Nothing
from blockdb.wire.table import BY_NAME
from tests.client.served import Served, served
from tests.server.cluster.fakes import FakeLog
from tests.server.running import ask

pytestmark = pytest.mark.timeout(300)


class Waiting(FakeLog):
    """Barriers are answered when the test says so; this node has nothing before it was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.now = replace(self.now, applied=0)
        self.barriers: list[Future[int]] = []
        self.waited: list[int] = []

    def barrier(self) -> Future[int]:
        self.barriers.append(Future())
        return self.barriers[-1]

    def wait_applied(self, index: int, timeout_s: float) -> None:
        self.waited.append(index)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with blockdb.open(tmp_path_factory.mktemp("node") / "db") as db, served(db) as server:
        db.knows = db.has_collection  # type: ignore[attr-defined]  # it stands for a node's
        db.create_collection("strict", settings={"read_concern": "Linearizable"})
        db.put(b"k", b"v")
        yield server


def of(server: Served, log: FakeLog, default: str = "Linearizable") -> Concerns:
    return Concerns(log, cast("ReplicatedDatabase", server.database), default)


def call(name: str, **fields: Any) -> Call:
    return Call(BY_NAME[name], ANONYMOUS, "1", **fields)


def test_what_waits(server: Served) -> None:
    strict, loose = of(server, Waiting()), of(server, Waiting(), "Local")
    get, local = Get(key=b"k"), call("get", concern="Local")
    assert strict.waits(call("get"), get)
    assert strict.waits(call("scan"), get)
    assert strict.waits(call("backup"), Nothing())
    assert not strict.waits(local, get)
    assert (strict.is_local(local, get), strict.is_local(call("get"), get)) == (True, False)
    assert not strict.waits(call("get", is_confirmed=True), get)
    for name in ("about", "cluster_status", "health", "verify", "transaction_get", "commit", "put", "flush"):
        assert not strict.waits(call(name), Nothing()), name
    assert strict.waits(call("put"), Put(key=b"k", value=b"v", collection="made-elsewhere"))
    assert not loose.waits(call("get"), get)
    assert loose.waits(call("get", concern="Linearizable"), get)
    assert loose.waits(call("get"), Get(key=b"k", collection="strict"))
    assert not loose.waits(call("get", concern="Local"), Get(key=b"k", collection="strict"))
    with pytest.raises(InvalidData, match="should be Linearizable or Local, not 'eventual'"):
        concern_of("eventual")
    assert (concern_of(None), concern_of("local")) == (None, "Local")


def test_a_name_follows_from_who_asks_for_what_under_which_key() -> None:
    names = {name_of(ANONYMOUS, key, BY_NAME[operation]) for key in "ab" for operation in ("put", "commit")}
    assert len(names) == 4
    assert {len(name) for name in names} == {16}


def test_those_who_come_together_wait_together(server: Served) -> None:
    log = Waiting()
    concerns = of(server, log)

    async def all_of_them() -> None:
        asking = [call("get") for _ in range(5)]
        first = [asyncio.ensure_future(concerns.prepare(each, ByKey(key=b"k"))) for each in asking]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(log.barriers) == 1
        later = asyncio.ensure_future(concerns.prepare(call("get"), ByKey(key=b"k")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(log.barriers) == 2  # the first one may be too old for it
        log.barriers[0].set_result(8)
        await asyncio.gather(*first)
        assert all(each.is_confirmed for each in asking)
        assert log.waited == [8]
        log.now = replace(log.now, applied=9)
        log.barriers[1].set_result(9)
        await later
        assert log.waited == [8]  # it was there already
        failing = asyncio.ensure_future(concerns.prepare(call("get"), ByKey(key=b"k")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        log.barriers[2].set_exception(Unavailable("nobody leads"))
        with pytest.raises(Unavailable, match="nobody leads"):
            await failing

    asyncio.run(all_of_them())
    concerns.close()


def test_who_waits_too_long_is_told_what_to_do(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.01)
    concerns = of(server, Waiting())
    with pytest.raises(Unavailable, match="perhaps nobody leads"):
        concerns.wait()
    with pytest.raises(Unavailable, match="Read-Concern: Local"):
        asyncio.run(concerns.prepare(call("get"), ByKey(key=b"k")))


def test_a_read_says_what_it_is(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    log = FakeLog()
    monkeypatch.setattr(server.service, "concerns", of(server, log))
    host, port = server.url.removeprefix("http://").split(":")
    address = host, int(port)
    answer = ask(address, "GET", "/api/v1/get/k")
    assert (answer.status, answer.headers["Read-Concern"]) == (200, None)
    log.now = replace(log.now, commit=11)
    for answer in (
        ask(address, "GET", "/api/v1/get/k", Read_Concern="local"),
        ask(address, "GET", "/api/v1/get/k?read_concern=Local"),
    ):
        told = [answer.headers[name] for name in ("Read-Concern", "Blockdb-Applied", "Blockdb-Lag")]
        assert (answer.status, told) == (200, ["Local", "8", "3"])
    assert ask(address, "GET", "/api/v1/get/k?read_concern=x").status == 400
    with blockdb.connect(server.url, read_concern="Local") as db:
        log.barrier = lambda: pytest.fail("nobody is asked")  # type: ignore[method-assign]
        assert db.get(b"k") == b"v"
    with pytest.raises(blockdb.ConfigError, match="read_concern: it should be Linearizable or Local"):
        blockdb.connect(server.url, read_concern="x")


def test_without_a_leader_a_read_is_unavailable(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    log = FakeLog()

    def nobody() -> Future[int]:
        future: Future[int] = Future()
        future.set_exception(Unavailable("Nobody leads the cluster at this moment. Try again."))
        return future

    log.barrier = nobody  # type: ignore[method-assign]
    monkeypatch.setattr(server.service, "concerns", of(server, log))
    host, port = server.url.removeprefix("http://").split(":")
    for path in ("/api/v1/get/k", "/api/v1/collections/default/scan", "/api/v1/collections/default/watch"):
        answer = ask((host, int(port)), "GET", path)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1"), path
    assert ask((host, int(port)), "GET", "/api/v1/get/k", Read_Concern="Local").status == 200
