"""Nodes that lost something: their log, a part of it, or the history that the others have."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest

from blockdb.cluster.applying import Applying
from blockdb.cluster.consensus.settings import RaftSettings
from blockdb.cluster.events import ClusterEvent
from blockdb.cluster.proposals import Proposals
from blockdb.cluster.replicated_log import Command, ReplicatedLog, Snapshot, StateMachine
from blockdb.cluster.waiting import Room
from blockdb.errors import ConfigError, Corruption, InvalidData, Unavailable
from blockdb.format.consensus import Entry, Kind, Member
from blockdb.format.raft_log import wrap
from blockdb.layout import RaftFiles
from tests.cluster.conformance import TIMEOUT_S, leader, others, settle, unique, until
from tests.cluster.nodes import Nodes, free_addresses
from tests.cluster.recorder import Recorder

COLLECTION = UUID("00112233-4455-6677-8899-aabbccddeeff").bytes


class Chain(Recorder):
    """A recorder whose every command is a block."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[object] = []

    @property
    def heads(self) -> Chain:
        return self

    def diverge(self, difference: object) -> None:
        self.told.append(difference)

    def head(self) -> Mapping[bytes, tuple[int, bytes]]:
        last = len(self.commands) - 1
        return {COLLECTION: (last, self.block_hashes(COLLECTION, last, 1)[0])} if last >= 0 else {}

    def compare(self, other: Mapping[bytes, tuple[int, bytes]]) -> object | None:
        number, hash_ = other[COLLECTION]
        return None if self.block_hashes(COLLECTION, number, 1) == [hash_] else number

    def first_difference(self, found: Any, ask: Any, ask_leaves: Any) -> object:
        own = self.block_hashes(COLLECTION, 0, found + 1)
        theirs = ask(COLLECTION, 0, found + 1)
        block = next(number for number, pair in enumerate(zip(own, theirs, strict=True)) if pair[0] != pair[1])
        assert self.leaf_hashes(COLLECTION, block) != ask_leaves(COLLECTION, block)
        return f"block {block}"

    def block_hashes(self, collection: bytes, first: int, count: int) -> Sequence[bytes]:
        return [sha256(b"".join(self.data[: number + 1])).digest() for number in range(first, first + count)]

    def leaf_hashes(self, collection: bytes, block: int) -> Sequence[bytes]:
        return [self.data[block]]


class Stubborn(Chain):
    """A chain that takes no copy."""

    def restore(self, snapshot: Snapshot) -> None:
        raise InvalidData("It is not good enough.")


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    made = Nodes(tmp_path, 3)
    yield made
    made.close()


def is_served(log: ReplicatedLog) -> bool:
    """Whether a command is decided there."""
    try:
        log.append(unique(1)).result(TIMEOUT_S)
    except Unavailable:
        return False
    return True


def test_a_node_with_another_history_stops_serving_and_says_where(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path, 3, machine=Stubborn)
    try:
        wrong = others(nodes)[0]
        seen: list[ClusterEvent] = []
        nodes.logs[wrong].subscribe(seen.append)
        nodes.logs["node1"].append(unique(5)).result(TIMEOUT_S)
        settle(nodes)
        nodes.machines[wrong].commands[3] = (5, b"tampered with")
        nodes.logs["node1"].append(unique(3)).result(TIMEOUT_S)
        until(lambda: nodes.logs[wrong].status().diverged == "block 3", "it sees that it is alone")
        machine = nodes.machines[wrong]
        assert isinstance(machine, Chain)
        assert machine.told == ["block 3"]
        for future in (nodes.logs[wrong].append(unique(1)), nodes.logs[wrong].barrier()):
            with pytest.raises(Unavailable, match="block 3"):
                future.result(TIMEOUT_S)
        assert any(event.kind == "diverged" for event in seen)
        right = nodes.logs[leader(nodes)]
        right.append(unique(1)).result(TIMEOUT_S)
        until(lambda: {each.agrees for each in right.status().members} == {None, True, False}, "the leader knows it")
        assert not right.status().diverged
        assert right.status().members[0].head.startswith("col_00112233-4455-6677-8899-aabbccddeeff ")
    finally:
        nodes.close()


def test_a_node_whose_log_was_wiped_gets_it_all_again_before_it_votes(nodes: Nodes) -> None:
    commands = unique(20)
    nodes.logs["node1"].append(commands).result(TIMEOUT_S)
    nodes.stop("node3")
    rmtree(nodes.root / "node3")
    nodes.machines["node3"] = Recorder()
    seen: list[ClusterEvent] = []
    log = nodes.make("node3")
    log.subscribe(seen.append)
    log.start(nodes.machines["node3"])
    settle(nodes)
    assert nodes.machines["node3"].data == commands
    until(lambda: log.status().state in {"Leader", "Follower"}, "it takes part again")
    assert [event.what for event in seen if event.kind == "state"][:2] == ["Mending", "Follower"]


def test_a_damaged_log_is_made_whole_by_the_others(nodes: Nodes) -> None:
    commands = unique(50)
    nodes.logs["node1"].append(commands).result(TIMEOUT_S)
    broken = others(nodes)[0]
    nodes.stop(broken)
    files = RaftFiles(nodes.root / broken / "raft")
    path = max(files.root.glob("*.log"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    nodes.start(broken)
    nodes.logs["node1" if broken != "node1" else "node2"].append(unique(1)).result(TIMEOUT_S)
    nodes.logs[leader(nodes)].transfer().result(TIMEOUT_S)
    until(lambda: nodes.logs[broken].status().state in {"Leader", "Follower"}, "it takes part again")
    settle(nodes)
    assert nodes.machines[broken].data[:50] == commands
    until(lambda: not files.mending.exists(), "the disk says so")


def test_who_cannot_join_waits_until_it_is_closed(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path, 1)
    nodes.close()
    (nobody, own) = free_addresses(2)
    log = nodes.make("node9", RaftSettings(Member("node9", "", own), join=(nobody,)))
    failures: list[BaseException] = []

    def start() -> None:
        try:
            log.start(Recorder())
        except Unavailable as error:
            failures.append(error)

    thread = Thread(target=start)
    thread.start()
    log.close()
    thread.join(TIMEOUT_S)
    assert len(failures) == 1
    with pytest.raises(Unavailable, match="closed"):
        log.append(unique(1)).result(TIMEOUT_S)


def test_who_belongs_to_no_cluster_is_told_so(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path, 1)
    nodes.close()
    (own,) = free_addresses(1)
    with pytest.raises(ConfigError, match="not among those"):
        nodes.make("node9", RaftSettings(Member("node9", "", own), "test", nodes.bootstrap)).start(Recorder())
    with pytest.raises(ConfigError, match="needs a name"):
        nodes.make("node8", RaftSettings(nodes.bootstrap.all[0], "", nodes.bootstrap)).start(Recorder())
    with pytest.raises(ConfigError, match="longer than the time between heartbeats"):
        RaftSettings(nodes.bootstrap.all[0], heartbeat_ms=100, election_ms=100)


def test_a_node_that_lost_its_log_and_joins_again_gives_no_vote_before_it_has_it(nodes: Nodes) -> None:
    commands = unique(20)
    nodes.logs["node1"].append(commands).result(TIMEOUT_S)
    member = nodes.bootstrap.get("node3")
    assert member is not None
    nodes.stop("node3")
    rmtree(nodes.root / "node3")
    nodes.machines["node3"] = Recorder()
    seen: list[ClusterEvent] = []
    log = nodes.make("node3", RaftSettings(member, join=(nodes.bootstrap.all[0].peer_address,)))
    log.subscribe(seen.append)
    log.start(nodes.machines["node3"])
    until(lambda: log.status().state in {"Leader", "Follower"}, "it takes part again")
    settle(nodes)
    assert nodes.machines["node3"].data == commands
    assert next(event.what for event in seen if event.kind == "state") == "Mending"


class Damaged(Chain):
    """A chain whose files are damaged when it is opened."""

    def __init__(self, is_damaged: bool = False) -> None:
        super().__init__()
        self.needs_copy = is_damaged

    def apply(self, commands: Sequence[Command]) -> None:
        assert not self.needs_copy
        super().apply(commands)

    def diverge(self, difference: object) -> None:
        self.needs_copy = True
        super().diverge(difference)

    def restore(self, snapshot: Snapshot) -> None:
        super().restore(snapshot)
        self.needs_copy = False


def test_who_has_another_history_gets_that_of_the_others(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path, 3, machine=Damaged)
    try:
        wrong = leader(nodes)
        nodes.logs[wrong].append(unique(5)).result(TIMEOUT_S)
        settle(nodes)
        nodes.machines[wrong].commands[2] = (4, b"tampered with")
        nodes.logs[wrong].append(unique(2)).result(TIMEOUT_S)
        until(lambda: nodes.machines[wrong].restored, "it gets a copy")
        until(lambda: not nodes.logs[wrong].status().diverged, "it serves again")
        until(lambda: is_served(nodes.logs[wrong]), "it serves again")
        settle(nodes)
        first, *rest = (machine.commands for machine in nodes.machines.values())
        assert all(other == first for other in rest)
    finally:
        nodes.close()


def test_a_node_whose_database_is_damaged_gets_a_copy(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path, 3, machine=Damaged)
    try:
        nodes.logs["node1"].append(unique(5)).result(TIMEOUT_S)
        settle(nodes)
        nodes.stop("node2")
        nodes.machines["node2"] = Damaged(is_damaged=True)
        nodes.start("node2")
        nodes.logs["node1"].append(unique(2)).result(TIMEOUT_S)
        until(lambda: nodes.machines["node2"].restored, "it gets a copy")
        settle(nodes)
        until(lambda: is_served(nodes.logs["node2"]), "it serves again")
        settle(nodes)
        assert nodes.machines["node2"].commands == nodes.machines["node1"].commands
    finally:
        nodes.close()


class Failing(Damaged):
    """A chain that comes upon damage when it is given a certain command."""

    def apply(self, commands: Sequence[Command]) -> None:
        if any(command.data == b"too much" for command in commands) and not self.restored:
            self.needs_copy = True
            raise Corruption("file", 17, "it is damaged")
        super().apply(commands)


def test_a_node_that_comes_upon_damage_gets_a_copy_and_goes_on(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path, 3, machine=Damaged)
    try:
        nodes.logs["node1"].append(unique(5)).result(TIMEOUT_S)
        nodes.stop("node2")
        nodes.machines["node2"] = Failing()
        nodes.start("node2")
        settle(nodes)
        nodes.logs["node1"].append([b"too much"]).result(TIMEOUT_S)
        nodes.logs["node1"].append(unique(3)).result(TIMEOUT_S)
        until(lambda: nodes.machines["node2"].restored, "it gets a copy")
        settle(nodes)
        until(lambda: is_served(nodes.logs["node2"]), "it serves again")
        settle(nodes)
        assert nodes.machines["node2"].commands == nodes.machines["node1"].commands
    finally:
        nodes.close()


def test_what_the_copy_does_not_have_is_applied_behind_it() -> None:
    machine, other = Failing(), Recorder([(1, b"first")], 1)
    is_told, failures = Event(), list[BaseException]()

    def damaged(_: Corruption) -> bool:
        is_told.set()
        return True

    def take_copy(_: StateMachine) -> None:
        machine.restore(other.snapshot())
        applying.restored(1, 1)

    proposals = Proposals(bytes(8), Room(10, 1 << 20), TIMEOUT_S, TIMEOUT_S)
    applying = Applying("applying", machine, proposals, lambda: None, failures.append, damaged)
    applying.start(1)
    try:
        data = [b"first", b"too much", b"last"]
        applying.put([Entry(at, 1, Kind.COMMAND, wrap(b"another.", at, each)) for at, each in enumerate(data, 1)])
        assert is_told.wait(TIMEOUT_S)
        applying.call(take_copy).result(TIMEOUT_S)
        applying.go_on()
        applying.call(lambda _: None).result(TIMEOUT_S)
        assert machine.data == data
        assert not failures
    finally:
        applying.close()


def test_two_damaged_nodes_get_copies_of_the_third(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path, 3, machine=Damaged)
    try:
        nodes.logs["node1"].append(unique(5)).result(TIMEOUT_S)
        settle(nodes)
        for id_ in nodes.logs:
            nodes.stop(id_)
        for id_ in ("node1", "node2"):
            nodes.machines[id_] = Damaged(is_damaged=True)
        nodes.start(*nodes.machines)
        until(lambda: all(nodes.machines[id_].restored for id_ in ("node1", "node2")), "they get copies")
        until(lambda: is_served(nodes.logs["node1"]), "it serves again")
        settle(nodes)
        first, *rest = (machine.commands for machine in nodes.machines.values())
        assert len(first) == 6
        assert all(other == first for other in rest)
    finally:
        nodes.close()


def test_a_machine_that_lacks_what_the_log_begins_behind_gets_a_copy(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path, 3, compact_entries=5, keep_entries=1)
    try:
        files = RaftFiles(nodes.root / "node2" / "raft")
        nodes.logs["node1"].append(unique(20)).result(TIMEOUT_S)
        until(lambda: tomllib.loads(files.head.read_text())["index"], "the log on the disk is cut")
        nodes.stop("node2")
        nodes.machines["node2"] = Recorder()
        nodes.start("node2")
        until(lambda: nodes.machines["node2"].restored, "it gets a copy")
        assert not files.mending.exists()
        until(lambda: is_served(nodes.logs["node2"]), "it serves again")
        settle(nodes)
        assert nodes.machines["node2"].commands == nodes.machines["node1"].commands
    finally:
        nodes.close()


def test_a_node_alone_that_lacks_what_its_log_begins_behind_is_refused(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path, 1, compact_entries=5, keep_entries=1)
    try:
        nodes.logs["node1"].append(unique(20)).result(TIMEOUT_S)
        until(lambda: nodes.logs["node1"].status().first_index > 1, "the log is cut")
        nodes.stop("node1")
        nodes.machines["node1"] = Recorder()
        with pytest.raises(Corruption, match="no other node counts"):
            nodes.start("node1")
    finally:
        nodes.close()
