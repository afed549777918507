"""Nodes whose database is damaged, or given up: they get it again from the others, and lose nothing on the way."""

from __future__ import annotations

import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

import blockdb
from blockdb.cluster.consensus.disk import DiskLog
from blockdb.cluster.rebuilding import give_up_database
from blockdb.errors import DatabaseLocked, InvalidData
from blockdb.format.consensus import Entry, HardState, Kind, Member, Members, Role, encode_members
from blockdb.layout import DatabaseFiles
from blockdb.storage.door import Door
from tests.server.cluster.processes import NodeProcess, connected, leader_of, node_at, processes
from tests.storage.doors import open_through, until


def node_alone(path: Path, *others: Member) -> Path:
    """The directory of a node that has a log, with a database in it."""
    with open_through(Door(), path) as db:
        db.put(b"key", b"value")
    log = DiskLog.open(Door(), DatabaseFiles(path).raft, "cluster", "node1")
    members = Members((Member("node1"), *others))
    log.store(HardState(1, "node1"), [Entry(1, 1, Kind.MEMBERS, encode_members(members)), Entry(2, 1, Kind.COMMAND)])
    log.close()
    return path


def test_what_nobody_else_has_is_not_given_up(tmp_path: Path) -> None:
    with open_through(Door(), tmp_path / "db") as db:
        db.put(b"key", b"value")
    with pytest.raises(InvalidData, match="belongs to no node"):
        give_up_database(tmp_path / "db")
    path = node_alone(tmp_path / "node1", Member("node2", role=Role.LEARNER))
    with pytest.raises(InvalidData, match="the only copy"):
        give_up_database(path)
    with blockdb.open(path, read_only=True) as db:
        assert db.get(b"key") == b"value"


def test_what_is_given_up_is_kept_aside(tmp_path: Path) -> None:
    path = node_alone(tmp_path / "node1", Member("node2"))
    lock = Door().lock(DatabaseFiles(path).lock)
    with pytest.raises(DatabaseLocked):
        give_up_database(path)
    Door().unlock(lock)
    kept = give_up_database(path)
    assert kept.parent == path / "quarantine"
    assert not DatabaseFiles(path).registry.exists()
    assert DatabaseFiles(path).raft.id.exists()
    with open_through(Door(), kept) as db:
        assert db.get(b"key") == b"value"


# ── processes ────────────────────────────────────────────────────────────────────────────────────────────────────


def _fill(nodes: list[NodeProcess]) -> int:
    """So much that the log begins later than at its beginning: how many records."""
    with connected(nodes) as db:
        for batch in count():
            db.put_many([(b"%02d-%03d" % (batch, number), bytes(6_000)) for number in range(1_000)])
            if db.cluster.state().first_index > 1:
                break
        return 1_000 * (batch + 1)


def _damage(node: NodeProcess) -> None:
    """So that it cannot be opened."""
    largest = max(node.path.glob("collections/*/chain/*"), key=lambda path: path.stat().st_size)
    manifest = largest.parent.parent / "manifest.toml"
    manifest.write_bytes(manifest.read_bytes()[:-5] + b"?????")


def _damage_mark(node: NodeProcess) -> None:
    path = DatabaseFiles(node.path).raft.applied
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def _give_up(node: NodeProcess) -> None:
    command = [sys.executable, "-m", "blockdb.commands.main", "cluster", "rebuild", "--data-dir", str(node.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "gets a copy when it is started" in done.stdout


@pytest.mark.torture
@pytest.mark.timeout(300)
@pytest.mark.parametrize("lose", [_damage, _damage_mark, _give_up])
def test_a_node_without_its_database_gets_it_again(tmp_path: Path, lose: object) -> None:
    assert callable(lose)
    with processes(tmp_path) as nodes:
        records = _fill(nodes)
        leader = leader_of(nodes)
        node = next(each for each in nodes if each is not leader)
        assert node.stop() == 0
        lose(node)
        with connected([each for each in nodes if each is not node]) as db:
            db.put(b"meanwhile", b"1")
        node.begin()
        node.wait()
        with connected([node]) as db:
            assert (db.get(b"meanwhile"), db.count()) == (b"1", records + 1)
        assert list(node.path.glob("quarantine/*/collections"))
        assert not DatabaseFiles(node.path).raft.mending.exists()  # it may vote, since its log is sound
        leader.kill()
        with connected([each for each in nodes if each is not leader]) as db:
            db.put(b"later", b"1")
        leader.begin()
        leader.wait()
        heads = {each.ask("GET", "/api/v1/collections/default/checkpoint").json["checkpoint"] for each in nodes}
        assert len(heads) == 1
        assert all(each.ask("POST", "/verify").json["blockchain_valid"] for each in nodes)


@pytest.mark.torture
@pytest.mark.timeout(180)
def test_until_the_copy_is_there_it_says_what_it_waits_for(tmp_path: Path) -> None:
    with processes(tmp_path) as nodes:
        first, *others = nodes
        with connected(nodes) as db:
            db.put(b"key", b"value")
        assert [node.stop() for node in nodes] == [0, 0, 0]
        _damage(first)
        first.begin()
        until(lambda: "a copy is fetched" in first.log.read_text())
        answer = first.ask("GET", "/health/ready")
        assert (answer.status, answer.json["error"]) == (503, "Unavailable")
        assert "manifest.toml" in answer.json["message"]
        assert "quarantine/" in answer.json["message"]
        others[0].begin()  # these two are a majority: the damaged one votes, and passes leadership on
        others[0].wait()
        first.wait()
        with connected([first]) as db:
            db.put(b"another", b"1")
            assert db.get(b"key") == b"value"


@pytest.mark.torture
@pytest.mark.timeout(120)
def test_a_node_alone_has_nobody_to_ask(tmp_path: Path) -> None:
    node = node_at(tmp_path, "node1")
    try:
        node.begin("--bootstrap")
        node.wait()
        with connected([node]) as db:
            db.put(b"key", b"value")
        assert node.stop() == 0
        _damage(node)
        node.begin()
        assert node.process is not None
        assert node.process.wait(60) == 1
        assert "verify --repair" in node.log.read_text()
        assert "Traceback" not in node.log.read_text()
    finally:
        node.kill()
