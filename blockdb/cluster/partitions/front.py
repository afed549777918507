"""Between the handles of a partition's database and its log."""

from __future__ import annotations

from blockdb.cluster.database.context import concern, reading
from blockdb.cluster.database.front import Front
from blockdb.cluster.machine.machine import Machine
from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.database.database import Database

__all__ = ["PartitionFront"]


class PartitionFront(Front):
    """That a node is up to date with `root`, which a request may have waited for, says nothing about a partition.

    What a partition signs stands below the name of the whole database, whose key it signs with: so that key speaks for
    it, and the origin of a chain says of which partition of which collection it is.
    """

    def __init__(self, log: ReplicatedLog, machine: Machine, patience_s: float, name: str) -> None:
        """`name` is under which it signs."""
        self._name = name
        super().__init__(log, machine, patience_s)

    def _take(self, database: Database) -> None:
        database._core.notary.sign_as(self._name)
        super()._take(database)

    def confirm(self) -> None:
        """Before a read: as `Front.confirm`, whatever was confirmed before, unless the read may be `Local`."""
        with reading(concern()):
            super().confirm()
