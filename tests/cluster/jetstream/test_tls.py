"""Certificates between the servers that nodes start."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from blockdb.cluster.jetstream.managed import ManagedServer
from blockdb.cluster.jetstream.monitoring import META
from blockdb.cluster.jetstream.settings import JetStreamSettings
from blockdb.cluster.partitions.engine import ROOT
from blockdb.cluster.peers import PeerTls
from blockdb.errors import ConfigError, Unavailable
from blockdb.format.consensus import Member, Members
from blockdb.server.certificates import make
from tests.cluster.jetstream.nodes import CLUSTER, engine, member, settings_for, start_all, started, wait_for


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tls")
    make(root / "own", clients=["user"], cluster=CLUSTER, nodes=["a", "b", "c"])
    make(root / "other", cluster=CLUSTER, nodes=["a", "b", "c"])
    return root


def with_tls(settings: JetStreamSettings, root: Path, name: str = "", **others: str) -> JetStreamSettings:
    name = name or f"node-{settings.own.id}"
    return replace(settings, tls=PeerTls(root / f"{name}.crt", root / f"{name}.key", root / "ca.crt"), **others)


def test_a_certificate_that_others_would_refuse(certificates: Path, tmp_path: Path) -> None:
    elsewhere = Member("a", "192.0.2.1:1", "192.0.2.1:2")
    with pytest.raises(ConfigError, match=r"does not name 192\.0\.2\.1.*--host"):
        ManagedServer(with_tls(settings_for(tmp_path, elsewhere), certificates / "own"))
    with pytest.raises(ConfigError, match="is not the certificate of this node"):
        ManagedServer(with_tls(settings_for(tmp_path, member("a")), certificates / "own", "node-b"))


@pytest.mark.torture
def test_nodes_with_certificates_and_others(certificates: Path, tmp_path: Path) -> None:
    members = Members(tuple(member(id_) for id_ in "ab"))
    settings = [settings_for(tmp_path, each, bootstrap=members) for each in members.all]
    nodes = [engine(with_tls(each, certificates / "own", secret="s")) for each in settings]
    with ExitStack() as stack:
        for each in nodes:
            stack.callback(each.close)
        start_all(nodes)
        wait_for(nodes[0], ROOT, "ab")
        late = settings_for(tmp_path, member("c"), join=(members.all[0].peer_address,), start_timeout_s=4)
        for others in (
            with_tls(late, certificates / "other", secret="s"),
            with_tls(late, certificates / "own"),
            with_tls(late, certificates / "own", secret="t"),
            late,
        ):
            with pytest.raises(Unavailable):
                engine(others).start()
            wait_for(nodes[0], META, "ab")
        right = replace(with_tls(late, certificates / "own", secret="s"), start_timeout_s=30)
        joined = stack.enter_context(started(right))
        wait_for(nodes[0], ROOT, "abc")
        assert "c" in joined.rosters()[ROOT]


@pytest.mark.torture
def test_one_alone_with_a_certificate_that_is_replaced(certificates: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    make(files, cluster=CLUSTER, nodes=["a"])
    with started(with_tls(settings_for(tmp_path, member("a")), files)) as running:
        for suffix in ("crt", "key"):
            (files / f"node-a.{suffix}").write_bytes((certificates / "own" / f"node-a.{suffix}").read_bytes())
        assert running.server is not None
        running.server.look()
        wait_for(running, META, "a")
        assert running.server.starts == 1
