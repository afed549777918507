"""The engine in memory keeps what it is to stand for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blockdb.cluster.partitions.engine import ROOT, Engine
from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.errors import Unavailable
from blockdb.format.consensus import Member, Members, Role
from blockdb.layout import DatabaseFiles
from tests.cluster.conformance import until
from tests.cluster.partitions.memory import World
from tests.cluster.recorder import Recorder

FILES = DatabaseFiles(Path("nowhere"))


class Nodes:
    """A world, and on each node root with a recorder."""

    def __init__(self, *ids: str) -> None:
        self.world = World(*ids)
        self.machines: dict[str, Recorder] = {}
        for id_ in ids:
            self.start(id_)

    def start(self, id_: str) -> ReplicatedLog:
        engine: Engine = self.world.engine(id_)
        log = engine.log_of(ROOT, FILES)
        log.start(self.machines.setdefault(id_, Recorder()))
        return log

    def stop(self, id_: str) -> None:
        self.world.engines[id_].close()
        self.machines[id_] = self.machines[id_].crashed()


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    made = Nodes("n1", "n2", "n3")
    yield made
    for engine in made.world.engines.values():
        engine.close()


def settle(nodes: Nodes) -> None:
    for id_ in nodes.machines:
        log = nodes.world.log(id_)
        log.wait_applied(log.barrier().result(5), 5)


def test_all_holders_apply_the_same_also_after_they_were_cut_off(nodes: Nodes) -> None:
    with nodes.world.cut_off("n3"):
        assert nodes.world.log("n1").append([b"1", b"2"]).result(5) == 2
        assert isinstance(nodes.world.log("n3").append([b"no"]).exception(5), Unavailable)
        assert isinstance(nodes.world.log("n3").barrier().exception(5), Unavailable)
        assert nodes.machines["n3"].data == []
    settle(nodes)
    assert [machine.data for machine in nodes.machines.values()] == [[b"1", b"2"]] * 3
    assert nodes.world.log("n2").status().leader == "n1"


def test_who_is_late_gets_a_snapshot_and_who_restarts_has_what_was_durable(nodes: Nodes) -> None:
    nodes.world.log("n1").append([b"1"]).result(5)
    settle(nodes)
    nodes.machines["n2"].make_durable()
    nodes.stop("n2")
    nodes.stop("n3")
    nodes.world.log("n1").append([b"2"]).result(5)
    settle_one = nodes.world.log("n1")
    settle_one.wait_applied(2, 5)
    nodes.world.trim(ROOT)
    assert nodes.machines["n2"].data == [b"1"]
    for id_ in ("n2", "n3"):
        nodes.start(id_)
    settle(nodes)
    until(lambda: nodes.machines["n3"].data == [b"1", b"2"], "the snapshot is there")
    assert nodes.world.log("n3").snapshots == 1


def test_a_learner_is_promoted_when_it_has_caught_up(nodes: Nodes) -> None:
    told: list[str] = []
    end = nodes.world.engines["n1"].watch(lambda: told.append("changed"))
    nodes.world.log("n1").append([b"1"]).result(5)
    joined = nodes.world.join("n4")
    roster = nodes.world.engines["n1"].rosters()[ROOT]
    assert [member.role for member in roster.all] == [Role.VOTER] * 3 + [Role.LEARNER]
    nodes.start("n4")
    assert joined.result(5) == 1
    assert nodes.world.engines["n1"].rosters()[ROOT].voters == {"n1", "n2", "n3", "n4"}
    nodes.world.log("n1").remove_member("n4").result(5)
    assert "n4" not in nodes.world.engines["n4"].rosters()[ROOT]
    assert told
    end()


def test_questions_are_answered_once_at_one_of_those_who_answer(nodes: Nodes) -> None:
    engines = nodes.world.engines
    assert isinstance(engines["n3"].ask("p", b"?", 1).exception(5), Unavailable)
    ends = [engines[id_].answer("p", lambda question, id_=id_: id_.encode() + question) for id_ in ("n1", "n2")]  # type: ignore[misc]
    assert {engines["n3"].ask("p", b"?", 1).result(5) for _ in range(4)} == {b"n1?", b"n2?"}
    with nodes.world.cut_off("n1"):
        assert {engines["n3"].ask("p", b"?", 1).result(5) for _ in range(4)} == {b"n2?"}
        assert isinstance(engines["n1"].ask("p", b"?", 1).exception(5), Unavailable)
    nodes.world.lost_answers = 1
    assert isinstance(engines["n3"].ask("p", b"?", 1).exception(5), Unavailable)
    for end in ends:
        end()


def test_a_partition_that_is_removed_is_gone(nodes: Nodes) -> None:
    engines = nodes.world.engines
    engines["n1"].create("p", Members((Member("n2"),)), 1)
    engines["n1"].create("p", Members((Member("n1"),)), 1)
    assert engines["n3"].rosters()["p"].voters == {"n2"}
    log = engines["n2"].log_of("p", FILES)
    log.start(Recorder())
    log.append([b"1"]).result(5)
    engines["n3"].remove("p")
    engines["n3"].remove("p")
    assert isinstance(log.append([b"2"]).exception(5), Unavailable)
    with pytest.raises(Unavailable, match="no log"):
        engines["n2"].log_of("p", FILES)
