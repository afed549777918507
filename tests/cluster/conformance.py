"""What every `ReplicatedLog` has to do: a class of tests, run over each implementation.

A subclass has a fixture `cluster` (shared by the tests of the class, which leave it as it was) and one `fresh` (made
for one test, which may break it). See `test_lone.py` and `test_raft_log.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Barrier, Thread
from time import monotonic
from typing import Protocol
from uuid import uuid4

import pytest

from blockdb.cluster.events import ClusterEvent
from blockdb.cluster.replicated_log import MemberStatus, ReplicatedLog
from blockdb.errors import InvalidData, RateLimited, Unavailable, WritesStopped
from blockdb.format.consensus import Member, Role
from tests.cluster.recorder import POISON, Recorder

TIMEOUT_S = 30.0


class Cluster(Protocol):
    """Some logs that are one, each with its machine."""

    logs: dict[str, ReplicatedLog]
    machines: dict[str, Recorder]
    max_waiting: int
    """How many commands may wait at a node."""

    def stop(self, id_: str) -> None:
        """Have a node's process end."""

    def start(self, id_: str) -> None:
        """Start it again, with what its machine had made durable."""

    def close(self) -> None:
        """End all of it."""


def until(condition: Callable[[], object], what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Wait for a condition."""
    deadline = monotonic() + timeout_s
    pause = Future[None]()
    while not condition():
        assert monotonic() < deadline, f"not within {timeout_s} s: {what}"
        wait([pause], 0.005)


def leader(cluster: Cluster) -> str:
    """Who leads, once all nodes say the same."""

    def said() -> set[str]:
        return {log.status().leader for log in cluster.logs.values()}

    until(lambda: len(said()) == 1 and "" not in said(), "all nodes know one leader")
    return said().pop()


def others(cluster: Cluster) -> list[str]:
    """All but the leader."""
    first = leader(cluster)
    return [id_ for id_ in cluster.logs if id_ != first]


def unique(count: int, label: str = "") -> list[bytes]:
    """Commands that no other test has."""
    mark = uuid4().hex
    return [f"{label} {mark} {number}".encode() for number in range(count)]


def settle(cluster: Cluster) -> None:
    """Wait until every node has applied everything."""
    index = next(iter(cluster.logs.values())).barrier().result(TIMEOUT_S)
    for log in cluster.logs.values():
        log.wait_applied(index, TIMEOUT_S)


class Conformance:
    """The promises of `ReplicatedLog`, one test each."""

    def test_commands_are_applied_by_all_in_the_order_of_the_log(self, cluster: Cluster) -> None:
        threads, each = 4, 25
        begin = Barrier(threads)
        given = [unique(each, f"thread {number}") for number in range(threads)]
        nodes = list(cluster.logs.values())

        def write(number: int) -> None:
            begin.wait(TIMEOUT_S)
            futures = [nodes[number % len(nodes)].append([command]) for command in given[number]]
            indexes = [future.result(TIMEOUT_S) for future in futures]
            assert indexes == sorted(indexes)

        running = [Thread(target=write, args=(number,)) for number in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join(TIMEOUT_S)
        settle(cluster)
        first, *rest = (machine.commands for machine in cluster.machines.values())
        assert all(other == first for other in rest)
        assert [index for index, _ in first] == sorted({index for index, _ in first})
        data = [data for _, data in first]
        for commands in given:
            assert [command for command in data if command in commands] == commands

    def test_the_commands_of_one_call_stay_together_in_order(self, cluster: Cluster) -> None:
        for id_, log in cluster.logs.items():
            commands = unique(20, id_)
            last = log.append(commands).result(TIMEOUT_S)
            settle(cluster)
            found = [(index, data) for index, data in cluster.machines[id_].commands if data in commands]
            assert [data for _, data in found] == commands
            assert found[-1][0] == last

    def test_a_future_that_is_done_tells_of_a_command_that_is_applied_here(self, cluster: Cluster) -> None:
        for id_, log in cluster.logs.items():
            for command in unique(5):
                index = log.append([command]).result(TIMEOUT_S)
                log.wait_applied(index, TIMEOUT_S)
                assert (index, command) in cluster.machines[id_].commands

    def test_a_barrier_is_behind_all_that_was_acknowledged(self, cluster: Cluster) -> None:
        for id_, log in cluster.logs.items():
            for other in cluster.logs.values():
                (command,) = unique(1)
                written = other.append([command]).result(TIMEOUT_S)
                index = log.barrier().result(TIMEOUT_S)
                assert index >= written
                log.wait_applied(index, TIMEOUT_S)
                assert command in cluster.machines[id_].data

    def test_many_barriers_at_a_time(self, cluster: Cluster) -> None:
        log = next(iter(cluster.logs.values()))
        written = log.append(unique(1)).result(TIMEOUT_S)
        assert min(barrier.result(TIMEOUT_S) for barrier in [log.barrier() for _ in range(200)]) >= written

    def test_what_was_not_applied_in_time_is_unavailable(self, cluster: Cluster) -> None:
        log = next(iter(cluster.logs.values()))
        with pytest.raises(Unavailable, match="did not reach"):
            log.wait_applied(log.status().last_index + 1_000_000, 0.01)

    def test_nothing_and_what_is_too_long_are_refused(self, cluster: Cluster) -> None:
        log = next(iter(cluster.logs.values()))
        with pytest.raises(InvalidData, match="nothing to append"):
            log.append([])
        with pytest.raises(InvalidData, match="too long"):
            log.append([bytes(100 * 1024 * 1024)])

    def test_status_and_members(self, cluster: Cluster) -> None:
        first = leader(cluster)
        settle(cluster)
        for id_, log in cluster.logs.items():
            status = log.status()
            assert status.node_id == id_
            assert status.leader == first
            assert status.state == ("Leader" if id_ == first else "Follower")
            assert status.engine in {"raft", "lone", "jetstream"}
            assert status.term >= 1
            assert status.last_index >= status.commit >= status.applied > 0
            assert status.first_index <= status.last_index + 1
            assert {member.member.id for member in status.members} == set(cluster.logs)
            assert {member.id for member in log.members().all} == set(cluster.logs)
            assert log.members().voters == set(cluster.logs)
            assert not status.diverged

    def test_the_leader_knows_how_far_the_others_are(self, cluster: Cluster) -> None:
        first = leader(cluster)
        index = cluster.logs[first].append(unique(1)).result(TIMEOUT_S)

        def members() -> dict[str, MemberStatus]:
            return {each.member.id: each for each in cluster.logs[first].status().members}

        until(lambda: min(each.match for each in members().values()) >= index, "every member has the entry")
        until(lambda: not members()[first].lag, "the leader has applied it")

    def test_leading_passes_to_another_and_writing_goes_on(self, cluster: Cluster) -> None:
        before = leader(cluster)
        seen: list[ClusterEvent] = []
        endings = [log.subscribe(seen.append) for log in cluster.logs.values()]
        for log in cluster.logs.values():
            target = next(iter(others(cluster)), before)
            assert log.transfer(target).result(TIMEOUT_S) == target
            assert leader(cluster) == target
            log.append(unique(1)).result(TIMEOUT_S)
        if len(cluster.logs) > 1:
            assert {event.node_id for event in seen if event.kind == "leader"} == set(cluster.logs)
            now = leader(cluster)
            assert cluster.logs[now].transfer().result(TIMEOUT_S) != now
        for end in endings:
            end()

    def test_nobody_leads_who_is_no_voter(self, cluster: Cluster) -> None:
        for log in cluster.logs.values():
            with pytest.raises(InvalidData, match="no voter"):
                log.transfer("nobody").result(TIMEOUT_S)

    def test_nobody_is_removed_who_is_not_there_or_the_last(self, cluster: Cluster) -> None:
        log = next(iter(cluster.logs.values()))
        with pytest.raises(InvalidData):
            log.remove_member("nobody").result(TIMEOUT_S)
        if len(cluster.logs) == 1:
            with pytest.raises(InvalidData):
                log.remove_member(next(iter(cluster.logs))).result(TIMEOUT_S)

    def test_what_waits_is_bounded(self, fresh: Cluster) -> None:
        log = fresh.logs[leader(fresh)]
        for machine in fresh.machines.values():
            machine.may_go_on.clear()
        futures = [log.append([command]) for command in unique(fresh.max_waiting)]
        with pytest.raises(RateLimited):
            log.append(unique(1))
        for machine in fresh.machines.values():
            machine.may_go_on.set()
        assert len({future.result(TIMEOUT_S) for future in futures}) == fresh.max_waiting
        log.append(unique(1)).result(TIMEOUT_S)

    def test_closing_refuses_what_waits(self, fresh: Cluster) -> None:
        id_ = leader(fresh)
        log, machine = fresh.logs[id_], fresh.machines[id_]
        log.append(unique(1)).result(TIMEOUT_S)
        machine.may_go_on.clear()
        calls = machine.calls
        log.append(unique(1))
        until(lambda: machine.calls > calls, "it is being applied")
        future = log.append(unique(1))
        closing = Thread(target=log.close)
        closing.start()
        with pytest.raises(Unavailable):
            future.result(TIMEOUT_S)
        machine.may_go_on.set()
        closing.join(TIMEOUT_S)
        log.close()
        for late in (log.append(unique(1)), log.barrier()):
            with pytest.raises(Unavailable):
                late.result(TIMEOUT_S)
        with pytest.raises(Unavailable):
            log.wait_applied(1, TIMEOUT_S)

    def test_a_machine_that_fails_stops_its_node(self, fresh: Cluster) -> None:
        log = fresh.logs[leader(fresh)]
        before = log.append(unique(1)).result(TIMEOUT_S)
        poisoned = log.append([POISON])
        with pytest.raises((Unavailable, WritesStopped)):
            poisoned.result(TIMEOUT_S)
        for late in (log.append(unique(1)), log.barrier()):
            with pytest.raises((Unavailable, WritesStopped)):
                late.result(TIMEOUT_S)
        with pytest.raises((Unavailable, WritesStopped)):
            log.wait_applied(before + 2, TIMEOUT_S)
        until(lambda: log.status().state == "Stopped", "the status says so")

    def test_a_restart_goes_on_behind_what_the_machine_has(self, fresh: Cluster) -> None:
        id_ = leader(fresh)
        commands = unique(10)
        last = fresh.logs[id_].append(commands[:5]).result(TIMEOUT_S)
        settle(fresh)
        fresh.machines[id_].make_durable()
        fresh.stop(id_)
        fresh.start(id_)
        log = fresh.logs[id_]
        assert log.append(commands[5:]).result(TIMEOUT_S) > last
        settle(fresh)
        assert fresh.machines[id_].data == commands


def member(id_: str, role: Role = Role.VOTER) -> Member:
    """A member without an address."""
    return Member(id_, role=role)
