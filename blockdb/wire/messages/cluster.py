"""A cluster: who is in it, and what happens."""

from __future__ import annotations

from typing import ClassVar

from blockdb.nodes import ClusterEvent, ClusterState, PartitionMove, PartitionState, StreamGroup
from blockdb.wire.operation import Message


class ClusterNode(Message, kw_only=True):
    """A node of a cluster."""

    id: str
    address: str
    state: str
    last_heartbeat: str


class ClusterStatus(Message, kw_only=True):
    """Who leads the cluster, and who is in it.

    With the engine `jetstream` also which node holds which partition, how far those are that this one holds, and the
    Raft groups of NATS; these fields are left out otherwise.
    """

    leaves_out: ClassVar[bool] = True

    cluster_id: str
    node_id: str
    state: str
    term: int
    leader: str
    nodes: list[ClusterNode]
    engine: str | None = None
    partitions: list[PartitionState] | None = None
    groups: list[StreamGroup] | None = None


class ClusterHealth(Message, kw_only=True):
    """Whether the cluster can answer."""

    status: str
    active_nodes: int
    total_nodes: int


class AddNode(Message, kw_only=True):
    """A node that is to belong to the cluster; `address` is where it serves its users.

    Where it talks to other nodes is `peer_address`, or the same with a port 1,000 higher.
    """

    node_id: str
    address: str
    peer_address: str = ""
    replica: bool = False


class ByNode(Message, kw_only=True):
    """A request about one node."""

    node_id: str


class ClusterMembers(Message, kw_only=True):
    """All that the node which is asked knows of the cluster."""

    cluster: ClusterState


class ClusterPartitions(Message, kw_only=True):
    """Which node holds which partition, and how far each of them is."""

    partitions: list[PartitionState]
    groups: list[StreamGroup]


class Rebalance(Message, kw_only=True):
    """Have partitions spread evenly over the nodes; with `dry_run`, say what would move."""

    dry_run: bool = False


class Rebalanced(Message, kw_only=True):
    """What has moved, or would."""

    moves: list[PartitionMove]


class Transfer(Message, kw_only=True):
    """Have this node lead; empty: the one that has the most of the log."""

    node_id: str = ""


class Transferred(Message, kw_only=True):
    """Who leads now."""

    leader: str


class ClusterEvents(Message, kw_only=True):
    """What happens from now on, for so long."""

    timeout_s: float | None = None


class Happened(Message, kw_only=True):
    """Something happened in the cluster; None: nothing did for a while."""

    event: ClusterEvent | None = None
