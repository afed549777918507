from collections.abc import Iterator

import pytest

import blockdb
from tests.client.served import Served, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of a database whose blocks have four records, shared by the tests of a module."""
    with blockdb.open(tmp_path_factory.mktemp("served") / "db", blockchain_batch_size=4) as db, served(db) as server:
        yield server


@pytest.fixture(scope="module")
def remote(server: Served) -> Iterator[blockdb.RemoteDatabase]:
    with blockdb.connect(server.url, attempts=2) as remote:
        yield remote
