"""Nodes over streams whose network loses packets: whoever is cut off takes no part, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.processes.network import Network, network
from tests.cluster.processes.test_streams import ENGINE, PARTITIONS, PATIENCE_S, judge, loaded
from tests.server.cluster.processes import NodeProcess, connected

pytestmark = [pytest.mark.torture, pytest.mark.timeout(600)]

PORT, PEER_PORT = 8080, 9080


@contextmanager
def apart(root: Path, count: int = 3) -> Iterator[tuple[Network, list[NodeProcess]]]:
    """Nodes that have an address each, with a collection that is spread over them."""
    with network(count) as made:
        nodes = [
            NodeProcess(name, root / name, PORT, PEER_PORT, root / f"{name}.log", host=place.host, inside=place.inside)
            for name, place in ((f"node{number}", place) for number, place in enumerate(made.places, 1))
        ]
        try:
            for node in nodes:
                others = ",".join(other.peer for other in nodes if other is not node)
                node.begin(
                    "--host", node.host, "--insecure-public", "--authentication", "off", "--peers", others, *ENGINE
                )
            for node in nodes:
                node.wait()
            with connected(nodes) as db:
                db.create_collection("users", settings={"partitions": PARTITIONS, "replication_factor": 3})
            yield made, nodes
        finally:
            for node in nodes:
                node.kill()


def test_each_node_is_cut_off_once(tmp_path: Path) -> None:
    with apart(tmp_path) as (net, nodes), loaded(nodes) as load:
        load.more(30, PATIENCE_S)
        for place in net.places:
            net.isolate(place)
            load.more(30, PATIENCE_S)
            net.heal()
            load.more(30, PATIENCE_S)
        judge(nodes, load)


def test_each_node_hears_one_other_alone(tmp_path: Path) -> None:
    with apart(tmp_path) as (net, nodes), loaded(nodes) as load:
        load.more(30, PATIENCE_S)
        first, second, third = net.places
        for from_, to in ((first, second), (second, third), (third, first)):
            net.lose(from_, to)
            load.more(20, PATIENCE_S)
            net.heal()
        net.lose(first, second)
        net.lose(second, first)
        load.more(20, PATIENCE_S)
        net.heal()
        judge(nodes, load)
