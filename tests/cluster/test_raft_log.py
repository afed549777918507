"""The log over Raft: what every replicated log does, on one node and on three."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from os import fdatasync
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import pytest

from blockdb.cluster.consensus.disk import DiskLog
from blockdb.errors import InvalidData, RateLimited, Unavailable
from blockdb.format.consensus import Role
from blockdb.layout import RaftFiles
from blockdb.raft.messages import SnapshotHead
from blockdb.storage.door import Door
from tests.cluster.conformance import TIMEOUT_S, Conformance, leader, others, settle, unique, until
from tests.cluster.nodes import Nodes
from tests.tiers import tiers


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    nodes = Nodes(tmp_path_factory.mktemp("one"), 1)
    yield nodes
    nodes.close()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    nodes = Nodes(tmp_path_factory.mktemp("three"), 3)
    yield nodes
    nodes.close()


class TestOneNode(Conformance):
    @pytest.fixture
    def cluster(self, one: Nodes) -> Nodes:
        return one

    @pytest.fixture
    def fresh(self, tmp_path: Path) -> Iterator[Nodes]:
        nodes = Nodes(tmp_path, 1, max_waiting=50)
        yield nodes
        nodes.close()


class TestThreeNodes(Conformance):
    @pytest.fixture
    def cluster(self, three: Nodes) -> Nodes:
        return three

    @pytest.fixture
    def fresh(self, tmp_path: Path) -> Iterator[Nodes]:
        nodes = Nodes(tmp_path, 3, max_waiting=50)
        yield nodes
        nodes.close()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    """Three, whose log is cut after every hundred entries."""
    made = Nodes(tmp_path, 3, compact_entries=100, keep_entries=10)
    yield made
    made.close()


def roles(nodes: Nodes) -> dict[str, Role]:
    """What the leader says that they are."""
    return {each.id: each.role for each in nodes.logs[leader(nodes)].members().all}


def test_a_node_joins_and_counts_once_it_has_everything(nodes: Nodes) -> None:
    commands = unique(20)
    nodes.logs["node1"].append(commands).result(TIMEOUT_S)
    log = nodes.join("node4")
    until(lambda: roles(nodes)["node4"] is Role.VOTER, "it counts")
    assert log.append(unique(1)).result(TIMEOUT_S)
    settle(nodes)
    assert nodes.machines["node4"].data[:20] == commands
    assert log.status().cluster_id == "test"
    nodes.stop("node4")
    nodes.logs["node4"].close()
    with pytest.raises(InvalidData, match="already"):
        nodes.logs["node4"].start(nodes.machines["node4"])


def test_a_replica_never_counts_and_serves_what_is_new(nodes: Nodes) -> None:
    log = nodes.join("reader", Role.REPLICA)
    index = nodes.logs["node2"].append(unique(1)).result(TIMEOUT_S)
    assert log.barrier().result(TIMEOUT_S) >= index
    assert log.append(unique(1)).result(TIMEOUT_S) > index
    settle(nodes)
    assert roles(nodes)["reader"] is Role.REPLICA
    assert log.status().state == "Replica"
    assert nodes.machines["reader"].commands == nodes.machines["node1"].commands


def test_members_are_added_and_removed_through_any_node(nodes: Nodes) -> None:
    follower = others(nodes)[0]
    nodes.join("node4", Role.REPLICA)
    assert nodes.logs[follower].remove_member("node4").result(TIMEOUT_S)
    until(lambda: nodes.logs["node4"].status().state == "Removed", "it knows")
    nodes.remove("node4")
    assert set(roles(nodes)) == {"node1", "node2", "node3"}
    first = leader(nodes)
    nodes.logs[first].remove_member(first).result(TIMEOUT_S)
    nodes.remove(first)
    until(lambda: leader(nodes) != first, "another one leads")
    nodes.logs[follower].append(unique(1)).result(TIMEOUT_S)
    assert first not in roles(nodes)


def test_who_comes_late_gets_a_snapshot(nodes: Nodes) -> None:
    nodes.stop("node3")
    log = nodes.logs["node1"]
    for _ in range(5):
        log.append(unique(100)).result(TIMEOUT_S)
    until(lambda: min(nodes.logs[id_].status().first_index for id_ in ("node1", "node2")) > 100, "the log was cut")
    nodes.start("node3")
    settle(nodes)
    assert nodes.machines["node3"].restored == 1
    assert nodes.machines["node3"].commands == nodes.machines["node1"].commands
    log.append(unique(3)).result(TIMEOUT_S)
    nodes.stop("node3")
    nodes.start("node3")
    settle(nodes)
    assert nodes.machines["node3"].commands == nodes.machines["node1"].commands
    assert nodes.machines["node3"].restored == 0


def test_a_node_that_fell_between_snapshot_and_log_goes_on_behind_it(nodes: Nodes) -> None:
    nodes.stop("node3")
    for _ in range(3):
        nodes.logs["node1"].append(unique(100)).result(TIMEOUT_S)
    settle_all = nodes.machines["node1"]
    until(lambda: nodes.logs["node1"].status().first_index > 50, "the log was cut")
    head = SnapshotHead(settle_all.applied_index, nodes.logs["node1"].status().term, nodes.bootstrap)
    disk = DiskLog.open(Door(), RaftFiles(nodes.root / "node3" / "raft"), "test", "node3")
    disk.restoring(head)
    disk.close()
    nodes.machines["node3"].restore(settle_all.snapshot())
    nodes.start("node3")
    settle(nodes)
    assert nodes.machines["node3"].commands == nodes.machines["node1"].commands
    assert nodes.machines["node3"].restored == 1
    assert nodes.logs["node3"].status().first_index == head.index + 1


def test_every_node_is_killed_in_turn_and_nothing_is_lost(nodes: Nodes) -> None:
    for id_ in ("node1", "node2", "node3"):
        nodes.stop(id_)
        nodes.start(id_)
        nodes.logs[id_].append(unique(10)).result(TIMEOUT_S)
    settle(nodes)
    first, *rest = (machine.commands for machine in nodes.machines.values())
    assert all(other == first for other in rest)
    assert len(first) == 30


def test_all_nodes_are_killed_at_once_and_nothing_is_lost(nodes: Nodes) -> None:
    commands = unique(50)
    nodes.logs["node1"].append(commands).result(TIMEOUT_S)
    for id_ in nodes.bootstrap.all:
        nodes.stop(id_.id)
    nodes.start(*(each.id for each in nodes.bootstrap.all))
    settle(nodes)
    assert [machine.data for machine in nodes.machines.values()] == [commands] * 3


def test_without_a_majority_nothing_is_decided(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path, 3, append_timeout_s=0.5)
    try:
        first, second = others(nodes)
        survivor = nodes.logs[leader(nodes)]
        nodes.stop(first)
        nodes.stop(second)
        for future in (survivor.append(unique(1)), survivor.barrier()):
            with pytest.raises(Unavailable, match="no majority"):
                future.result(TIMEOUT_S)
        until(lambda: survivor.status().state != "Leader", "who leads nobody knows it")
    finally:
        nodes.close()


class Broken(Door):
    """A disk that can be told to be slow, or to fail."""

    def __init__(self) -> None:
        self.gate = Event()
        self.gate.set()
        self.fails = False

    def force(self, descriptor: int) -> None:  # type: ignore[override]
        if self.fails:
            raise OSError(5, "Input/output error")
        self.gate.wait(TIMEOUT_S)
        fdatasync(descriptor)


def test_a_slow_disk_holds_up_nobody_else(tmp_path: Path) -> None:
    doors = {f"node{number}": Broken() for number in (1, 2, 3)}
    nodes = Nodes(tmp_path, 3, door=doors.__getitem__)
    slow = others(nodes)[0]
    try:
        doors[slow].gate.clear()
        log = nodes.logs[leader(nodes)]
        for command in unique(20):
            log.append([command]).result(TIMEOUT_S)
        doors[slow].gate.set()
        settle(nodes)
        assert nodes.machines[slow].commands == nodes.machines[leader(nodes)].commands
    finally:
        doors[slow].gate.set()
        nodes.close()


def test_a_machine_is_never_ahead_of_its_own_disk(tmp_path: Path) -> None:
    doors = {f"node{number}": Broken() for number in (1, 2, 3)}
    nodes = Nodes(tmp_path, 3, door=doors.__getitem__)
    try:
        first, slow = leader(nodes), others(nodes)[0]
        settle(nodes)
        before = nodes.machines[slow].applied_index
        doors[slow].gate.clear()
        index = nodes.logs[first].append(unique(1)).result(TIMEOUT_S)
        until(lambda: nodes.logs[slow].status().commit >= index, "it knows what is decided")
        assert nodes.machines[slow].applied_index == before
        doors[slow].gate.set()
        nodes.logs[slow].wait_applied(index, TIMEOUT_S)
    finally:
        doors[slow].gate.set()
        nodes.close()


def test_a_node_whose_force_fails_stops_and_the_others_go_on(tmp_path: Path) -> None:
    doors = {f"node{number}": Broken() for number in (1, 2, 3)}
    nodes = Nodes(tmp_path, 3, door=doors.__getitem__)
    try:
        broken = leader(nodes)
        doors[broken].fails = True
        future = nodes.logs[broken].append(unique(1))
        with pytest.raises(Unavailable, match="Input/output error"):
            future.result(TIMEOUT_S)
        until(lambda: "Input/output error" in nodes.logs[broken].status().stopped, "it says why")
        rest = [log for id_, log in nodes.logs.items() if id_ != broken]
        until(lambda: rest[0].status().leader not in ("", broken), "another one leads")
        assert rest[0].append(unique(1)).result(TIMEOUT_S)
        assert rest[1].barrier().result(TIMEOUT_S)
    finally:
        doors[broken].fails = False
        nodes.close()


@pytest.mark.parametrize("seconds", tiers([1], [10]))
def test_nothing_that_was_acknowledged_is_lost_when_leaders_are_killed(tmp_path: Path, seconds: float) -> None:
    nodes = Nodes(tmp_path, 3)
    ended, acknowledged = Event(), set[bytes]()

    def write(number: int) -> None:
        count = 0
        while not ended.is_set():
            command = f"{number}/{count}".encode()
            log = nodes.logs[f"node{1 + count % 3}"]
            with suppress(Unavailable, RateLimited):
                log.append([command]).result(TIMEOUT_S)
                acknowledged.add(command)
            count += 1

    writers = [Thread(target=write, args=(number,)) for number in range(8)]
    try:
        for writer in writers:
            writer.start()
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            victim = leader(nodes)
            before = len(acknowledged)
            nodes.stop(victim)
            nodes.start(victim)
            until(lambda before=before: len(acknowledged) > before + 20, "writing goes on")
    finally:
        ended.set()
        for writer in writers:
            writer.join(TIMEOUT_S)
    settle(nodes)
    histories = [machine.commands for machine in nodes.machines.values()]
    nodes.close()
    assert histories[0] == histories[1] == histories[2]
    assert acknowledged <= {data for _, data in histories[0]}
    assert len(acknowledged) > 20


def test_what_was_decided_waits_no_longer(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path, 1, max_waiting=3)
    try:
        for command in unique(10):
            nodes.logs["node1"].append([command]).result(TIMEOUT_S)
    finally:
        nodes.close()
