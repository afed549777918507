"""A cluster as operators have it: processes that are killed, join, leave, are copied and begin anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import pytest

import blockdb
from blockdb import AsOf
from blockdb.security.roles import Role
from blockdb.server.certificates import make
from blockdb.server.tokens import TokenFile
from tests.server.cluster.processes import NodeProcess, connected, leader_of, node_at, processes
from tests.storage.doors import until

pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]


class Writer:
    """Puts one record after the other through a client of its own, until it is told to stop."""

    def __init__(self, nodes: list[NodeProcess], name: str) -> None:
        self.acknowledged: list[bytes] = []
        self.unknown: list[bytes] = []
        self.wrong: list[str] = []
        self.slowest_s = 0.0
        self._name = name
        self._nodes = list(nodes)
        self._stop = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with connected(self._nodes) as db:
            number = 0
            while not self._stop.is_set():
                key, begun = f"{self._name}-{number:06d}".encode(), monotonic()
                try:
                    db.put(key, key)
                    self.acknowledged.append(key)
                except (blockdb.RequestTimeout, blockdb.Unavailable):
                    self.unknown.append(key)
                except blockdb.BlockDBError as error:  # a retry that counts twice is a DuplicateKey
                    self.wrong.append(f"{key!r}: {error!r}")
                self.slowest_s = max(self.slowest_s, monotonic() - begun)
                number += 1

    def end(self) -> None:
        self._stop.set()
        self._thread.join(90)
        assert not self._thread.is_alive()


def wait_for(writers: list[Writer], more: int) -> None:
    """Until each of them has stored so many more."""
    wanted = [len(writer.acknowledged) + more for writer in writers]
    until(lambda: all(len(writer.acknowledged) >= least for writer, least in zip(writers, wanted, strict=True)))


def same_everywhere(nodes: list[NodeProcess]) -> None:
    """All nodes have the same records in the same blocks, signed alike."""
    told = {node.ask("GET", "/api/v1/collections/default/checkpoint").json["checkpoint"] for node in nodes}
    assert len(told) == 1
    for node in nodes:
        assert node.ask("POST", "/verify").json["blockchain_valid"], node.name


def test_what_was_acknowledged_survives_each_leader(tmp_path: Path) -> None:
    with processes(tmp_path) as nodes:
        writers = [Writer(nodes, name) for name in "ab"]
        for number in range(4):
            wait_for(writers, 20)
            leader = leader_of(nodes)
            if number % 2:
                assert leader.stop() == 0
            else:
                leader.kill()
            others = [node for node in nodes if node is not leader]
            assert others[0].ask("PUT", "/nowhere").status == 404
            wait_for(writers, 20)
            leader.begin()
            leader.wait()
        for writer in writers:
            writer.end()
        assert [writer.wrong for writer in writers] == [[], []]
        with connected(nodes) as db:
            found = list(db.keys())
            for writer in writers:
                own = [key for key in found if key in set(writer.acknowledged)]
                assert own == writer.acknowledged
                assert (
                    set(found)
                    - set(writer.acknowledged)
                    - {key for other in writers for key in (*other.acknowledged, *other.unknown)}
                    == set()
                )
        same_everywhere(nodes)


def test_a_leader_that_is_told_to_end_hands_over(tmp_path: Path) -> None:
    with processes(tmp_path) as nodes:
        writer = Writer(nodes, "w")
        wait_for([writer], 50)
        leader = leader_of(nodes)
        assert leader.stop() == 0
        wait_for([writer], 50)
        writer.end()
        assert (writer.wrong, writer.unknown) == ([], [])
        assert "leads from now on" in leader.log.read_text()


def test_nodes_join_and_leave_while_it_runs(tmp_path: Path) -> None:
    with processes(tmp_path) as nodes:
        with connected(nodes) as db:
            db.create_collection("users").put(b"u", b"1")
            db.put_many([(b"k%04d" % number, b"v" * 100) for number in range(2_500)])
        joining, replica = node_at(tmp_path, "node4"), node_at(tmp_path, "replica1")
        nodes += [joining, replica]
        through = f"127.0.0.1:{nodes[1].port}:{nodes[1].peer_port}"
        joining.begin("--join", through)
        joining.wait()
        replica.begin("--join", through, "--replica")
        replica.wait()
        with blockdb.connect(replica.url) as db:
            assert db.count() == 2_500
            assert db["users"].get(b"u") == b"1"
            db.put(b"through the replica", b"1")
            until(lambda: {node.id: node.role for node in db.cluster.state().members}["node4"] == "voter")
            roles = {node.id: node.role for node in db.cluster.state().members}
            assert roles == {
                "node1": "voter",
                "node2": "voter",
                "node3": "voter",
                "node4": "voter",
                "replica1": "replica",
            }
        same_everywhere(nodes)
        assert nodes[0].ask("DELETE", "/cluster/remove/node3").json == {
            "success": True, "message": "Node removed successfully",
        }  # fmt: skip
        nodes[2].kill()
        nodes.remove(nodes[2])
        with connected(nodes) as db:
            assert [node.id for node in db.cluster.state().members] == ["node1", "node2", "node4", "replica1"]
            db.put(b"without node3", b"1")
        same_everywhere(nodes)


def test_a_database_that_was_there_becomes_a_cluster(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "node1", blockchain_batch_size=10) as database:
        database.put_many([(b"k%02d" % number, b"v") for number in range(35)])
        database.create_collection("users").put(b"u", b"1")
        checkpoint = database.checkpoint("default")
    first, second = node_at(tmp_path, "node1"), node_at(tmp_path, "node2")
    nodes = [first, second]
    try:
        first.begin("--bootstrap")
        first.wait()
        assert first.ask("GET", "/api/v1/collections/default/checkpoint").json["checkpoint"] == checkpoint
        second.begin("--join", f"127.0.0.1:{first.port}:{first.peer_port}")
        second.wait()
        with blockdb.connect(second.url) as db:
            assert db.count() == 35
            assert db["users"].get(b"u") == b"1"
            db.put(b"new", b"1")
        same_everywhere(nodes)
        assert first.stop() == 0
        first.begin("--bootstrap")
        first.wait()
        with blockdb.connect(first.url) as db:
            assert db.get(b"new") == b"1"
    finally:
        for node in nodes:
            node.kill()


def test_a_backup_of_a_cluster_begins_another_one(tmp_path: Path) -> None:
    with processes(tmp_path) as nodes:
        with blockdb.connect(nodes[0].url) as db:
            db.put_many([(b"k%02d" % number, b"v") for number in range(50)])
        with (
            blockdb.connect(nodes[2].url) as db,
            (tmp_path / "copy").open("wb") as file,
            db.backup(signing_key=True) as stream,  # what another node acknowledged just now is in it
        ):
            file.writelines(stream)
        with blockdb.connect(nodes[1].url) as db:
            db.put_many([(b"l%02d" % number, b"v") for number in range(20)])
            for node, name in ((nodes[2], "of-the-same"), (nodes[0], "of-another")):
                with blockdb.connect(node.url) as other:
                    more = b"".join(other.backup(signing_key=True, since=tmp_path / "copy"))
                (tmp_path / name).write_bytes(more)
    for name in ("of-another", "of-the-same"):
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        with (tmp_path / "copy").open("rb") as file, (tmp_path / name).open("rb") as more:
            restored = blockdb.restore(file, tmp_path / "again", increments=[more], to=AsOf(sequence=49))
        assert restored.report.valid
    again = NodeProcess("again1", tmp_path / "again", *_ports(tmp_path), tmp_path / "again.log")
    try:
        again.begin("--bootstrap", "--cluster-name", "again")
        again.wait()
        assert again.ask("GET", "/cluster/status").json["cluster_id"] == "again"
        assert again.ask("GET", "/api/v1/collections/default/stats").status == 200
        with blockdb.connect(again.url) as db:
            assert db.count() == 50
            db.put(b"new", b"1")
    finally:
        again.kill()


def _ports(root: Path) -> tuple[int, int]:
    node = node_at(root, "free")
    return node.port, node.peer_port


def test_without_a_majority_nothing_is_stored_and_local_reads_go_on(tmp_path: Path) -> None:
    with processes(tmp_path) as nodes:
        nodes[0].ask("POST", "/api/v1/put", b'{"key": "k", "value": "v"}')
        until(lambda: nodes[2].ask("GET", "/api/v1/get/k?read_concern=Local").status == 200)
        nodes[0].kill()
        nodes[1].kill()
        left = nodes[2]
        refused = left.ask("POST", "/api/v1/put", b'{"key": "l", "value": "v"}')
        assert (refused.status, refused.json["error"], refused.headers["Retry-After"]) == (503, "Unavailable", "1")
        assert left.ask("GET", "/api/v1/get/k").status == 503
        assert left.ask("GET", "/api/v1/get/k?read_concern=Local").json["value"] == "v"
        assert "no leader" in left.ask("GET", "/health/ready").json["reasons"]
        assert left.ask("GET", "/cluster/health").json["status"] == "unhealthy"
        for node in nodes[:2]:
            node.begin()
        for node in nodes[:2]:
            node.wait()
        stored = left.ask("POST", "/api/v1/put", json.dumps({"key": "m", "value": "v"}).encode())
        assert stored.status == 200
        same_everywhere(nodes)


def test_nodes_know_each_other_by_certificates_and_users_by_tokens(tmp_path: Path) -> None:
    tls = tmp_path / "tls"
    names = ["node1", "node2", "node3"]
    make(tls, cluster="shop", nodes=names)
    make(tmp_path / "theirs", cluster="shop", nodes=["node4"])
    nodes = [node_at(tmp_path, name) for name in names]
    _, token = TokenFile(nodes[0].path).create("admin", Role.ADMIN)
    for node in nodes[1:]:
        (node.path / "server").mkdir(parents=True)
        shutil.copy(nodes[0].path / "server" / "tokens.toml", node.path / "server")
    stranger = node_at(tmp_path, "node4")
    try:
        for node in (*nodes, stranger):
            own = tls if node is not stranger else tmp_path / "theirs"
            node.environ = {
                "BLOCKDB_CLUSTER_PEER_CA": str(own / "ca.crt"),
                "BLOCKDB_CLUSTER_PEER_CERTIFICATE": str(own / f"node-{node.name}.crt"),
                "BLOCKDB_CLUSTER_PEER_KEY": str(own / f"node-{node.name}.key"),
                "BLOCKDB_SECURITY_TLS_CERTIFICATE": str(own / "server.crt"),
                "BLOCKDB_SECURITY_TLS_KEY": str(own / "server.key"),
                "BLOCKDB_CLUSTER_CLUSTER_NAME": "shop",
            }
        for node in nodes:
            node.begin("--peers", ",".join(other.peer for other in nodes if other is not node))
        for node in nodes:
            node.wait()
        urls = [f"https://127.0.0.1:{node.port}" for node in nodes]
        with blockdb.connect(urls, token=token, ca_file=tls / "ca.crt") as db:
            db.put(b"k", b"v")
            assert db.cluster.state().health == "healthy"
        for url in urls:
            with blockdb.connect(url, token=token, ca_file=tls / "ca.crt") as db:
                assert db.get(b"k") == b"v"
            with pytest.raises(blockdb.Unauthenticated):
                blockdb.connect(url, ca_file=tls / "ca.crt")
        stranger.begin("--join", f"127.0.0.1:{nodes[0].port}:{nodes[0].peer_port}")
        until(lambda: "not" in nodes[0].log.read_text() and "joins a cluster" in stranger.log.read_text())
        with blockdb.connect(urls, token=token, ca_file=tls / "ca.crt") as db:
            assert [node.id for node in db.cluster.state().members] == names
    finally:
        for node in (*nodes, stranger):
            node.kill()
