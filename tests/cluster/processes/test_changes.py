"""Clusters that change under load: copies for nodes that are behind, nodes that come and go, certificates, clocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random
from threading import Event, Thread
from time import time_ns
from typing import Any

import pytest

from blockdb.errors import BlockDBError
from blockdb.layout import DatabaseFiles
from blockdb.security.roles import Role
from blockdb.server.certificates import make
from blockdb.server.tokens import TokenFile
from tests.cluster.processes.load import Load
from tests.cluster.processes.running import Cluster, Running, judge, running
from tests.server.cluster.nodes import cluster as nodes_here
from tests.server.cluster.processes import HOST, NodeProcess, node_at, processes

pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]


# ── copies ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _fill(cluster: Running, *among: str) -> None:
    """Have so much stored, in a collection of its own, that the log begins later."""
    with cluster.connected(*among, timeout_s=60.0) as database:
        names = {found.name for found in database.collections()}
        bulk = database.collection("bulk") if "bulk" in names else database.create_collection("bulk")
        first = database.cluster.state().first_index
        for batch in count(bulk.count() // 1_000):
            bulk.put_many([(b"%06d-%03d" % (batch, number), bytes(6_000)) for number in range(1_000)])
            if database.cluster.state().first_index > first:
                break


def _damage(path: Path) -> None:
    """So that the database cannot be opened."""
    largest = max(path.glob("collections/*/chain/*"), key=lambda file: file.stat().st_size)
    manifest = largest.parent.parent / "manifest.toml"
    manifest.write_bytes(manifest.read_bytes()[:-5] + b"?????")


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_node_gets_a_copy_under_load(tmp_path: Path, is_damaged: bool) -> None:
    """One that is behind the others' logs, or whose database is damaged; and its leader dies while it is sent."""
    with running(tmp_path) as cluster, Load(cluster.demo.urls, 1) as load:
        load.more(50)
        leader = cluster.leader()
        victim = next(id_ for id_ in cluster.ids if id_ != leader)
        cluster.demo.kill(victim)
        _fill(cluster, *(id_ for id_ in cluster.ids if id_ != victim))
        load.more(50)
        if is_damaged:
            _damage(tmp_path / victim)
        cluster.demo.restart(victim)
        log = cluster.demo.nodes[leader].log
        cluster.wait(lambda: "snapshot" in log.read_text() or cluster.is_there(victim), "a copy that is being sent")
        cluster.demo.kill(leader)
        cluster.demo.restart(leader)
        load.more(50, 60.0)
        cluster.wait(lambda: cluster.is_there(victim), f"an answer of {victim}")
        assert not DatabaseFiles(tmp_path / victim).raft.mending.exists()
        judge(cluster, load)


def test_the_largest_values_set_off_no_elections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a patience that holds on a machine which others keep busy."""
    monkeypatch.setenv("BLOCKDB_CLUSTER_ELECTION_TIMEOUT", "2000")
    with processes(tmp_path) as nodes:
        cluster = Joined(list(nodes))
        with cluster.connected(timeout_s=60.0) as database:
            before = database.cluster.state().term
        for number, id_ in enumerate(cluster.ids):
            with cluster.connected(id_, timeout_s=60.0) as database:
                database.put(b"large%d" % number, os.urandom(60 << 20))
        with cluster.connected(timeout_s=60.0) as database:
            assert database.cluster.state().term <= before + 1, "on a machine that is busy one is forgiven"


# ── nodes that come and go ───────────────────────────────────────────────────────────────────────────────────────


class Joined(Cluster):
    """A cluster of processes that other ones join."""

    def __init__(self, nodes: list[NodeProcess], **options: Any) -> None:
        scheme = "https" if "ca_file" in options else "http"
        super().__init__({node.name: f"{scheme}://{HOST}:{node.port}" for node in nodes}, **options)
        self.nodes = {node.name: node for node in nodes}

    def words(self) -> str:
        return "\n".join(node.log.read_text()[-2000:] for node in self.nodes.values())


def test_nodes_join_and_leave_under_load(tmp_path: Path) -> None:
    with processes(tmp_path) as nodes:
        cluster = Joined(list(nodes))
        with Load(list(cluster.urls.values()), 1) as load:
            load.more(50)
            for number in (4, 5):
                newcomer, through = node_at(tmp_path, f"node{number}"), cluster.nodes[cluster.ids[0]]
                nodes.append(newcomer)
                newcomer.begin("--join", f"{HOST}:{through.port}:{through.peer_port}")
                newcomer.wait()
                cluster.nodes[newcomer.name], cluster.urls[newcomer.name] = newcomer, f"http://{HOST}:{newcomer.port}"
                load.more(50)
                leader = cluster.leader()
                gone = leader if number == 4 else next(id_ for id_ in cluster.ids if id_ not in (leader, newcomer.name))
                with cluster.connected(newcomer.name, timeout_s=60.0) as database:
                    database.cluster.remove(gone)
                del cluster.urls[gone]
                cluster.leader()
                load.more(50)
                cluster.nodes.pop(gone).kill()
                load.more(50)
            with cluster.connected() as database:
                assert {node.id for node in database.cluster.state().members} == set(cluster.ids)
            judge(cluster, load)


# ── certificates ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cluster_with_certificates_loses_its_leaders(tmp_path: Path) -> None:
    tls, names = tmp_path / "tls", ["node1", "node2", "node3"]
    make(tls, cluster="shop", nodes=names)
    nodes = [node_at(tmp_path, name) for name in names]
    _, first = TokenFile(nodes[0].path).create("root", Role.ADMIN)
    for node in nodes:
        node.environ = {
            "BLOCKDB_CLUSTER_PEER_CA": str(tls / "ca.crt"),
            "BLOCKDB_CLUSTER_PEER_CERTIFICATE": str(tls / f"node-{node.name}.crt"),
            "BLOCKDB_CLUSTER_PEER_KEY": str(tls / f"node-{node.name}.key"),
            "BLOCKDB_SECURITY_TLS_CERTIFICATE": str(tls / "server.crt"),
            "BLOCKDB_SECURITY_TLS_KEY": str(tls / "server.key"),
            "BLOCKDB_SECURITY_AUTHENTICATION": "on",
            "BLOCKDB_CLUSTER_CLUSTER_NAME": "shop",
        }
    try:
        for node in nodes:
            node.begin("--peers", ",".join(other.peer for other in nodes if other is not node))
        for node in nodes:
            node.wait()
        with Joined(nodes, ca_file=tls / "ca.crt", token=first).connected("node1") as database:
            _, token = database.tokens.create("all", "admin")
        cluster = Joined(nodes, ca_file=tls / "ca.crt", token=token)
        cluster.all_there()
        with Load(list(cluster.urls.values()), 1, **cluster.options) as load:
            for _ in range(3):
                load.more(50)
                leader = cluster.nodes[cluster.leader()]
                leader.kill()
                load.more(50)
                leader.begin()
                leader.wait()
            judge(cluster, load)
    finally:
        for node in nodes:
            node.kill()


# ── clocks ───────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def jumping_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the nodes of this process take the time from a clock that is set anew all the time, by up to a year."""
    chance, off_ns, ended = Random(1), [0], Event()

    def jump() -> None:
        while not ended.wait(0.05):
            off_ns[0] = chance.randint(-365, 365) * 86_400 * 1_000_000_000

    monkeypatch.setattr("blockdb.cluster.database.front.time_ns", lambda: time_ns() + off_ns[0])
    thread = Thread(target=jump)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_clocks_that_jump_change_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of records never go back, and nothing else depends on them."""
    with nodes_here(tmp_path) as nodes, jumping_clock(monkeypatch):
        cluster = Cluster({node.name: node.url for node in nodes})
        with Load(list(cluster.urls.values()), 1) as load:
            for _ in range(3):
                load.more(50)
                with cluster.connected() as database:
                    try:
                        database.cluster.transfer()
                    except BlockDBError:
                        continue
            load.more(50)
            judge(cluster, load)
        with cluster.connected() as database:
            times = [record.time_ms for record in database.records()]
            assert times == sorted(times)
            assert times[-1] - times[0] > 86_400_000, "the clock has jumped"
