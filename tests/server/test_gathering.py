"""Writes that wait for the disk together: each has its own answer, and nobody waits for another one's transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest

import blockdb
from blockdb.errors import BlockDBError, DuplicateKey, Forbidden, IdempotencyConflict, InvalidData, StorageError
from blockdb.security.roles import ANONYMOUS, Principal, Role
from blockdb.server import gathering
from blockdb.server.gathering import ALONE, Gatherer
from blockdb.server.service import Call, Service
from blockdb.wire.messages.plain import Told
from blockdb.wire.messages.records import Get, Put, Stored
from blockdb.wire.table import BY_NAME
from tests.fault.support import bounded
from tests.server.harness import running
from tests.storage.doors import until

READER = Principal("ann", Role.READER)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[blockdb.Database]:
    with blockdb.open(tmp_path_factory.mktemp("gathering") / "db", wal_sync_interval=0) as db:
        db.create_collection("other")
        db.create_collection("documents").create_index("by_n", ["n"])
        yield db


@pytest.fixture
def service(db: blockdb.Database) -> Service:
    return Service(db)


def call(name: str = "put", principal: Principal = ANONYMOUS, key: str | None = None) -> Call:
    return Call(BY_NAME[name], principal, "id", idempotency_key=key)


def gathered(service: Service, *asked: tuple[Call, Any]) -> Sequence[Any]:
    gatherer = Gatherer(service)

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(gatherer.call(*each) for each in asked), return_exceptions=True)

    try:
        return asyncio.run(all_of_them())
    finally:
        gatherer.close()


def test_each_gets_its_own_answer(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    db = service.database
    before = db.next_sequence
    writes: list[int] = []
    put_each = blockdb.Database.put_each

    def counted(self: blockdb.Database, items: Any, *, sync: bool) -> list[int | BlockDBError | None]:
        writes.append(len(items))
        return put_each(self, items, sync=sync)

    monkeypatch.setattr(blockdb.Database, "put_each", counted)
    told: list[tuple[str, str]] = []
    service.hooks.append(lambda call, error, _: told.append((call.operation.name, type(error).__name__)))
    answers = gathered(
        service,
        (call(), Put(key=b"a", value=b"1")),
        (call("store"), Put(key=b"b", value=b"1")),
        (call(), Put(key=b"a", value=b"2")),
        (call(), Put(key=b"", value=b"2")),
        (call(principal=READER), Put(key=b"c", value=b"1")),
        (call(), Put(collection="nowhere", key=b"c", value=b"1")),
        (call("store_document"), Put(collection="other", key=b"a", value=b"1")),
    )
    assert answers[0] == Stored(first_sequence=before, count=1)
    assert answers[1] == Told(message="Data stored successfully")
    assert [type(each) for each in answers[2:6]] == [DuplicateKey, InvalidData, Forbidden, blockdb.CollectionNotFound]
    assert answers[6] == Told(message="Document stored successfully in collection")
    assert (db.get(b"a"), db.get(b"b"), db["other"].get(b"a")) == (b"1", b"1", b"1")
    assert writes == [4]
    assert sorted(told) == sorted(
        [("put", "NoneType"), ("store", "NoneType"), ("store_document", "NoneType")]
        + [("put", name) for name in ("CollectionNotFound", "DuplicateKey", "Forbidden", "InvalidData")]
    )
    assert service.monitor.meters.in_flight.now == 0


def test_what_has_to_wait_for_others_goes_alone(service: Service) -> None:
    db = service.database
    with db.transaction() as transaction:
        transaction.put(b"locked", b"1")
        answers = gathered(
            service,
            (call(), Put(key=b"locked", value=b"2")),
            (call(), Put(key=b"free", value=b"2")),
            (call(), Put(collection="documents", key=b"d", value=b'{"n": 1}')),
        )
        transaction.abort()
    assert answers[0] is ALONE
    assert isinstance(answers[1], Stored)
    assert answers[2] is ALONE
    assert service.monitor.meters.in_flight.now == 0


def test_where_it_cannot_be_recorded_that_is_the_answer(service: Service) -> None:
    def fails(call: Call, error: BaseException | None, _: float) -> None:
        raise StorageError("the trail is full")

    service.hooks.append(fails)
    answers = gathered(service, (call(), Put(key=b"unrecorded", value=b"1")))
    assert [type(each) for each in answers] == [StorageError]


def test_a_bug_is_everybodys_answer_and_the_next_group_is_served(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(blockdb.Database, "put_each", lambda *_, **__: 1 / 0)
        answers = gathered(service, *((call(), Put(key=key, value=b"")) for key in (b"y", b"z")))
    assert [type(each) for each in answers] == [ZeroDivisionError] * 2
    assert service.monitor.meters.in_flight.now == 0
    assert isinstance(gathered(service, (call(), Put(key=b"y", value=b"")))[0], Stored)


async def one_after_the_other(gatherer: Gatherer, keys: Sequence[bytes]) -> None:
    """A client that asks again once it was answered."""
    for key in keys:
        await gatherer.call(call(), Put(key=key, value=b""))


def sizes_of_groups(service: Service, monkeypatch: pytest.MonkeyPatch, counts: Sequence[int]) -> list[int]:
    """How large the groups are of clients that put so many records each; the last one comes during the first group."""
    groups: list[int] = []
    is_there = Event()
    put_each = blockdb.Database.put_each
    gatherer = Gatherer(service)
    before = service.database.next_sequence

    async def all_of_them() -> None:
        loop, is_under_way = asyncio.get_running_loop(), asyncio.Event()

        def counted(self: blockdb.Database, items: Any, *, sync: bool) -> list[int | BlockDBError | None]:
            groups.append(len(items))
            loop.call_soon_threadsafe(is_under_way.set)
            is_there.wait(30)
            return put_each(self, items, sync=sync)

        monkeypatch.setattr(blockdb.Database, "put_each", counted)
        clients = []
        for client, count in enumerate(counts):
            if client == len(counts) - 1:
                await is_under_way.wait()
            keys = [b"%d of %d from %d" % (number, client, before) for number in range(count)]
            clients.append(asyncio.create_task(one_after_the_other(gatherer, keys)))
        await asyncio.sleep(0)  # the last one has asked
        is_there.set()
        async with asyncio.timeout(30):
            await asyncio.gather(*clients)

    try:
        asyncio.run(all_of_them())
    finally:
        gatherer.close()
    return groups


def test_the_next_group_waits_for_those_who_were_answered(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "SHARE", 1e6)
    monkeypatch.setattr(gathering, "LONGEST_S", 30.0)
    assert sizes_of_groups(service, monkeypatch, [4, 4, 4, 3]) == [3, 4, 4, 4]


def test_who_does_not_come_back_is_waited_for_once_and_not_for_long(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "SHARE", 1e6)
    groups = sizes_of_groups(service, monkeypatch, [1, 1, 1, 20])
    assert groups == [3] + [1] * 20


def test_which_requests_it_takes(service: Service, tmp_path: Path) -> None:
    gatherer = Gatherer(service)
    assert gatherer.takes(call(), Put(key=b"a", value=b"1"))
    assert gatherer.takes(call(key="k"), Put(key=b"a", value=b"1"))
    assert not gatherer.takes(call("get"), Get(key=b"a"))
    with blockdb.open(tmp_path / "db") as db:
        unforced = Gatherer(Service(db))
        other = db.create_collection("other")
        for name in ("default", db.id, "other", other.id):
            assert not unforced.waits(Put(collection=name, key=b"a", value=b"1"))
        assert unforced.waits(Put(collection="nowhere", key=b"a", value=b"1"))
        assert other._store is not None
        until(other._store.park)
        assert unforced.waits(Put(collection="other", key=b"a", value=b"1")), "its files have to be opened first"
        assert unforced.waits(Put(key=b"a", value=b"1", sync=True))
        unforced.close()
    gatherer.close()


def test_over_http(db: blockdb.Database) -> None:
    with running(db) as served:
        for name, key in (("default", "h"), ("documents", "h")):
            path = f"/api/v1/collections/{name}/records"
            body = {"key": key, "value": '{"n": 7}'}
            assert served.ask("POST", path, body).status == 201
            refused = served.ask("POST", path, body)
            assert (refused.status, refused.json["error"]) == (409, "DuplicateKey")
    assert db.get(b"h") == b'{"n": 7}'
    assert db["documents"].count(where="n = 7") == 1


def test_each_for_itself_in_the_library(db: blockdb.Database) -> None:
    first = db.next_sequence
    large = bytes(700_000)  # two of them are more than a group may have
    found: list[int | BlockDBError | None] = db.put_each([(b"1", large), (b"2", large), (b"1", b""), (b"3", b"")])
    assert (found[0], found[1], found[3]) == (first, first + 1, first + 2)
    assert isinstance(found[2], DuplicateKey)
    assert db.put_each([]) == []
    with blockdb.open(db.path, read_only=True) as reader, pytest.raises(blockdb.ReadOnly):
        reader.put_each([(b"4", b"")])


# What is remembered by its key.


def test_what_comes_again_gets_its_first_answer(service: Service) -> None:
    first = gathered(service, (call(key="1"), Put(key=b"k1", value=b"1")), (call(key="2"), Put(key=b"k2", value=b"1")))
    assert [type(each) for each in first] == [Stored, Stored]
    again = gathered(
        service,
        (call(key="2"), Put(key=b"k2", value=b"1")),
        (call(key="1"), Put(key=b"k1", value=b"2")),
        (call("store", key="1"), Put(key=b"k1", value=b"1")),
        (call(key="1", principal=Principal("bob", Role.WRITER)), Put(key=b"k1", value=b"1")),
        (call(key=""), Put(key=b"k3", value=b"1")),
        (call(key="k" * 256), Put(key=b"k3", value=b"1")),
    )
    assert again[0] == first[1]
    refused = [IdempotencyConflict, IdempotencyConflict, DuplicateKey, InvalidData, InvalidData]
    assert [type(each) for each in again[1:]] == refused
    later = Service(service.database)  # after a kill, the log of intents tells: which is looked for alone
    assert gathered(later, (call(key="1"), Put(key=b"k1", value=b"1")))[0] is ALONE
    assert later.call(call(key="1"), Put(key=b"k1", value=b"1")) == first[0]
    assert service.monitor.meters.in_flight.now == later.monitor.meters.in_flight.now == 0


def test_who_asks_again_meanwhile_waits_for_the_first(service: Service) -> None:
    put = Put(key=b"twice", value=b"1")
    first, second, other = gathered(
        service, (call(key="t"), put), (call(key="t"), put), (call(key="t"), Put(key=b"twice", value=b"2"))
    )
    assert isinstance(first, Stored)
    assert second is ALONE
    assert isinstance(other, IdempotencyConflict)
    assert service.call(call(key="t"), put) == first


def test_what_failed_may_be_asked_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    put = Put(key=b"failed", value=b"1")
    with monkeypatch.context() as patched:
        patched.setattr(blockdb.Database, "put_each", lambda *_, **__: 1 / 0)
        assert isinstance(gathered(service, (call(key="f"), put))[0], ZeroDivisionError)
    with service.database.transaction() as transaction:
        transaction.put(b"failed", b"1")
        assert gathered(service, (call(key="f"), put))[0] is ALONE
        transaction.abort()
    stored = gathered(service, (call(key="f"), put))[0]
    assert isinstance(stored, Stored)
    assert service.call(call(key="f"), put) == stored


def test_a_crash_in_the_middle_keeps_nobody_waiting(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    put = Put(key=b"crashed", value=b"1")

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(blockdb.Database, "put_each", crash)
        with pytest.raises(KeyboardInterrupt):
            Gatherer(service)._answers([(call(key="c"), put, lambda _: None)])
    answers: list[object] = []
    bounded(lambda: answers.append(service.call(call(key="c"), put)), seconds=20)
    assert isinstance(answers[0], Stored)


def test_where_an_intent_cannot_be_noted_only_those_with_a_key_fail(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    assert service.retries is not None
    with monkeypatch.context() as patched:
        patched.setattr(service.retries._log, "append", full)
        answers = gathered(
            service,
            (call(key="a"), Put(key=b"noted", value=b"1")),
            (call(), Put(key=b"plain", value=b"1")),
            (call(key="b"), Put(key=b"noted too", value=b"1")),
        )
    assert [type(each) for each in answers] == [StorageError, Stored, StorageError]
    assert service.database.get(b"noted") is None
    assert isinstance(gathered(service, (call(key="a"), Put(key=b"noted", value=b"1")))[0], Stored)


def test_intents_of_a_group_are_written_at_once_and_before_it_is_stored(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert service.retries is not None
    assert service.retries._log is not None
    steps: list[str] = []
    append, put_each = service.retries._log.append, blockdb.Database.put_each
    monkeypatch.setattr(
        service.retries._log, "append", lambda *given: (steps.append(f"{len(given)} intents"), append(*given))
    )
    monkeypatch.setattr(
        blockdb.Database, "put_each", lambda *given, **more: (steps.append("stored"), put_each(*given, **more))[1]
    )
    gathered(service, *((call(key=f"g{n}"), Put(key=b"g%d" % n, value=b"")) for n in range(3)))
    assert steps == ["3 intents", "stored"]
