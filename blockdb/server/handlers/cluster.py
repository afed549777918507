"""The cluster that a node belongs to. One that stands alone answers as a cluster of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from queue import Empty, SimpleQueue
from typing import Final

from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.errors import InvalidData
from blockdb.nodes import ClusterEvent, ClusterState, NodeState
from blockdb.server import membership
from blockdb.server.figures import time_text
from blockdb.server.handlers.records import IDLE_S
from blockdb.server.service import Service, Session
from blockdb.wire.messages import cluster, plain
from blockdb.wire.operation import Nothing

MOST_WAITING: Final = 10_000
"""Events wait for whoever listens; of more, the oldest are passed over."""


def _state(service: Service) -> ClusterState:
    """The cluster as this node sees it."""
    if (found := service.cluster()) is not None:
        return found
    name, now_ms = service.node_id, service.now_ms()
    node = NodeState(name, service.address, "", "voter", "Leader", now_ms, 0, 0, 0, 0, "", None)
    return ClusterState(name, name, "lone", "Leader", 0, name, 0, 0, 0, 0, 0, 0, "", (node,))


def _log(session: Session) -> ReplicatedLog:
    if session.service.log is None:
        raise InvalidData(
            "This server stands alone and belongs to no cluster: no node can be added or removed, and none else leads. "
            "docs/CLUSTER.md says how one is started."
        )
    return session.service.log


def status(session: Session, request: Nothing) -> cluster.ClusterStatus:
    """Who leads, and who is in it."""
    found = _state(session.service)
    return cluster.ClusterStatus(
        cluster_id=found.cluster_id,
        node_id=found.node_id,
        state=found.state,
        term=found.term,
        leader=found.leader,
        nodes=[_node(member) for member in found.members],
        engine=found.engine if found.partitions else None,
        partitions=list(found.partitions) or None,
        groups=list(found.groups) if found.partitions else None,
    )


def _node(member: NodeState) -> cluster.ClusterNode:
    heard = time_text(member.last_heard_ms) if member.last_heard_ms else ""
    return cluster.ClusterNode(id=member.id, address=member.address, state=member.state, last_heartbeat=heard)


def health(session: Session, request: Nothing) -> cluster.ClusterHealth:
    """Whether it can answer."""
    found = _state(session.service)
    return cluster.ClusterHealth(status=found.health, active_nodes=found.active_nodes, total_nodes=len(found.members))


def members(session: Session, request: Nothing) -> cluster.ClusterMembers:
    """All that this node knows of it."""
    return cluster.ClusterMembers(cluster=_state(session.service))


def partitions(session: Session, request: Nothing) -> cluster.ClusterPartitions:
    """Which node holds which partition: what this one does not know, it asks others for."""
    found, spread = _state(session.service), session.service.spread
    if spread is None or session.principal.is_node:
        return cluster.ClusterPartitions(partitions=list(found.partitions), groups=list(found.groups))
    return cluster.ClusterPartitions(partitions=list(spread.everywhere()), groups=list(found.groups))


def rebalance(session: Session, request: cluster.Rebalance) -> cluster.Rebalanced:
    """Spread partitions evenly."""
    if session.service.spread is None:
        raise InvalidData(
            "Nothing is spread over nodes here, so nothing can be spread more evenly: that takes a cluster with the "
            "engine jetstream. docs/JETSTREAM.md says how one is started."
        )
    return cluster.Rebalanced(moves=session.service.spread.rebalance(dry_run=request.dry_run))


def add(session: Session, request: cluster.AddNode) -> plain.Told:
    """Take a node in."""
    log = _log(session)
    membership.add(log, request.node_id, request.address, request.peer_address, is_replica=request.replica)
    return plain.Told(message="Node added successfully")


def remove(session: Session, request: cluster.ByNode) -> plain.Told:
    """Let a node go."""
    if session.service.spread is not None:
        session.service.spread.remove(request.node_id)
    else:
        membership.remove(_log(session), request.node_id)
    return plain.Told(message="Node removed successfully")


def transfer(session: Session, request: cluster.Transfer) -> cluster.Transferred:
    """Have another node lead."""
    return cluster.Transferred(leader=membership.outcome(_log(session).transfer(request.node_id or None)))


def events(session: Session, request: cluster.ClusterEvents) -> Iterator[cluster.Happened]:
    """What happens from now on; each second without an event it says so, since that shows whether somebody listens."""
    return _events(session, _log(session), request.timeout_s)


def _events(session: Session, log: ReplicatedLog, left: float | None) -> Iterator[cluster.Happened]:
    told: SimpleQueue[ClusterEvent] = SimpleQueue()
    with closing(_Listening(log, told)):
        yield cluster.Happened()
        while not session.call.is_cancelled() and not session.service.is_stopping:
            wait = IDLE_S if left is None else min(IDLE_S, left)
            try:
                yield cluster.Happened(event=told.get(timeout=wait))
            except Empty:
                yield cluster.Happened()
                left = None if left is None else left - wait
            if left is not None and left <= 0:
                return


class _Listening:
    """Takes events as they happen; it is quick, as the log wants it."""

    def __init__(self, log: ReplicatedLog, told: SimpleQueue[ClusterEvent]) -> None:
        self._told = told
        self.close = log.subscribe(self._hear)

    def _hear(self, event: ClusterEvent) -> None:
        if self._told.qsize() < MOST_WAITING:
            self._told.put(event)
