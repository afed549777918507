"""The operations about a cluster. Who leads and who is in it, everybody who may read is told."""

from __future__ import annotations

from typing import Final

from blockdb.security.roles import Right
from blockdb.wire.messages import cluster, plain
from blockdb.wire.operation import Kind, Nothing, Operation
from blockdb.wire.reaching import of_database, of_nobody

__all__ = ["CLUSTER"]

CLUSTER: Final = (
    Operation(
        "cluster_status", "GET", "/cluster/status", Right.READ, of_nobody, Nothing, cluster.ClusterStatus,
        "Who leads the cluster, and who is in it.", is_plain=True, is_monitoring=True,
    ),
    Operation(
        "cluster_health", "GET", "/cluster/health", Right.READ, of_nobody, Nothing, cluster.ClusterHealth,
        "Whether the cluster can answer.", is_plain=True, is_monitoring=True,
    ),
    Operation(
        "cluster_members", "GET", "/cluster/members", Right.READ, of_nobody, Nothing, cluster.ClusterMembers,
        "All that a node knows of the cluster and its log.", is_monitoring=True,
    ),
    Operation(
        "add_node", "POST", "/cluster/add", Right.OPERATE, of_database, cluster.AddNode, plain.Told, "Add a node.",
    ),
    Operation(
        "remove_node", "DELETE", "/cluster/remove/{node_id}", Right.OPERATE, of_database, cluster.ByNode, plain.Told,
        "Remove a node.", is_long=True,
    ),
    Operation(
        "cluster_transfer", "POST", "/cluster/transfer", Right.OPERATE, of_database, cluster.Transfer,
        cluster.Transferred, "Have another node lead.",
    ),
    Operation(
        "cluster_partitions", "GET", "/cluster/partitions", Right.READ, of_nobody, Nothing, cluster.ClusterPartitions,
        "Which node holds which partition, and how far it is.", is_monitoring=True,
    ),
    Operation(
        "cluster_rebalance", "POST", "/cluster/rebalance", Right.OPERATE, of_database, cluster.Rebalance,
        cluster.Rebalanced, "Spread partitions evenly over the nodes.", is_long=True,
    ),
    Operation(
        "cluster_events", "GET", "/cluster/events", Right.READ, of_nobody, cluster.ClusterEvents, cluster.Happened,
        "What happens in the cluster, as it happens.", kind=Kind.ANSWERS, is_long=True,
    ),
)  # fmt: skip
