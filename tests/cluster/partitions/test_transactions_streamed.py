"""Transactions over JetStream, while servers are killed: histories are exact, and nothing stays in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from random import Random
from time import monotonic

import pytest

from blockdb.cluster.partitions.committing import IN_DOUBT_S
from tests.cluster.conformance import until
from tests.cluster.partitions.processes import Processes, processes
from tests.cluster.partitions.streamed import Streamed
from tests.cluster.partitions.using import Usage

pytestmark = pytest.mark.torture

SETTLED_S = 60.0
"""So long after the last server is up again: a stream has a leader, an append is tried again, and IN_DOUBT_S."""
assert SETTLED_S > 2 * IN_DOUBT_S


@pytest.fixture(scope="module")
def streamed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streamed]:
    cluster = Streamed(tmp_path_factory.mktemp("streamed"), 3)
    cluster["n1"].create_collection("users")
    yield cluster
    cluster.close()


def is_settled(cluster: Streamed) -> bool:
    machines = [each.machine for node in cluster.nodes.values() for each in node.holdings.all()]
    return all(m is not None and not m.pending.homes() and not m.pending.decided() for m in machines)


def test_histories_are_strictly_serializable(streamed: Streamed) -> None:
    usage = Usage(1, keys=40)
    usage.run(list(streamed.nodes.values()), users=6, each=20)
    until(lambda: is_settled(streamed), "nothing is in doubt", SETTLED_S)
    assert usage.check(streamed["n2"]) > 20


@pytest.mark.parametrize("seed", range(2, 5))
def test_histories_are_exact_while_streams_lose_their_servers(streamed: Streamed, seed: int) -> None:
    usage, chance = Usage(seed, keys=300), Random(seed)
    stop, doing = usage.begin(list(streamed.nodes.values()), users=4)
    for _ in range(3):
        before = len(usage.history)
        until(lambda least=before + 40: len(usage.history) > least, "it goes on", 60)  # type: ignore[misc]
        streamed.kill_server(chance.choice(sorted(streamed.nodes)))
    before = len(usage.history)
    until(lambda: len(usage.history) > before + 40, "it goes on", 60)
    stop()
    for each in doing:
        each.result(90)
    until(lambda: is_settled(streamed), "nothing is in doubt", SETTLED_S)
    usage.settle(streamed["n1"])
    assert usage.check(streamed["n2"]) > 20


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with processes(tmp_path_factory.mktemp("processes"), 3) as running, running.connect("n1") as database:
        database.create_collection("users", settings={"partitions": 4, "replication_factor": 3})
        yield running


@pytest.mark.parametrize("seed", range(10, 13))
def test_histories_are_exact_while_nodes_are_killed(running: Processes, seed: int) -> None:
    """Whoever coordinates dies in the middle of it, and whoever holds a part; one node at a time."""
    usage, chance = Usage(seed, keys=300), Random(seed)
    options = {"attempts": 1, "timeout_s": 15.0, "read_timeout_s": 15.0}
    with ExitStack() as stack:
        clients = [stack.enter_context(running.connect(id_, **options)) for id_ in sorted(running.running)]
        stop, doing = usage.begin(clients, users=6)
        for _ in range(2):
            before = len(usage.history)
            until(lambda least=before + 60: len(usage.history) > least, "it goes on", 90)  # type: ignore[misc]
            id_ = chance.choice(sorted(running.running))
            running.kill(id_)
            before = len(usage.history)
            until(lambda least=before + 30: len(usage.history) > least, "it goes on", 90)  # type: ignore[misc]
            running.start(id_)
        stop()
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda each: each.result(120), doing))
    with running.connect() as database:
        before_s = monotonic()
        usage.settle(database)
        assert monotonic() - before_s < SETTLED_S
        assert usage.check(database) > 20
