"""What open collections share: memory and threads, with those of other databases too; parking with those of one."""

from __future__ import annotations

from os import cpu_count
from threading import Semaphore
from typing import Final

from blockdb.config import DatabaseConfig
from blockdb.storage.background import Crew
from blockdb.storage.cache import CacheRoom
from blockdb.storage.memory import IndexBudget, MemtableBudget
from blockdb.storage.parking import ParkingLot
from blockdb.storage.surroundings import MACHINE, Surroundings
from blockdb.storage.table_makers import TableMakers

FLUSHERS: Final = 2
"""Threads that write memtables: while one is at a large one, the writers of other collections need not wait."""

SEALERS: Final = max(2, cpu_count() or 2)
"""Processes that close blocks beside their writers: more would wait for each other, and each takes some memory."""


class Means:
    """Memory, threads and processes, made once for a database, or for several. They need no closing: they end by
    themselves.

    Merging has a thread of its own, since no writer waits for it; flushing has others, since writers do.
    """

    def __init__(self, config: DatabaseConfig) -> None:
        self.cache_room = CacheRoom(config.cache_size_limit)
        self.memtables = MemtableBudget(config.memtable_size_limit)
        self.indexes = IndexBudget(config.memtable_size_limit // 4)
        self.sealers = Semaphore(SEALERS)
        self.forcing = Crew("blockdb-force")
        self.flushing = Crew("blockdb-flush", FLUSHERS)
        self.compacting = Crew("blockdb-compact")
        self.indexing = Crew("blockdb-index")
        self.table_makers = TableMakers()


class Commons:
    """Made once for a database, and handed to each of its collections."""

    def __init__(
        self, config: DatabaseConfig, surroundings: Surroundings = MACHINE, means: Means | None = None
    ) -> None:
        """`means` are those that it shares with other databases; None: it has its own."""
        self.surroundings = surroundings
        self.parking = ParkingLot(config.open_collections_limit)
        means = means or Means(config)
        self.cache_room, self.memtables, self.indexes = means.cache_room, means.memtables, means.indexes
        self.sealers, self.forcing, self.flushing = means.sealers, means.forcing, means.flushing
        self.compacting, self.indexing = means.compacting, means.indexing
        self.table_makers = means.table_makers
