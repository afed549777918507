"""Nodes over streams, as processes under load, and what is done to them and to their NATS servers.

A collection of four partitions is written to through all nodes. In the end each partition is a history of its own,
which has to be one that its clients can have seen; together they have what was acknowledged.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

import blockdb
from blockdb.cluster.partitions.spreading import Spreading
from blockdb.errors import BlockDBError
from tests.cluster.processes.history import ABSENT, VALUE, Op, faults_of
from tests.cluster.processes.load import QUICK, Load
from tests.server.cluster.processes import NodeProcess, connected, node_at, processes

ROUNDS = int(os.environ.get("ROUNDS", "1"))
"""How often each node is killed, and each NATS server: 17 make a hundred kills of them together."""

pytestmark = [pytest.mark.torture, pytest.mark.timeout(420 * ROUNDS)]

PARTITIONS = 4
SPREAD = Spreading(PARTITIONS)
PATIENCE_S = 90.0
ENGINE = ("--engine", "jetstream")


@contextmanager
def cluster(root: Path, count: int = 3, copies: int = 2) -> Iterator[list[NodeProcess]]:
    """Nodes with a collection that is spread over them. What they have on the disk is sound in the end."""
    with processes(root, count, *ENGINE) as nodes:
        with connected(nodes) as db:
            db.create_collection("users", settings={"partitions": PARTITIONS, "replication_factor": copies})
        yield nodes
        for node in nodes:
            if node.process is not None:
                node.stop()
    for node in nodes:
        for path in (node.path, *sorted((node.path / "partitions").iterdir())):
            with blockdb.open(path, read_only=True) as db:
                assert db.verify().valid, path


def loaded(nodes: Sequence[NodeProcess], seed: int = 1) -> Load:
    return Load([node.url for node in nodes], seed, collection="users")


def judge(nodes: Sequence[NodeProcess], load: Load) -> None:
    """Whether what clients saw can have been, partition by partition, and everybody has the same in the end."""
    load.stop()
    assert not load.surprises, load.surprises[:10]
    for node in nodes:
        until(lambda node=node: answers(node), f"an answer of {node.name}")  # type: ignore[misc]
    keys = {op.key for op in load.ops}
    for number in range(PARTITIONS):
        own = [each for each in load.ops if SPREAD.of_key(each.key) == number]
        finds, newest = _found(nodes, number, {key for key in keys if SPREAD.of_key(key) == number})
        told = [each if each.number is None else replace(each, number=each.number // PARTITIONS) for each in own]
        faults = faults_of([*told, *finds], newest)
        assert not faults, "\n".join(faults[:10])


def _found(nodes: Sequence[NodeProcess], number: int, keys: set[bytes]) -> tuple[list[Op], list[tuple[bytes, bytes]]]:
    """What each node says is in a partition, in order: they say the same."""
    finds: list[Op] = []
    seen: list[list[tuple[bytes, bytes]]] = []
    for node in nodes:
        began = time.monotonic()
        with connected([node]) as db:
            seen.append([(record.key, bytes(record.value)) for record in db.collection(f"users:{number}").records()])
        ended, found = time.monotonic(), dict(seen[-1])
        finds += [
            Op(k, VALUE if k in found else ABSENT, began, ended, found.get(k, b""), None, node.name) for k in keys
        ]
    assert all(each == seen[0] for each in seen)
    return finds, seen[0]


def answers(node: NodeProcess) -> bool:
    with suppress(BlockDBError), connected([node], **QUICK) as db:
        db.collection("users").count()
        return True
    return False


def until(condition: object, what: str) -> None:
    """Wait for it, for so long."""
    last = time.monotonic() + PATIENCE_S
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < last, f"{what} did not come to pass"
        time.sleep(0.1)


def nats_of(node: NodeProcess) -> int:
    """The process of a node's NATS server."""
    assert node.process is not None
    tasks = Path(f"/proc/{node.process.pid}/task")
    children = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
    return next(pid for pid in children if b"nats-server" in Path(f"/proc/{pid}/cmdline").read_bytes())


def again(node: NodeProcess, *words: str) -> None:
    node.begin(*ENGINE, *words)
    node.wait()


def test_nodes_are_killed_one_after_the_other(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes, loaded(nodes) as load:
        load.more(30, PATIENCE_S)
        for node in nodes * ROUNDS:
            node.kill()
            load.more(20, PATIENCE_S)
            again(node)
            load.more(20, PATIENCE_S)
        judge(nodes, load)


def test_nats_servers_are_killed(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes, loaded(nodes) as load:
        for node in nodes * ROUNDS:
            load.more(20, PATIENCE_S)
            os.kill(nats_of(node), signal.SIGKILL)
            load.more(20, PATIENCE_S)
        judge(nodes, load)


def test_everything_is_killed_at_once(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes, loaded(nodes) as load:
        for _ in range(2):
            load.more(30, PATIENCE_S)
            for node in nodes:
                node.kill()
            for node in nodes:
                node.begin(*ENGINE)
            for node in nodes:
                node.wait()
        load.more(30, PATIENCE_S)
        judge(nodes, load)


def test_a_node_is_paused(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes, loaded(nodes) as load:
        for node in nodes:
            assert node.process is not None
            load.more(20, PATIENCE_S)
            node.process.send_signal(signal.SIGSTOP)
            load.more(20, PATIENCE_S)
            node.process.send_signal(signal.SIGCONT)
        judge(nodes, load)


def test_a_node_joins_and_gets_its_share_and_another_one_leaves(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes, loaded(nodes) as load:
        load.more(30, PATIENCE_S)
        joining = node_at(tmp_path, "node4")
        again(joining, "--join", ",".join(f"127.0.0.1:{node.port}:{node.peer_port}" for node in nodes))
        nodes.append(joining)
        with connected(nodes[:3]) as db:
            until(lambda: db.cluster.rebalance(dry_run=True), "node4 counts")
            planned = db.cluster.rebalance(dry_run=True)
            assert {move.add for move in planned} == {"node4"}
            load.more(10, PATIENCE_S)
            db.cluster.rebalance()
            load.more(20, PATIENCE_S)
            held = {node.id for each in db.cluster.partitions() if each.collection == "users" for node in each.nodes}
            assert "node4" in held
        with connected(nodes[1:]) as db:
            db.cluster.remove("node1")
            load.more(20, PATIENCE_S)
            kept = [node.id for each in db.cluster.partitions() for node in each.nodes]
            assert "node1" not in kept
        judge(nodes[1:], load)
        nodes[0].kill()
