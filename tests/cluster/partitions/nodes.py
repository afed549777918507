"""Nodes with partitions in one process: they share a world (`memory`), and reach each other without a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from blockdb.cluster.database.context import is_passed_on, passed_on, reading
from blockdb.cluster.partitions.database import PartitionedDatabase
from blockdb.cluster.partitions.engine import Engine
from blockdb.cluster.partitions.opening import open_partitioned
from blockdb.config import from_settings
from blockdb.errors import Unavailable
from blockdb.interface import AnyDatabase
from tests.cluster.partitions.memory import World

SETTINGS: dict[str, Any] = {"blockchain_batch_size": 5, "memtable_size_limit": 1 << 20, "cache_size_limit": 1 << 20}
DEFAULTS = {"partitions": 4, "replication_factor": 2}


class Cluster:
    """Nodes n1, n2 and so on."""

    def __init__(
        self, root: Path, count: int, *, patience_s: float = 10.0, defaults: dict[str, int] = DEFAULTS, **settings: Any
    ) -> None:
        self.root = root
        self.settings = {**SETTINGS, **settings}
        self.defaults = defaults
        self.patience_s = patience_s
        self.world = World(*(f"n{number}" for number in range(1, count + 1)))
        self.nodes: dict[str, PartitionedDatabase] = {}
        self.start(*self.world.members)

    def start(self, *ids: str) -> None:
        """Start nodes side by side."""
        with ThreadPoolExecutor(len(ids)) as pool:
            for id_, node in zip(ids, pool.map(self._open, ids), strict=True):
                self.nodes[id_] = node

    def _open(self, id_: str) -> PartitionedDatabase:
        config = from_settings({"data_dir": str(self.root / id_), **self.settings})
        return open_partitioned(
            config,
            self.engine(id_),
            self.reach_of(id_),
            defaults=self.defaults,
            patience_s=self.patience_s,
            formation_s=20,
        )

    def engine(self, id_: str) -> Engine:
        """The engine of a node, started."""
        return self.world.engine(id_)

    def id_at(self, address: str) -> str:
        """Which node has an address."""
        return address.partition(":")[0]

    def is_apart(self, *ids: str) -> bool:
        """Whether one of these nodes reaches nobody."""
        return not self.world.apart.isdisjoint(ids)

    def reach_of(self, asker: str) -> Callable[[Sequence[str], str], AnyDatabase]:
        """How a node reaches others."""

        def reach(addresses: Sequence[str], read_concern: str) -> AnyDatabase:
            if is_passed_on():
                raise Unavailable("This node does not hold that.")
            for address in addresses:
                id_ = self.id_at(address)
                if id_ in self.nodes and not self.is_apart(id_, asker):
                    return Passing(self.nodes[id_], read_concern)  # type: ignore[return-value]
            raise Unavailable("None of these nodes can be reached.")

        return reach

    def stop(self, *ids: str) -> None:
        """End nodes."""
        for id_ in ids:
            self.nodes.pop(id_).close()

    def close(self) -> None:
        """End all of them."""
        with ThreadPoolExecutor(max(len(self.nodes), 1)) as pool:
            list(pool.map(PartitionedDatabase.close, self.nodes.values()))

    def __getitem__(self, id_: str) -> PartitionedDatabase:
        return self.nodes[id_]


class Passing:
    """What another node has: all that is called on it is called as if it was passed on."""

    def __init__(self, target: Any, read_concern: str) -> None:
        self._target, self._read_concern = target, read_concern

    def __getattr__(self, name: str) -> Any:
        with passed_on(), reading(self._read_concern):
            found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*given: Any, **named: Any) -> Any:
            with passed_on(), reading(self._read_concern):
                result = found(*given, **named)
                if name == "collection":
                    return Passing(result, self._read_concern)
                return iter(list(result)) if name in ("scan", "keys", "records", "blocks") else result

        return call
