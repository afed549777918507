"""The log over Raft: what every replicated log does, on one node and on three."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conformance import Conformance
from tests.cluster.nodes import Nodes


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
