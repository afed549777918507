"""What it takes: bytes on disk for each byte of data, and memory while a great many records are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from .commits import commits
from .data import Data
from .lines import Finding, Goal, Line, Session, rest, takers
from .memory import peaks
from .prepared import fill, records, scratch
from .stores import Peer, Setup

__all__ = ["SESSIONS"]

COMMITS: Final = 13_000
MEMORY_RECORDS: Final = 10_000_000
MEMORY_LIMIT_MB: Final = 100 + (64 << 20) / 1e6 + 2 * MEMORY_RECORDS / 1e6
"""100 MB, the memtable's limit as it comes, and 2 bytes a key."""

DISK: Final = Line("disk, no compression", "B/B", (Goal(1.3),))
DISK_COMMITS: Final = Line("disk, JSON commits, compressed", "B/B", (Goal(0.6),))
MEMORY: Final = Line("memory, writing 10 M records", "MB", (Goal(MEMORY_LIMIT_MB),))
MEMORY_OWN: Final = Line("  without mapped files", "MB")
MEMORY_HELPERS: Final = Line("  of all its helper processes", "MB")


def disk(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """All files of a database that was written, flushed and closed."""
    yield Finding(DISK, disk_bytes(records(peer, directory, data)) / data.data_bytes)


def disk_of_commits(peer: Peer, directory: Path, data: Data) -> Iterator[Finding]:
    """All files of a database of JSON documents, compressed, compacted and closed."""
    pairs = list(commits(min(COMMITS, len(data.pairs))))
    with scratch(directory) as path:
        with closing(peer.open(path, Setup(compression=True))) as store:
            fill(store, pairs)
            store.compact()
        yield Finding(DISK_COMMITS, disk_bytes(path) / sum(len(key) + len(value) for key, value in pairs))


def disk_bytes(path: Path) -> int:
    """What the files in a directory take on the disk, which is more than their length where space is set aside."""
    rest()
    return sum(file.stat().st_blocks * 512 for file in path.rglob("*") if file.is_file())


def memory(directory: Path, _: Data) -> Iterator[Finding]:
    """A process of its own writes random records; what it needs beyond an interpreter that imported BlockDB."""
    with scratch(directory) as path:
        found = peaks(path, MEMORY_RECORDS)
    yield Finding(MEMORY, found.resident_mb)
    yield Finding(MEMORY_OWN, found.own_mb)
    yield Finding(MEMORY_HELPERS, found.helpers_mb)


SESSIONS: Final = (
    Session((DISK,), takers(disk, "BlockDB", "RocksDB", "LMDB")),
    Session((DISK_COMMITS,), takers(disk_of_commits, "BlockDB", "RocksDB")),
    Session((MEMORY, MEMORY_OWN, MEMORY_HELPERS), {"BlockDB": memory}, on_request=True),
)
