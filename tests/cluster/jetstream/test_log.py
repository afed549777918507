"""The log over streams: what every replicated log does, on one node and on three."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conformance import Conformance
from tests.cluster.jetstream.streamed import Place, Streamed, needs_nats

pytestmark = needs_nats


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("one"), 1)
    yield place
    place.close()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("three"), 3, spare=1)
    yield place
    place.close()


class TestOneNode(Conformance):
    @pytest.fixture(scope="class")
    def cluster(self, one: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streamed]:
        streamed = Streamed(one, tmp_path_factory.mktemp("shared"))
        yield streamed
        streamed.close()

    @pytest.fixture
    def fresh(self, one: Place, tmp_path: Path) -> Iterator[Streamed]:
        streamed = Streamed(one, tmp_path, max_waiting=50)
        yield streamed
        streamed.close()


@pytest.mark.torture
class TestThreeNodes(Conformance):
    @pytest.fixture(scope="class")
    def cluster(self, three: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streamed]:
        streamed = Streamed(three, tmp_path_factory.mktemp("shared"))
        yield streamed
        streamed.close()

    @pytest.fixture
    def fresh(self, three: Place, tmp_path: Path) -> Iterator[Streamed]:
        streamed = Streamed(three, tmp_path, max_waiting=50)
        yield streamed
        streamed.close()
