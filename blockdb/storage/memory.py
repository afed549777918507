"""The memory for records that are in no table yet: one limit for the memtables of all collections of a database."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from threading import Lock
from typing import Final, Protocol

from blockdb.lsm.memtable import Memtable

PARTS: Final = 4
"""Once less than one of so many parts is free, or about to be, the largest memtables are written to tables.

As much is shared out among all collections, half of it for memtables that are being written, so that each has a little,
however much others keep that cannot be flushed: the limit is passed by that part at most.
"""


class Tenant(Protocol):
    """A collection with memtables."""

    @property
    def memtables(self) -> tuple[Memtable, ...]:
        """The one that is being filled, and those that wait to be flushed: as they are at one moment."""

    @property
    def is_failing(self) -> bool:
        """Whether they cannot be flushed."""

    def relieve(self) -> None:
        """Have the memtable that is being filled flushed soon, beside its writer."""


class MemtableBudget:
    """Allows memtables to grow. Safe for threads; its lock is held for short, and nothing is waited for under it.

    A writer asks when its memtable has grown to what it was allowed, so `put` compares two numbers, however many
    collections there are. A memtable may double each time, up to half of the limit: one fills while another is written.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._tenants: set[Tenant] = set()
        self._changing = Lock()

    @property
    def share_bytes(self) -> int:
        """How large a memtable gets where there is no other."""
        return self._limit_bytes // 2

    @property
    def used_bytes(self) -> int:
        """What all memtables take, about. O(collections)."""
        with self._changing:
            return sum(memtable.size_bytes for tenant in self._tenants for memtable in tenant.memtables)

    def ask(self, tenant: Tenant) -> None:
        """Allow a memtable to grow further, if it may: else its `allowed_bytes` are what it takes by now.

        Where memory runs low, the largest memtables of all are flushed meanwhile. O(collections).
        """
        with self._changing:
            self._tenants.add(tenant)
            memtable = tenant.memtables[0]
            size = memtable.size_bytes
            wanted = min(max(size, self._least_bytes), self.share_bytes - size)
            free = self._free_bytes()
            if free < wanted:
                self._take_back()
                free = self._free_bytes()
            granted = max(min(wanted, free), self._least_bytes - size, 0)
            memtable.allowed_bytes = size + granted
            self._relieve(free - granted)

    def leave(self, tenant: Tenant) -> None:
        """Forget a tenant, whose memtables go."""
        with self._changing:
            self._tenants.discard(tenant)

    @property
    def _least_bytes(self) -> int:
        """What every memtable may take."""
        return self._limit_bytes // (2 * PARTS * max(len(self._tenants), 1))

    def _free_bytes(self) -> int:
        return self._limit_bytes - sum(map(_held_bytes, self._tenants))

    def _take_back(self) -> None:
        """Take back what was allowed and is not used; who needs it asks again with the next write."""
        for tenant in self._tenants:
            memtable = tenant.memtables[0]
            memtable.allowed_bytes = min(memtable.allowed_bytes, memtable.size_bytes)

    def _relieve(self, free: int) -> None:
        healthy = [(tenant.memtables, tenant) for tenant in self._tenants if not tenant.is_failing]
        missing = self._limit_bytes // PARTS - free - sum(_frozen_bytes(memtables) for memtables, _ in healthy)
        idle = [(memtables[0].size_bytes, tenant) for memtables, tenant in healthy if len(memtables) == 1]
        for size, tenant in sorted(idle, key=itemgetter(0), reverse=True):
            if missing <= 0 or size < self._least_bytes:
                return
            tenant.relieve()
            missing -= size


def _held_bytes(tenant: Tenant) -> int:
    memtables = tenant.memtables
    return max(memtables[0].allowed_bytes, memtables[0].size_bytes) + _frozen_bytes(memtables)


def _frozen_bytes(memtables: Sequence[Memtable]) -> int:
    return sum(memtable.size_bytes for memtable in memtables[1:])


class IndexBudget:
    """The memory for entries of indexes that are in no file yet: shared out evenly among collections that have any."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._owners: set[object] = set()

    def share_of(self, owner: object) -> int:
        """How much each index of a collection may take. O(1)."""
        self._owners.add(owner)
        return self._limit_bytes // len(self._owners)

    def discard(self, owner: object) -> None:
        """It has none any more."""
        self._owners.discard(owner)
