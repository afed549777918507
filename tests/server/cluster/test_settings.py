"""From a configuration to what a node is told of itself and others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import blockdb
from blockdb.cluster.peers import PeerTls
from blockdb.config import Sources
from blockdb.errors import ConfigError, ReadOnly
from blockdb.format.consensus import Role
from blockdb.server.raft_node import settings_of


def settings(path: Path, port: int = 8080, **flags: Any) -> Any:
    named = {f"cluster.{key}": value for key, value in flags.items() if key != "host"}
    host = {"server.host": flags["host"]} if "host" in flags else {}
    sources = Sources(None, {}, {"data_dir": str(path), "cluster.node_id": "n1", **host, **named})
    return settings_of(sources.config(), port)


def test_the_example_of_the_manual(tmp_path: Path) -> None:
    found = settings(tmp_path, host="192.168.1.10", peers=["n2:192.168.1.11:8080", "n3:192.168.1.12:8080:9300"])
    assert [(each.id, each.address, each.peer_address) for each in found.bootstrap.all] == [
        ("n1", "192.168.1.10:8080", "192.168.1.10:9080"),
        ("n2", "192.168.1.11:8080", "192.168.1.11:9080"),
        ("n3", "192.168.1.12:8080", "192.168.1.12:9300"),
    ]
    assert (found.cluster_id, found.join, found.listen_address) == ("blockdb", (), "192.168.1.10:9080")
    assert (found.heartbeat_ms, found.election_ms, found.tls) == (150, 300, None)


def test_who_joins_learns_who_the_others_are(tmp_path: Path) -> None:
    found = settings(tmp_path, join=["a:81", "b:82:83"], replica=True)
    assert (found.join, found.bootstrap.all, found.cluster_id) == (("a:1081", "b:83"), (), "")
    assert found.own.role is Role.REPLICA
    alone = settings(tmp_path, bootstrap=True, cluster_name="shop")
    assert ([each.id for each in alone.bootstrap.all], alone.cluster_id) == (["n1"], "shop")


def test_a_list_that_all_nodes_share(tmp_path: Path) -> None:
    listed = ["n0:db-0.db:8080", "n1:db-1.db:8080"]
    for given in ({"host": "0.0.0.0"}, {"host": "0.0.0.0", "advertise": "db-1.db"}, {"host": "db-1.db"}):
        found = settings(tmp_path, members=listed, **given)
        assert [each.address for each in found.bootstrap.all] == ["db-0.db:8080", "db-1.db:8080"]
        assert (found.own.address, found.own.peer_address, found.join) == ("db-1.db:8080", "db-1.db:9080", ())
        assert found.cluster_id == "blockdb"
    joining = settings(tmp_path, members=listed, node_id="n2", host="0.0.0.0", advertise="db-2.db")
    assert (joining.bootstrap.all, joining.join) == ((), ("db-0.db:9080", "db-1.db:9080"))
    assert (joining.own.address, joining.cluster_id) == ("db-2.db:8080", "")


def test_a_node_that_was_given_the_name_of_another_one_says_so(tmp_path: Path) -> None:
    listed = ["n0:10.0.0.1:8080", "n1:10.0.0.2:8080"]
    for given in ({"host": "10.0.0.1"}, {"host": "0.0.0.0", "advertise": "10.0.0.1"}, {"host": "10.0.0.2", "port": 81}):
        with pytest.raises(ConfigError, match=r"\[cluster\] members: they have n1 at 10.0.0.2:8080, and by its own"):
            settings(tmp_path, members=listed, **given)


def test_a_node_is_reached_under_a_name_that_others_know(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[cluster\] advertise: it should be given, since no other node can reach"):
        settings(tmp_path, host="0.0.0.0", bootstrap=True)
    found = settings(tmp_path, host="0.0.0.0", bootstrap=True, advertise="db1.example.org", peer_port=9999)
    assert (found.own.address, found.own.peer_address) == ("db1.example.org:8080", "db1.example.org:9999")
    assert found.listen_address == "0.0.0.0:9999"
    found = settings(tmp_path, host="::1", bootstrap=True)
    assert found.own.address == "[::1]:8080"
    with pytest.raises(ConfigError, match=r"\[cluster\] peer_port: it should be given"):
        settings(tmp_path, port=65_000, bootstrap=True)
    files = {"peer_certificate": "n.crt", "peer_key": "n.key", "peer_ca": "ca.crt"}
    assert settings(tmp_path, bootstrap=True, **files).tls == PeerTls(*map(Path, files.values()))


def test_only_its_server_writes_to_a_node(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as database:
        database.put(b"k", b"v")
    (tmp_path / "db" / "raft").mkdir()
    (tmp_path / "db" / "raft" / "id.toml").touch()
    with pytest.raises(ReadOnly, match="belongs to a node of a cluster"):
        blockdb.open(tmp_path / "db")
    with blockdb.open(tmp_path / "db", read_only=True) as database:
        assert database.get(b"k") == b"v"
    with pytest.raises(ConfigError, match=r"\[cluster\] node_id: it should be given"):
        settings(tmp_path / "db", node_id="")
    assert settings(tmp_path / "db").cluster_id == ""
