"""The twin for event loops, on the same ground as the other."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import blockdb
from blockdb.client.aio.transaction import AsyncTransaction
from tests.client.served import Served


def on_a_loop(url: str, run: Callable[[blockdb.AsyncDatabase], Awaitable[None]], **options: object) -> None:
    async def connected() -> None:
        async with await blockdb.connect_async(url, attempts=2, **options) as db:
            await run(db)

    asyncio.run(asyncio.wait_for(connected(), 60))


def test_reading_and_writing(server: Served) -> None:
    async def run(db: blockdb.AsyncDatabase) -> None:
        users = await db.create_collection("users")
        assert await users.put(b"a", b"1") == 0
        assert await users.put_many([(b"b%03d" % number, {"n": number}) for number in range(300)]) == range(1, 301)
        assert await users.get(b"a") == b"1"
        assert await users.get(b"nothing") is None
        assert [key async for key in users.keys(prefix=b"b")] == [b"b%03d" % number for number in range(300)]
        assert len([item async for item in users.scan(limit=150, reverse=True)]) == 150
        assert [found.sequence async for found in users.find("n >= 298", fields="n")] == [299, 300]
        results = users.find("n >= 0", order="n", limit=5)
        first = [document.value["n"] async for document in results]
        rest = [document.value["n"] async for document in users.find("n >= 0", order="n", after=await results.cursor)]
        assert first + rest == [*range(300)]
        assert await users.next_sequence == 301
        assert await users.schema is None
        assert (await db["users"]).id == users.id
        assert await users.count() == 301
        with pytest.raises(blockdb.DuplicateKey):
            await users.put(b"a", b"2")
        assert (await users.verify()).valid

    on_a_loop(server.url, run)


@pytest.mark.torture
def test_many_tasks_at_once(server: Served) -> None:
    async def run(db: blockdb.AsyncDatabase) -> None:
        many = await db.create_collection("many")
        await asyncio.gather(*(many.put(b"%d" % number, b"") for number in range(50)))
        assert await many.count() == 50

    on_a_loop(server.url, run, max_connections=5)


@pytest.mark.torture
def test_transactions_and_changes(server: Served) -> None:
    async def run(db: blockdb.AsyncDatabase) -> None:
        both = await db.create_collection("both")
        feed = await both.watch()
        async with await db.transaction() as transaction:
            await transaction.put(b"a", b"1", collection="both")
            assert [item async for item in transaction.scan(collection="both")] == [(b"a", b"1")]
        change = await feed.take(10)
        assert change is not None
        assert change.record.key == b"a"
        assert await feed.take(0.01) is None
        await both.put(b"b", b"")
        change = await feed.take(10)
        assert change is not None
        assert (change.record.key, feed.position) == (b"b", 1)
        await feed.stop()
        assert [change async for change in feed] == []

        async def add(transaction: AsyncTransaction) -> int:
            await transaction.put(b"c", b"", collection="both")
            return 7

        assert await db.execute_transaction(add) == 7
        with pytest.raises(blockdb.DuplicateKey):
            await db.execute_transaction(lambda each: each.put_many([(b"d", b""), (b"a", b"")], collection="both"))
        assert not await both.exists(b"d")

    on_a_loop(server.url, run)


@pytest.mark.torture
def test_a_waiting_feed_ends_with_its_connection(server: Served) -> None:
    async def run(db: blockdb.AsyncDatabase) -> None:
        feed = await db.watch()
        waiting = asyncio.ensure_future(feed.take())
        await asyncio.sleep(0)
        await db.close()
        assert await waiting is None
        with pytest.raises(blockdb.DatabaseClosed):
            await db.get(b"key")

    on_a_loop(server.url, run)


def test_the_twin_believes_nothing_either(server: Served, tmp_path: Path) -> None:
    async def run(db: blockdb.AsyncDatabase) -> None:
        await db.put(b"proven", b"1")
        assert await db.get(b"proven") == b"1"
        assert await db.get(b"not stored") is None
        assert [item async for item in db.scan(prefix=b"proven")] == [(b"proven", b"1")]
        assert b"".join([piece async for piece in db.backup()])

    on_a_loop(server.url, run, verified=True, state=tmp_path / "state.json")
    assert (tmp_path / "state.json").exists()
