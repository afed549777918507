"""What the open collections of one database share: threads, cache, and memory for memtables."""

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

FLUSHERS: Final = 2
"""Threads that write memtables: while one is at a large one, the writers of other collections need not wait."""

SEALERS: Final = max(2, cpu_count() or 2)
"""Processes that close blocks beside their writers: more would wait for each other, and each takes some memory."""


class Commons:
    """Made once for a database, and handed to each of its collections. It needs no closing: threads end by themselves.

    Merging has a thread of its own, since no writer waits for it; flushing has others, since writers do.
    """

    def __init__(self, config: DatabaseConfig, surroundings: Surroundings = MACHINE) -> None:
        self.surroundings = surroundings
        self.cache_room = CacheRoom(config.cache_size_limit)
        self.memtables = MemtableBudget(config.memtable_size_limit)
        self.indexes = IndexBudget(config.memtable_size_limit // 4)
        self.parking = ParkingLot(config.open_collections_limit)
        self.sealers = Semaphore(SEALERS)
        self.forcing = Crew("blockdb-force")
        self.flushing = Crew("blockdb-flush", FLUSHERS)
        self.compacting = Crew("blockdb-compact")
        self.indexing = Crew("blockdb-index")
