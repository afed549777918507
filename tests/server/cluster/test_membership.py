"""What users are told of a cluster, and what they may have it do: against a log that says what it is told to say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from threading import Thread

import pytest

import blockdb
from blockdb.alerts import evaluate
from blockdb.commands import cli
from blockdb.format.consensus import NOBODY
from blockdb.nodes import ClusterEvent
from blockdb.server import membership
from blockdb.server.handlers import cluster
from blockdb.server.metric_table import CLUSTER, NODE
from tests.client.served import Served, served
from tests.server.cluster.fakes import FakeLog, member, of_three
from tests.server.running import ask
from tests.server.watching import Limits
from tests.storage.doors import until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cluster, "IDLE_S", 0.05)
        with blockdb.open(tmp_path_factory.mktemp("node") / "db") as db, served(db) as server:
            yield server


@pytest.fixture
def log(server: Served) -> Iterator[FakeLog]:
    server.service.log = log = FakeLog()
    yield log
    server.service.log = None


def json(server: Served, method: str, path: str, body: bytes | None = None) -> tuple[int, object]:
    host, port = server.url.removeprefix("http://").split(":")
    answer = ask((host, int(port)), method, path, body)
    return answer.status, answer.json


def test_a_node_that_stands_alone_is_a_cluster_of_itself(server: Served) -> None:
    status, told = json(server, "GET", "/cluster/status")
    assert status == 200
    assert isinstance(told, dict)
    assert (told["state"], told["leader"], [node["id"] for node in told["nodes"]]) == ("Leader", "node1", ["node1"])
    assert json(server, "GET", "/cluster/health")[1] == {"status": "healthy", "active_nodes": 1, "total_nodes": 1}
    for method, path in (("POST", "/cluster/transfer"), ("DELETE", "/cluster/remove/x"), ("GET", "/cluster/events")):
        status, told = json(server, method, path, b"{}" if method == "POST" else None)
        assert status == 400
        assert "stands alone" in str(told)


def test_the_shapes_are_those_that_are_documented(server: Served, log: FakeLog) -> None:
    _, told = json(server, "GET", "/cluster/status")
    assert isinstance(told, dict)
    assert list(told) == ["cluster_id", "node_id", "state", "term", "leader", "nodes"]
    assert (told["cluster_id"], told["term"], told["leader"]) == ("shop", 42, "node1")
    heard = {"id": "node2", "address": "127.0.0.1:8002", "state": "Follower", "last_heartbeat": "2023-11-14T22:13:20Z"}
    assert told["nodes"][1] == heard
    added = b'{"node_id": "node4", "address": "192.168.1.13:8080"}'
    assert json(server, "POST", "/cluster/add", added) == (
        200, {"success": True, "message": "Node added successfully"},
    )  # fmt: skip
    assert log.members().all[-1].peer_address == "192.168.1.13:9080"
    assert json(server, "DELETE", "/cluster/remove/node4") == (
        200, {"success": True, "message": "Node removed successfully"},
    )  # fmt: skip
    assert json(server, "GET", "/metrics")[1]["cluster"] == {  # type: ignore[index]
        "consensus_state": "Leader", "active_nodes": 3, "last_election": "2023-11-14T22:13:20Z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (("", "h:1"), "node_id: it should be given"),
        (("a b", "h:1"), r"node_id: it should be letters"),
        (("n", "h"), "address: it should be host:port"),
        (("n", "h:99999"), "address: it should be host:port"),
        (("n", "h:1", "x"), "it should be host:port"),
        (("n", "h:65000"), "peer_address: it should be given"),
        (("n", "127.0.0.1:8002"), "is that of node2"),
    ],
)
def test_a_node_that_cannot_be_is_refused(log: FakeLog, fields: tuple[str, ...], words: str) -> None:
    with pytest.raises(blockdb.BlockDBError, match=words):
        membership.add(log, *fields)
    assert log.now == of_three()


def test_it_is_not_waited_for_that_a_node_has_caught_up(log: FakeLog) -> None:
    log.is_stuck = True
    membership.add(log, "node4", "h:1")
    assert "node4" in log.members()


def test_what_is_not_decided_in_time_is_unavailable(log: FakeLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "PATIENCE_S", 0.01)
    log.is_stuck = True
    log.now = replace(log.now, commit=-10)
    monkeypatch.setattr(FakeLog, "members", lambda self: NOBODY)
    with pytest.raises(blockdb.Unavailable, match="has not decided"):
        membership.add(log, "node4", "h:1")


def test_the_client_and_its_twin(server: Served, log: FakeLog) -> None:
    with blockdb.connect(server.url) as db:
        state = db.cluster.state()
        assert (state.engine, state.commit, state.health) == ("raft", 8, "healthy")
        assert [(node.id, node.lag, node.agrees) for node in state.members[:2]] == [
            ("node1", 0, None),
            ("node2", 3, True),
        ]
        db.cluster.add("node4", "h:80", replica=True)
        assert db.cluster.state().members[-1].role == "replica"
        db.cluster.remove("node4")
        with pytest.raises(blockdb.InvalidData, match="there is no 'node9'"):
            db.cluster.remove("node9")
        assert db.cluster.transfer("node3") == "node3"

    async def twin() -> None:
        async with await blockdb.connect_async(server.url) as db:
            assert (await db.cluster.state()).leader == "node3"
            assert await db.cluster.transfer() == "node2"
            await db.cluster.add("node5", "h:81")
            await db.cluster.remove("node5")

    asyncio.run(twin())


def test_events_come_as_they_happen(server: Served, log: FakeLog) -> None:
    with blockdb.connect(server.url) as db:
        events = db.cluster.events()
        assert next(events) is None  # it listens
        log.tell("leader", term=43, other="node2")
        assert next(events) == ClusterEvent(1_700_000_000_000, "node1", "leader", 43, 0, "node2")
        events.close()  # type: ignore[attr-defined]
    until(lambda: not log.listeners)

    async def twin() -> list[str]:
        async with await blockdb.connect_async(server.url) as db:
            kinds = []
            async for event in db.cluster.events(timeout_s=0.1):
                kinds.append("" if event is None else event.kind)
                log.tell("contact")
                if event is not None:
                    break
            return kinds

    assert asyncio.run(twin()) == ["", "contact"]


def run(server: Served, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = cli.run(("cluster", *words, "--url", server.url))
    found = capsys.readouterr()
    return code, found.out + found.err


def test_commands(server: Served, log: FakeLog, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = run(server, capsys, "status")
    assert (code, "healthy, 3 of 3 nodes active" in shown, "shop" in shown) == (0, True, True)
    assert '"term":42' in run(server, capsys, "status", "--format", "json")[1].replace(": ", ":")
    code, shown = run(server, capsys, "members", "--format", "csv")
    assert shown.splitlines()[2].startswith("node2,Follower,voter,127.0.0.1:8002,7")
    assert run(server, capsys, "add", "node4", "h:80") == (
        0,
        "node4 belongs to the cluster as a voter, once it has caught up\n",
    )
    assert run(server, capsys, "remove", "node4") == (0, "node4 belongs to the cluster no more\n")
    assert run(server, capsys, "transfer", "node2") == (0, "node2 leads\n")
    assert run(server, capsys, "health")[0] == 0
    log.now = replace(log.now, members=(*log.now.members[:2], member(3, "Unreachable")))
    assert run(server, capsys, "health") == (1, "The cluster is degraded, 2 of 3 nodes active\n")
    code, shown = run(server, capsys, "add", "node4", "nowhere")
    assert (code, "host:port" in shown) == (1, True)


def test_a_command_follows_events(server: Served, log: FakeLog, capsys: pytest.CaptureFixture[str]) -> None:
    def tell() -> None:
        until(lambda: bool(log.listeners))
        log.tell("leader", term=43, other="node2")

    telling = Thread(target=tell)
    telling.start()
    code, shown = run(server, capsys, "events", "--count", "1", "--format", "jsonl")
    telling.join(20)
    assert (code, '"kind":"leader"' in shown.replace(": ", ":")) == (0, True)


def test_without_a_server_there_is_no_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(("cluster", "status")) == 2
    assert "give --url" in capsys.readouterr().err


def test_a_node_without_a_leader_is_not_ready(server: Served, log: FakeLog) -> None:
    assert json(server, "GET", "/health/ready")[0] == 200
    log.now = replace(log.now, leader="", state="Candidate")
    assert json(server, "GET", "/health/ready") == (503, {"status": "not ready", "reasons": ["no leader"]})
    assert json(server, "GET", "/health/live")[0] == 200
    log.now = replace(of_three(), state="Learner", diverged="block 3")
    assert json(server, "GET", "/health/ready")[1] == {"status": "not ready", "reasons": ["diverged", "catching up"]}


def test_metrics_and_alerts(server: Served, log: FakeLog) -> None:
    monitor = server.service.monitor
    monitor.meters.decided(0.003)
    text = monitor.exposition.render()[0].decode()
    for metric in (*CLUSTER, *NODE):
        assert f"\nblockdb_{metric.name}" in text, metric.name
    assert 'blockdb_cluster_node_lag_entries{node="node2"} 3.0' in text
    assert "blockdb_cluster_propose_duration_seconds_count 1.0" in text
    assert evaluate(Limits(), None, monitor.snapshot()).alerts == ()
    members = (member(1, lag=20_000), member(2, "Unreachable"), member(3, agrees=False))
    log.now = replace(log.now, leader="", members=members)
    found = [(alert.name, alert.subject) for alert in evaluate(Limits(), None, monitor.snapshot()).alerts]
    assert found == [
        ("divergence", "node3"), ("no_leader", ""), ("node_unreachable", "node2"), ("replication_lag", "node1"),
    ]  # fmt: skip
