"""The audit log over the network: page by page, for those who may."""

import asyncio

import pytest

import blockdb
from blockdb.client.plans import plan
from tests.client.served import Served

COUNT = 23


@pytest.fixture(scope="module", autouse=True)
def _entered(server: Served) -> None:
    server.database.audit_log()
    for number in range(COUNT):
        server.database.record_act("put" if number % 2 else "flush", keys=[b"\xff%d" % number] * (number % 2))


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "FIRST_PAGE", 2)


def test_it_is_what_it_is_there(server: Served, remote: blockdb.RemoteDatabase) -> None:
    there = server.database
    assert len(list(remote.acts())) == COUNT
    for wanted in (
        {},
        {"reverse": True},
        {"after": 7, "limit": 9},
        {"before": 20, "reverse": True, "operation": "put"},
        {"failed": True},
        {"principal": "nobody at all"},
        {"limit": 0},
    ):
        assert list(remote.acts(**wanted)) == list(there.acts(**wanted)), wanted  # type: ignore[arg-type]


def test_an_event_loop_reads_it_too(server: Served) -> None:
    async def read() -> list[blockdb.Act]:
        async with await blockdb.connect_async(server.url) as database:
            return [act async for act in database.acts(after=3)]

    assert asyncio.run(read()) == list(server.database.acts(after=3))
