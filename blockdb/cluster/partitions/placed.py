"""What of a database with partitions is about where they are: who holds them, and how they come to other nodes."""

from __future__ import annotations

from collections.abc import Mapping

from blockdb.cluster.database.database import ReplicatedDatabase
from blockdb.cluster.partitions.creating import Creating
from blockdb.cluster.partitions.engine import ROOT, Engine
from blockdb.cluster.partitions.holding import Holdings
from blockdb.cluster.partitions.placing import Move
from blockdb.cluster.partitions.rebalancing import Rebalancing, Tell
from blockdb.cluster.partitions.registry import Registry, collection_of
from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.errors import InvalidData

__all__ = ["PlacedDatabase"]


class PlacedDatabase(ReplicatedDatabase):
    """`PartitionedDatabase` has the rest."""

    engine: Engine
    holdings: Holdings
    _creating: Creating
    _rebalancing: Rebalancing
    _registry: Registry

    @property
    def signing_seed(self) -> bytes:
        """The secret bytes of the key that the whole cluster signs with."""
        return self._registry.signing_seed

    def partition_logs(self) -> Mapping[str, ReplicatedLog]:
        """The logs of the partitions that this node holds, `root` among them."""
        held = {each.name: each.log for each in self.holdings.all()}
        return {ROOT: self.log, **{name: log for name, log in held.items() if log is not None}}

    def collection_of(self, partition: str) -> tuple[str, int]:
        """The name of the collection of a partition, and its number; an empty name where there is none."""
        try:
            collection_id, number = collection_of(partition)
        except ValueError:
            return "", 0
        found = self._registry.find(collection_id)
        return ("", number) if found is None else (found.name, number)

    def rebalance(self, *, dry_run: bool = False, tell: Tell = lambda move, number, total: None) -> list[Move]:
        """Spread partitions evenly over the nodes, while they are used; gives what has moved, or would.

        `tell` is told of each move that is done. Raises Unavailable where some could not be done.
        """
        return self._rebalancing.plan() if dry_run else self._rebalancing.run(tell=tell)

    def drain(self, node_id: str, *, tell: Tell = lambda move, number, total: None) -> list[Move]:
        """Have a node hold no partition any more, so that it can leave; gives what has moved.

        Raises InvalidData where there is no such node, or no other one; Unavailable where some could not be moved.
        """
        if node_id not in self._creating.nodes():
            raise InvalidData(f"There is no node '{node_id}' that holds partitions.")
        done = self._rebalancing.run([node_id], tell)
        while self._rebalancing.is_held(node_id):  # collections were made meanwhile
            done += self._rebalancing.run([node_id], tell)
        return done

    def remove_node(self, node_id: str) -> None:
        """Let a node go for good: what it holds moves to others first, unless it is dead, and is replaced soon then.

        Raises InvalidData where there is none, where it is this one, or the last; Unavailable where some partitions
        could not be moved: then it still belongs to the cluster.
        """
        if node_id == self.engine.own.id:
            raise InvalidData(f"{node_id} is this node: ask another one to let it go.")
        if node_id in self._creating.nodes() and node_id not in self._creating.dead():
            self.drain(node_id)
        ReplicatedDatabase.remove_node(self, node_id)
        self.engine.forget(node_id)
