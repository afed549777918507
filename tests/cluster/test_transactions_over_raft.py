"""Transactions on three nodes over Raft, while the leader changes: each history could have happened one by one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from blockdb.cluster.database.database import ReplicatedDatabase
from blockdb.cluster.database.opening import open_replicated
from blockdb.config import from_settings
from blockdb.errors import BlockDBError
from tests.cluster.nodes import Nodes
from tests.database.histories import first_problem

NAMES = ("default", "other")
HISTORIES = 60
CHANGE_S = 0.5


class Databases(Nodes):
    """Three nodes with a database."""

    dbs: tuple[ReplicatedDatabase, ...] = ()

    def start(self, *ids: str) -> None:
        def opened(id_: str) -> ReplicatedDatabase:
            return open_replicated(from_settings({"data_dir": str(self.root / id_)}), self.make(id_))

        with ThreadPoolExecutor(len(ids)) as pool:
            self.dbs = tuple(pool.map(opened, ids))

    def close(self) -> None:
        with ThreadPoolExecutor(len(self.dbs)) as pool:
            list(pool.map(lambda db: db.close(), self.dbs))


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Databases]:
    made = Databases(tmp_path, 3)
    yield made
    made.close()


@pytest.mark.torture
def test_every_history_is_serializable_whoever_leads(nodes: Databases) -> None:
    is_over = Event()
    changes = []

    def change_leaders() -> None:
        while not is_over.wait(CHANGE_S):
            for db in nodes.dbs:
                if db.is_leader():
                    with suppress(BlockDBError):
                        changes.append(db.log.transfer().result(10))
                    break

    nodes.dbs[0].create_collection("other")
    changing = Thread(target=change_leaders)
    changing.start()
    try:
        assert first_problem(nodes.dbs, NAMES, HISTORIES, seed=5, threads=6, each=4) is None
    finally:
        is_over.set()
        changing.join()
    assert changes, "nothing was put to the test"
    for name in NAMES:
        contents = [dict(db[name].scan()) for db in nodes.dbs]
        assert contents[0] == contents[1] == contents[2]
