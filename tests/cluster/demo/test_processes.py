"""The demonstration's nodes as processes: they are killed, paused, started again, and end with whoever started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import ClassVar

import pytest

import blockdb
from blockdb.cluster.demo.cluster import Addresses, DemoCluster
from blockdb.cluster.demo.links import Links
from blockdb.cluster.demo.node import DemoNode
from blockdb.errors import InvalidData, Unavailable

WAIT_S = 30.0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def state_of(pid: int) -> str:
    """`R`, `S`, `T` (stopped) and so on; empty where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return ""


@pytest.fixture
def spawner() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


# ── without processes ──


def test_each_node_is_told_the_others_and_finds_its_ports_again(tmp_path: Path) -> None:
    first = DemoCluster(tmp_path, 3, Cuts, is_kept=True)
    second = DemoCluster(tmp_path, 3, Cuts, is_kept=True)
    assert first.urls == second.urls
    words = first.nodes["node2"]._words
    peers = words[words.index("--peers") + 1].split(",")
    assert [peer.partition(":")[0] for peer in peers] == ["node1", "node3"]
    assert len({*first.urls, *(peer.rpartition(":")[2] for peer in peers)}) == 5
    with pytest.raises(InvalidData, match="--nodes 3"):
        DemoCluster(tmp_path, 5, Cuts, is_kept=True)
    (tmp_path / "ports.json").write_text("[1, 2")
    with pytest.raises(InvalidData, match="not what a demonstration wrote"):
        DemoCluster(tmp_path, 3, Cuts, is_kept=True)
    for cluster in (first, second):
        cluster.close()


@pytest.mark.parametrize("count", [2, 6])
def test_so_many_nodes_it_does_not_have(tmp_path: Path, count: int) -> None:
    with pytest.raises(InvalidData, match="3 to 5 nodes"):
        DemoCluster(tmp_path, count, Cuts, is_kept=False)


class Cuts:
    """Notes what is cut."""

    cut_now: ClassVar[set[tuple[str, str]]] = set()

    def __init__(self, _: Addresses, fronts: Addresses) -> None:
        self._fronts = fronts

    def address(self, from_id: str, to_id: str) -> str:
        return self._fronts[to_id]

    def cut(self, a: str, b: str) -> None:
        self.cut_now.add((a, b))

    def heal(self) -> None:
        self.cut_now.clear()

    def close(self) -> None:
        self.heal()


def test_a_cut_goes_between_the_halves_and_nowhere_else(tmp_path: Path) -> None:
    cluster = DemoCluster(tmp_path, 5, Cuts, is_kept=False)
    assert cluster.split("node5") == ("node1", "node5")
    assert Cuts.cut_now == {(one, other) for one in ("node1", "node5") for other in ("node2", "node3", "node4")}
    assert {id_ for id_, fault in cluster.faults().items() if fault == "killed"} == set(cluster.ids)
    cluster.heal()
    cluster.isolate("node2")
    assert Cuts.cut_now == {("node2", other) for other in ("node1", "node3", "node4", "node5")}
    for deed in (cluster.kill, cluster.pause, cluster.resume):
        with pytest.raises(InvalidData, match="node1 does not run"):
            deed("node1")
    with pytest.raises(InvalidData, match="no node nodeX"):
        cluster.restart("nodeX")
    cluster.close()


# ── with processes ──


@pytest.mark.torture
def test_a_node_is_paused_killed_and_started_again(tmp_path: Path, spawner: ThreadPoolExecutor) -> None:
    node = DemoNode("node1", tmp_path, ["-d", "db", "server", "--port", "0"], spawner)
    try:
        node.start()
        with pytest.raises(InvalidData, match="kill it first"):
            node.start()
        wait_until(lambda: "listening" in node.log.read_text() or "http://" in node.log.read_text())
        pid = node.pid
        assert pid is not None
        node.pause()
        wait_until(lambda: state_of(pid) == "T")
        assert node.fault == "paused"
        node.resume()
        wait_until(lambda: state_of(pid) in "SR")
        node.pause()
        node.kill()
        assert (node.fault, node.pid, state_of(pid)) == ("killed", None, "")
        node.start()
        assert node.fault == ""
        node.ask_to_end()
    finally:
        node.close()


@pytest.mark.torture
def test_one_that_ends_by_itself_is_told_with_its_last_words(tmp_path: Path) -> None:
    cluster = DemoCluster(tmp_path, 3, Cuts, is_kept=False)
    try:
        node = cluster.nodes["node1"]
        node._words = ["server", "--nonsense"]
        node.start()
        wait_until(lambda: node.fault == "ended")
        with pytest.raises(Unavailable, match=r"node1 has ended by itself: .*nonsense"):
            cluster.check()
    finally:
        cluster.close()


PARENT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import ClassVar
from blockdb.cluster.demo.links import Links
from blockdb.cluster.demo.node import DemoNode
with ThreadPoolExecutor(1) as spawner:
    node = DemoNode("node1", Path(sys.argv[1]), ["-d", "db", "server", "--port", "0"], spawner)
    node.start()
    node.pause()
    print(node.pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.torture
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a child is not told that its parent has died")
def test_a_node_ends_with_its_parent_even_while_it_is_paused(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent.stdin, parent.stdout:
        pid = int(parent.stdout.readline())
        assert state_of(pid)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(WAIT_S)
        try:
            wait_until(lambda: state_of(pid) in ("", "Z"))
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.torture
def test_a_leader_that_is_cut_off_is_replaced_and_follows_once_all_is_healed(tmp_path: Path) -> None:
    cluster = DemoCluster(tmp_path, 3, Links, is_kept=False)
    try:
        cluster.start()
        wait_until(lambda: all(leader for _, leader in views(cluster)))
        [first] = {leader for _, leader in views(cluster)}
        cluster.isolate(first)
        assert cluster.faults() == {first: "cut off"}
        wait_until(
            lambda: sorted(leader == first or not leader for _, leader in views(cluster)) == [False, False, True]
        )
        cluster.heal()
        wait_until(lambda: len(found := set(views(cluster))) == 1 and all(leader for _, leader in found))
        assert cluster.faults() == {}
    finally:
        cluster.close()


def views(cluster: DemoCluster) -> list[tuple[int, str]]:
    """Which term each node is in, and who leads it as far as it knows."""
    found = []
    for url in cluster.urls:
        try:
            with closing(blockdb.connect(url, token="", attempts=1)) as database:
                state = database.cluster.state()
        except blockdb.Unavailable:
            found.append((0, ""))
        else:
            found.append((state.term, state.leader))
    return found
