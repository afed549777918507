"""Servers of nodes with partitions, over an engine in memory, in threads of this process on free ports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import blockdb
from blockdb.config.sections import Config
from blockdb.format.consensus import Member
from blockdb.masterkey import MasterKeySource
from blockdb.server.node import Node
from blockdb.server.partitioned_node import partitioned_node
from blockdb.serving.listening import listen
from tests.cluster.partitions.memory import World
from tests.server.node_here import HOST, AnyNode, begin_all, connected, ended

__all__ = ["NodeHere", "connected", "node_at", "servers"]

SMALL = {"blockchain_batch_size": 5, "memtable_size_limit": 1 << 20, "cache_size_limit": 1 << 20}


@dataclass
class NodeHere(AnyNode):
    """A node over the engine of a world."""

    world: World = field(default_factory=World)

    def settings(self) -> Mapping[str, Any]:
        return {"cluster.engine": "jetstream", **{f"database.{key}": value for key, value in SMALL.items()}}

    def opened(self, config: Config) -> AbstractContextManager[Node]:
        return partitioned_node(config, self.world.engine(self.name), MasterKeySource(), blockdb.connect)


def node_at(root: Path, world: World, number: int) -> NodeHere:
    """One that was not started yet, and its address known to all."""
    made = NodeHere(f"n{number}", root / f"n{number}", listen(HOST, 0), world=world)
    world.members[made.name] = Member(made.name, f"{HOST}:{made.port}", f"{HOST}:{made.port + 1}")
    return made


@contextmanager
def servers(root: Path, count: int = 3, **flags: Any) -> Iterator[list[NodeHere]]:
    """So many nodes, until the block ends."""
    world = World(*(f"n{number}" for number in range(1, count + 1)))
    nodes = [node_at(root, world, number) for number in range(1, count + 1)]
    roster = world.partitions["root"]
    for node in nodes:
        roster.roster = roster.roster.with_member(world.members[node.name])
    with ended(nodes):
        begin_all(nodes, lambda _: flags)
        yield nodes
