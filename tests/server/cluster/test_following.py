"""A write is followed through a cluster of three: on whose disk it is, that it is decided, and who has applied it."""

from __future__ import annotations

from pathlib import Path

import pytest

import blockdb
from blockdb.commands.following import Following
from tests.server.cluster.nodes import cluster, leader_of

pytestmark = pytest.mark.timeout(300)


@pytest.mark.torture
def test_a_write_is_followed_to_every_node_and_its_proof(tmp_path: Path) -> None:
    with cluster(tmp_path, blockchain_batch_size=2) as nodes:
        leader = leader_of(nodes)
        other = next(node for node in nodes if node is not leader)
        with blockdb.connect(leader.url) as database, blockdb.connect(other.url) as writer:
            writes = [lambda: writer.put(b"a", b"1"), lambda: writer.put(b"b", b"2")]
            stages = []
            for stage in Following(database, database).stages(20):
                if stage is not None:
                    stages.append(stage)
                elif writes:
                    writes.pop(0)()
        names = [stage.name for stage in stages]
        assert names[:3] == ["stored", "replicated", "committed"]
        assert sorted(stage.words for stage in stages if stage.name == "applied") == [
            "on node1",
            "on node2",
            "on node3",
        ]
        assert names[-2:] == ["sealed", "proven"]
        assert leader.name in stages[1].words
        assert all(stage.ms is not None for stage in stages)
