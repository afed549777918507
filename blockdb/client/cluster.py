"""The cluster that servers are nodes of: who is in it, and what happens."""

from __future__ import annotations

from collections.abc import Iterator

from blockdb.client.link import Link
from blockdb.client.plans import cluster as plans
from blockdb.nodes import ClusterEvent, ClusterState, PartitionMove, PartitionState

__all__ = ["RemoteCluster"]


class RemoteCluster:
    """A cluster, over whichever of its nodes answers. Safe for threads."""

    def __init__(self, link: Link) -> None:
        """Use `RemoteDatabase.cluster`."""
        self._link = link

    def state(self) -> ClusterState:
        """All that the node which answers knows of it. Raises Unavailable."""
        return self._link.run(plans.state())

    def partitions(self) -> tuple[PartitionState, ...]:
        """Which node holds which partition, and how far each is; none where the engine has no partitions.

        The node that answers asks others for what it does not hold. Raises Unavailable.
        """
        return tuple(self._link.run(plans.partitions()).partitions)

    def rebalance(self, *, dry_run: bool = False) -> tuple[PartitionMove, ...]:
        """Have partitions spread evenly over the nodes; gives what has moved, or, with `dry_run`, what would.

        Each copy is there before the one goes whose place it takes. Raises InvalidData where the engine has no
        partitions, Forbidden, Unavailable.
        """
        return tuple(self._link.run(plans.rebalance(dry_run)))

    def add(self, node_id: str, address: str, *, peer_address: str = "", replica: bool = False) -> None:
        """Take a node in, which serves its users at `address` (`host:port`). It counts once it has caught up.

        A replica never counts: it gets everything and answers reads. Raises InvalidData, Forbidden, Unavailable.
        """
        self._link.run(plans.add(node_id, address, peer_address, replica))

    def remove(self, node_id: str) -> None:
        """Let a node go. Raises InvalidData, Forbidden, Unavailable."""
        self._link.run(plans.remove(node_id))

    def transfer(self, node_id: str | None = None) -> str:
        """Have that node lead (None: the one that has the most of the log); gives the leader's id.

        Raises InvalidData, Forbidden, Unavailable.
        """
        return self._link.run(plans.transfer(node_id))

    def events(self, timeout_s: float | None = None) -> Iterator[ClusterEvent | None]:
        """What happens from now on, as the node that answers sees it; None where nothing did for a second.

        It ends after `timeout_s` without an event. Raises Unavailable where the connection breaks.
        """
        stream = self._link.stream(plans.events(timeout_s))
        try:
            for told in stream:
                yield told.event
        finally:
            stream.close()
