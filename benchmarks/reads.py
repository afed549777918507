"""Reading: from tables and from memory, what is not there, everything, and the beginning of a range."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from .data import Data
from .lines import Finding, Goal, Line, Session, exhaust, rest, takers, timed
from .prepared import all_in_memory, fill, in_tables, opened, scratch
from .stores import Peer, Store

__all__ = ["SESSIONS"]

RANGE_RECORDS: Final = 100

GET_TABLES: Final = Line("get from tables, warm", "k/s", (Goal(1.1, ("LMDB",)), Goal(2.5, ("RocksDB",))))
GET_MEMORY: Final = Line("get from memory", "k/s", (Goal(1.2, ("LMDB",)), Goal(2.5, ("RocksDB",))))
MISSES: Final = Line("misses, ten tables", "k/s", (Goal(3, ("RocksDB",)),))
SCAN_COMPACTED: Final = Line("scan all, compacted", "k/s", (Goal(0.7, ("RocksDB",)),))
SCAN_FOUR: Final = Line("scan all, four tables", "k/s", (Goal(0.5, ("RocksDB",)),))
FIRST: Final = Line("first 100 of a range", "µs", (Goal(3, ("LMDB",)),))


def warm(line: Line, store: Store, data: Data) -> Finding:
    """One pass that brings everything near, and one that is measured."""
    exhaust(map(store.get, data.present))
    return timed(line, len(data.present), lambda: map(store.get, data.present))


def get_from_tables(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Random records from the tables that writing left behind."""
    with opened(peer, directory, data) as store:
        yield warm(GET_TABLES, store, data)


def get_from_memory(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Random records that no table has yet."""
    with scratch(directory) as path, closing(peer.open(path, all_in_memory(data))) as store:
        fill(store, data.pairs)
        assert store.tables() == 0, f"{peer.name} has written tables"
        rest()
        yield warm(GET_MEMORY, store, data)


def read_back(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """The same for a database that knows no difference."""
    with opened(peer, directory, data) as store:
        yield warm(GET_MEMORY, store, data)


def misses(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Whether keys exist that do not: what every duplicate check asks."""
    with in_tables(peer, directory, data, 10) as store:
        exhaust(map(store.exists, data.absent))
        yield timed(MISSES, len(data.absent), lambda: map(store.exists, data.absent))


def scans(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """Every record in key order, from four tables and then from what compaction makes of them."""
    with in_tables(peer, directory, data, 4) as store:
        yield scan(SCAN_FOUR, store, data)
        store.compact()
        rest()
        yield scan(SCAN_COMPACTED, store, data)


def scan(line: Line, store: Store, data: Data) -> Finding:
    """One scan that counts, and one that is measured."""
    assert sum(1 for _ in store.scan()) == len(data.pairs)
    return timed(line, len(data.pairs), store.scan)


def scan_once(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """The same for a database whose records are always in one place."""
    with opened(peer, directory, data) as store:
        yield scan(SCAN_COMPACTED, store, data)


def ranges(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """The first records from a random key on."""
    with opened(peer, directory, data) as store:
        lists = (list(store.first(start, RANGE_RECORDS)) for start in data.starts)
        yield timed(FIRST, len(data.starts), lambda: lists)


SESSIONS: Final = (
    Session((GET_TABLES,), takers(get_from_tables, "BlockDB", "RocksDB", "LMDB", "LMDB one transaction")),
    Session(
        (GET_MEMORY,),
        takers(get_from_memory, "BlockDB", "RocksDB") | takers(read_back, "LMDB", "LMDB one transaction"),
    ),
    Session((MISSES,), takers(misses, "BlockDB", "RocksDB")),
    Session((SCAN_COMPACTED, SCAN_FOUR), takers(scans, "BlockDB", "RocksDB") | takers(scan_once, "LMDB")),
    Session((FIRST,), takers(ranges, "BlockDB", "LMDB", "RocksDB")),
)
