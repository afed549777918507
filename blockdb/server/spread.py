"""The partitions of a cluster as a node sees them, and what is done about where they are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

from blockdb.cluster.partitions.database import PartitionedDatabase
from blockdb.cluster.partitions.engine import ROOT
from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.errors import BlockDBError
from blockdb.format.consensus import Member, Members
from blockdb.nodes import ClusterState, NodeState, PartitionMove, PartitionState, StreamGroup
from blockdb.server import membership
from blockdb.server.membership import state_of
from blockdb.server.reaching import Reaching

__all__ = ["Spread"]

log: Final = logging.getLogger("blockdb.server.cluster")

MOST_ASKED: Final = 8
"""So many nodes are asked at the same time."""


class Spread:
    """Safe for threads."""

    def __init__(
        self,
        database: PartitionedDatabase,
        reach: Reaching,
        groups: Callable[[], tuple[StreamGroup, ...]] = tuple,
        forget: Callable[[str], None] = lambda node_id: None,
    ) -> None:
        """`groups` are the Raft groups of the engine, as far as it tells of them; `forget` has it forget a node."""
        self._database = database
        self._reach = reach
        self._groups = groups
        self._forget = forget

    def state(self) -> ClusterState:
        """The cluster as this node sees it: of the partitions that it holds how far they are, of others who does."""
        logs = self._database.partition_logs()
        rosters = self._database.engine.rosters()
        names = sorted({*logs, *rosters}, key=lambda name: (name != ROOT, *self._database.collection_of(name), name))
        found = tuple(self._partition(name, logs.get(name), rosters.get(name)) for name in names)
        return replace(state_of(logs[ROOT].status()), partitions=found, groups=self._groups())

    def _partition(self, name: str, log: ReplicatedLog | None, roster: Members | None) -> PartitionState:
        collection, number = self._database.collection_of(name)
        if log is None:
            nodes = tuple(map(_unseen, () if roster is None else roster.all))
            return PartitionState(name, collection, number, False, "", 0, 0, 0, 0, nodes)
        told = state_of(log.status())
        return PartitionState(
            name, collection, number, True, told.leader, told.term, told.first_index, told.last_index, told.commit,
            told.members,
        )  # fmt: skip

    def everywhere(self) -> tuple[PartitionState, ...]:
        """All partitions, as those see them who hold them. Who does not answer is passed over."""
        found = {each.name: each for each in self.state().partitions}
        missing = [each for each in found.values() if not each.is_held]
        if missing:
            addresses = sorted({node.address for each in missing for node in each.nodes})
            with ThreadPoolExecutor(min(MOST_ASKED, len(addresses) or 1), "blockdb-asking") as asking:
                for told in asking.map(self._told_by, addresses):
                    _take(found, told)
        return tuple(found.values())

    def _told_by(self, address: str) -> Sequence[PartitionState]:
        try:
            database: Any = self._reach([address], "Local")
            told: ClusterState = database.cluster.state()
        except BlockDBError:
            return ()
        return told.partitions

    def rebalance(self, *, dry_run: bool) -> list[PartitionMove]:
        """Spread partitions evenly over the nodes; gives what has moved, or would. Raises Unavailable."""
        moves = self._database.rebalance(dry_run=dry_run)
        return [PartitionMove(self._label(each.partition), each.add, each.remove) for each in moves]

    def remove(self, id_: str) -> None:
        """Let a node go, once others hold what it held. Raises InvalidData, Unavailable."""
        membership.check_member(self._database.log, id_)
        self._database.remove_node(id_)
        try:
            self._forget(id_)
        except BlockDBError as error:
            log.warning("the server of %s is still counted by the others: %s", id_, error)

    def _label(self, partition: str) -> str:
        collection, number = self._database.collection_of(partition)
        return f"{collection}:{number}" if collection else partition


def _take(found: dict[str, PartitionState], told: Iterable[PartitionState]) -> None:
    for each in told:
        if each.is_held and each.name in found and not found[each.name].is_held:
            found[each.name] = replace(each, is_held=False)


def _unseen(member: Member) -> NodeState:
    """A holder of which nothing is known here but that it is one."""
    role = member.role.name.lower()
    return NodeState(member.id, member.address, member.peer_address, role, "", 0, 0, 0, 0, 0, "", None)
