"""Real processes under load, and what is done to them: nothing that was acknowledged is lost or seen otherwise."""

from __future__ import annotations

import resource
import shutil
import sys
from pathlib import Path

import pytest

from blockdb.errors import RequestTimeout, StorageError, Unavailable
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


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(3))
def test_leaders_are_killed_one_after_the_other(tmp_path: Path, seed: int) -> None:
    with running(tmp_path) as cluster, loaded(cluster, seed) as load:
        for _ in range(5):
            load.more(50)
            leader = cluster.leader()
            cluster.demo.kill(leader)
            load.more(50)
            cluster.demo.restart(leader)
        judge(cluster, load)


@pytest.mark.torture
def test_nodes_are_paused(tmp_path: Path) -> None:
    """A leader that wakes up believes for a moment that it leads: what it says then must not be believed."""
    with running(tmp_path) as cluster, loaded(cluster) as load:
        for _ in range(4):
            load.more(50)
            leader = cluster.leader()
            cluster.demo.pause(leader)
            load.more(50)
            cluster.demo.resume(leader)
        follower = next(id_ for id_ in cluster.ids if id_ != cluster.leader())
        cluster.demo.pause(follower)
        load.more(100)
        cluster.demo.resume(follower)
        judge(cluster, load)


@pytest.mark.torture
def test_a_leader_that_is_cut_off(tmp_path: Path) -> None:
    with running(tmp_path) as cluster, loaded(cluster) as load:
        for _ in range(3):
            load.more(50)
            leader = cluster.leader()
            cluster.demo.isolate(leader)
            others = [id_ for id_ in cluster.ids if id_ != leader]
            cluster.leader(*others)
            load.more(50)
            cluster.demo.heal()
        judge(cluster, load)


@pytest.mark.torture
def test_five_nodes_in_two_halves(tmp_path: Path) -> None:
    with running(tmp_path, 5) as cluster, loaded(cluster) as load:
        for _ in range(2):
            load.more(50)
            small = cluster.demo.split(cluster.leader())
            cluster.leader(*(id_ for id_ in cluster.ids if id_ not in small))
            load.more(50)
            cluster.demo.heal()
        judge(cluster, load)


@pytest.mark.torture
def test_links_that_carry_one_way_only(tmp_path: Path) -> None:
    """Each node hears one other alone, in a circle, and then a leader is heard and does not hear."""
    with running(tmp_path) as cluster, loaded(cluster) as load:
        assert cluster.links is not None
        load.more(50)
        leader = cluster.leader()
        others = [id_ for id_ in cluster.ids if id_ != leader]
        for other in others:
            cluster.links.cut(other, leader, one_way=True)
        load.more(50)
        cluster.links.heal()
        load.more(50)
        cluster.links.cut(others[0], others[1])
        load.more(50)
        cluster.links.heal()
        judge(cluster, load)


@pytest.mark.torture
def test_links_that_are_slow_and_break(tmp_path: Path) -> None:
    with running(tmp_path) as cluster, loaded(cluster) as load:
        assert cluster.links is not None
        cluster.links.delay(20)
        load.more(50)
        cluster.links.lose(0.02)
        load.more(100, 60.0)
        cluster.links.heal()
        judge(cluster, load)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(3))
def test_the_power_fails_everywhere(tmp_path: Path, seed: int) -> None:
    with running(tmp_path) as cluster, loaded(cluster, seed) as load:
        for _ in range(3):
            load.more(100)
            for id_ in cluster.ids:
                cluster.demo.kill(id_)
            for id_ in cluster.ids:
                cluster.demo.restart(id_)
            cluster.leader()
        judge(cluster, load)


# ── disks ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.torture
@pytest.mark.parametrize("who", ["leader", "follower"])
@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process that runs can be set there alone")
def test_a_disk_that_is_full(tmp_path: Path, who: str) -> None:
    """No file of one node can grow any more. The others go on, and it comes back when there is room."""
    bears = (Unavailable, RequestTimeout, StorageError)
    with running(tmp_path) as cluster, Load(cluster.demo.urls, 1, bears=bears) as load:
        load.more(50)
        leader = cluster.leader()
        victim = leader if who == "leader" else next(id_ for id_ in cluster.ids if id_ != leader)
        node = cluster.demo.nodes[victim]
        assert node.pid is not None
        largest = max(path.stat().st_size for path in (tmp_path / victim).rglob("*") if path.is_file())
        resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (largest + 1000, resource.RLIM_INFINITY))
        load.more(300, 60.0)
        if node.pid is not None:
            cluster.demo.kill(victim)
        cluster.demo.restart(victim)
        judge(cluster, load)


@pytest.mark.torture
@pytest.mark.parametrize("who", ["leader", "follower"])
def test_a_node_whose_disk_was_exchanged(tmp_path: Path, who: str) -> None:
    """Under its old name, with nothing: it gives no votes before it has what the others have."""
    with running(tmp_path) as cluster, loaded(cluster) as load:
        load.more(100)
        leader = cluster.leader()
        victim = leader if who == "leader" else next(id_ for id_ in cluster.ids if id_ != leader)
        cluster.demo.kill(victim)
        shutil.rmtree(tmp_path / victim)
        load.more(50)
        cluster.demo.restart(victim)
        load.more(50)
        cluster.wait(lambda: cluster.is_there(victim), f"an answer of {victim}")
        another = next(id_ for id_ in cluster.ids if id_ not in (victim, cluster.leader()))
        cluster.demo.kill(another)
        load.more(50)
        cluster.demo.restart(another)
        judge(cluster, load)


@pytest.mark.torture
@pytest.mark.parametrize("place", ["head", "middle", "end"])
def test_a_log_that_was_damaged_while_its_node_was_down(tmp_path: Path, place: str) -> None:
    """It is noticed, nothing is cut off in silence, and the node gets what it lacks from the others."""
    with running(tmp_path) as cluster, loaded(cluster) as load:
        load.more(100)
        victim = cluster.leader()
        cluster.demo.kill(victim)
        load.more(50)
        log = max((tmp_path / victim / "raft").glob("*.log"))
        data = bytearray(log.read_bytes())
        end = len(bytes(data).rstrip(b"\0"))
        at = {"head": 100, "middle": end // 2, "end": end - 5}[place]
        data[at] ^= 0x10
        log.write_bytes(data)
        cluster.demo.restart(victim)
        load.more(50)
        judge(cluster, load)
