"""Nodes over streams in processes of their own, under load, and what is done to them and to their NATS servers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cluster.jetstream.processes import Load, judge, running
from tests.cluster.jetstream.streamed import needs_nats

pytestmark = [needs_nats, pytest.mark.torture, pytest.mark.timeout(400)]


def test_nodes_are_killed_with_their_servers(tmp_path: Path) -> None:
    with running(tmp_path) as cluster, Load(cluster, 1) as load:
        for victim in ("", "node2", ""):
            load.more(40)
            node = cluster.nodes[victim or cluster.leader()]
            node.kill()
            load.more(40)
            node.start()
        judge(cluster, load)


def test_servers_are_killed_under_their_nodes(tmp_path: Path) -> None:
    with running(tmp_path) as cluster, Load(cluster, 2) as load:
        for victim in ("", "node3", "", "node1"):
            load.more(40)
            cluster.nodes[victim or cluster.leader()].kill_server()
            load.more(40)
            cluster.all_there()
        judge(cluster, load)


def test_all_of_it_is_killed_at_once(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with running(tmp_path) as cluster, Load(cluster, 3) as load:
        load.more(80)
        for node in cluster.nodes.values():
            node.kill()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda node: node.start(), cluster.nodes.values()))
        load.more(40)
        judge(cluster, load)


def test_a_node_that_lost_its_directory_has_it_all_again(tmp_path: Path) -> None:
    with running(tmp_path) as cluster, Load(cluster, 4) as load:
        load.more(60)
        node = cluster.nodes["node2"]
        node.kill()
        load.more(20)
        shutil.rmtree(node.directory / "collections")
        shutil.rmtree(node.directory / "global_metadata")
        shutil.rmtree(node.directory / "raft")
        node.start()
        load.more(40)
        judge(cluster, load)
