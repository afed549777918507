"""The log of one node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from blockdb.cluster.lone import LoneLog
from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.errors import InvalidData
from tests.cluster.conformance import Conformance, member
from tests.cluster.recorder import Recorder


class Lone:
    """A cluster of one."""

    max_waiting = 50

    def __init__(self) -> None:
        self.logs: dict[str, ReplicatedLog] = {}
        self.machines = {"node1": Recorder()}
        self.start("node1")

    def start(self, id_: str) -> None:
        self.logs[id_] = LoneLog(member(id_), max_waiting=self.max_waiting)
        self.logs[id_].start(self.machines[id_])

    def stop(self, id_: str) -> None:
        self.logs[id_].close()
        self.machines[id_] = self.machines[id_].crashed()

    def close(self) -> None:
        self.logs["node1"].close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Lone]:
    lone = Lone()
    lone.max_waiting = 10_000
    lone.stop("node1")
    lone.start("node1")
    yield lone
    lone.close()


class TestLone(Conformance):
    @pytest.fixture
    def cluster(self, shared: Lone) -> Lone:
        return shared

    @pytest.fixture
    def fresh(self) -> Iterator[Lone]:
        lone = Lone()
        yield lone
        lone.close()


def test_nobody_joins_a_log_of_one() -> None:
    with pytest.raises(InvalidData, match="--bootstrap"):
        LoneLog(member("node1")).add_member(member("node2"))
