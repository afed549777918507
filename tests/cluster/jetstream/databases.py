"""Databases over partitions of streams, in this process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from blockdb.cluster.database.database import ReplicatedDatabase
from blockdb.cluster.database.opening import open_replicated
from blockdb.config import from_settings
from tests.cluster.jetstream.streamed import Place, Streamed

BLOCK = 100


class Databases(Streamed):
    """A database on each node of a place."""

    def __init__(self, place: Place, root: Path, **settings: object) -> None:
        self.dbs: dict[str, ReplicatedDatabase] = {}
        super().__init__(place, root, **settings)  # type: ignore[arg-type]

    def begin(self) -> None:
        with ThreadPoolExecutor(len(self.place.ids)) as pool:
            list(pool.map(self.start, self.place.ids))

    def start(self, id_: str) -> None:
        config = from_settings({"data_dir": str(self.root / id_), "blockchain_batch_size": BLOCK})
        self.dbs[id_] = open_replicated(config, self.make(id_), formation_s=60.0)

    def stop(self, id_: str) -> None:
        self.dbs.pop(id_).close()

    def close(self) -> None:
        with ThreadPoolExecutor(len(self.place.ids)) as pool:
            list(pool.map(self.stop, list(self.dbs)))
