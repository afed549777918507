"""Plans about the cluster that servers are nodes of."""

from __future__ import annotations

from blockdb.client.plans.plan import Ask, Plan
from blockdb.nodes import ClusterState, PartitionMove
from blockdb.wire.messages.cluster import AddNode, ByNode, ClusterEvents, ClusterPartitions, Rebalance, Transfer
from blockdb.wire.operation import Nothing

__all__ = ["add", "events", "partitions", "rebalance", "remove", "state", "transfer"]


def state() -> Plan[ClusterState]:
    """The cluster, as the node that is asked sees it."""
    found = yield Ask("cluster_members", Nothing())
    cluster: ClusterState = found.cluster
    return cluster


def partitions() -> Plan[ClusterPartitions]:
    """Which node holds which partition."""
    found: ClusterPartitions = yield Ask("cluster_partitions", Nothing())
    return found


def rebalance(dry_run: bool) -> Plan[list[PartitionMove]]:
    """Spread partitions evenly."""
    moves: list[PartitionMove] = (yield Ask("cluster_rebalance", Rebalance(dry_run=dry_run))).moves
    return moves


def add(node_id: str, address: str, peer_address: str, replica: bool) -> Plan[None]:
    """Take a node in."""
    yield Ask("add_node", AddNode(node_id=node_id, address=address, peer_address=peer_address, replica=replica))


def remove(node_id: str) -> Plan[None]:
    """Let a node go."""
    yield Ask("remove_node", ByNode(node_id=node_id))


def transfer(node_id: str | None) -> Plan[str]:
    """Have another node lead."""
    return str((yield Ask("cluster_transfer", Transfer(node_id=node_id or ""))).leader)


def events(timeout_s: float | None) -> Ask:
    """What happens from now on."""
    return Ask("cluster_events", ClusterEvents(timeout_s=timeout_s))
