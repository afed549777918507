"""Real processes under load, and what is done to them: nothing that was acknowledged is lost, and nobody sees otherwise."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.processes.load import Load
from tests.cluster.processes.running import Running, judge, running


def loaded(cluster: Running, seed: int = 1) -> Load:
    return Load(cluster.demo.urls, seed)


def test_the_leader_is_killed(tmp_path: Path) -> None:
    """The one for every day."""
    with running(tmp_path) as cluster, loaded(cluster) as load:
        load.more(20)
        leader = cluster.leader()
        cluster.demo.kill(leader)
        load.more(20)
        cluster.demo.restart(leader)
        load.more(20)
        judge(cluster, load)
