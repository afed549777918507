"""One list of members for all nodes, as processes: who begins, who joins, and who was entered by mistake."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from shutil import rmtree

import pytest

from tests.server.cluster.processes import connected, node_at

pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]


def test_a_node_that_was_entered_later_waits_and_harms_nobody(tmp_path: Path) -> None:
    """Out of the list and with an empty directory it joins."""
    nodes = [node_at(tmp_path, f"node{number}") for number in range(4)]
    began, entered = (",".join(node.peer for node in nodes[:count]) for count in (3, 4))
    *three, late = nodes
    with ExitStack() as stack:
        stack.callback(lambda: [node.kill() for node in nodes])
        for node in three:
            node.begin("--members", began)
        for node in three:
            node.wait()
        with connected(three) as database:
            before = database.cluster.state()
            late.begin("--members", entered)
            while late.log.read_text().count("is reached") < 3 and late.process and late.process.poll() is None:
                database.put(b"%d" % database.count(), b"while it waits")
            for _ in range(50):
                database.put(b"%d" % database.count(), b"it is there")
            after = database.cluster.state()
            assert (after.term, after.leader, len(after.members)) == (before.term, before.leader, 3)
            assert late.ask("GET", "/health/ready").status == 503
            late.stop()
            rmtree(late.path)
            late.begin("--members", began)
            late.wait()
            assert [member.id for member in database.cluster.state().members] == [node.name for node in nodes]
