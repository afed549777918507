"""The database of a node is set aside, so that it gets a copy from the others: what `blockdb cluster rebuild` does."""

from __future__ import annotations

from pathlib import Path

from blockdb.cluster.consensus import papers
from blockdb.cluster.consensus.disk import DiskLog
from blockdb.cluster.machine.snapshots import set_aside, settle
from blockdb.errors import InvalidData
from blockdb.layout import DatabaseFiles
from blockdb.storage.door import Door

__all__ = ["give_up_database"]


def give_up_database(root: Path, door: Door | None = None) -> Path:
    """Set the database of a node that does not run aside, and give the directory where it is kept.

    When the node is started, it gets a copy from another one, or makes it again from its log if that goes back to the
    beginning. The log stays as it is, and with it what the node has promised. Raises InvalidData where the directory
    is no node's, or the node is the only one that counts; DatabaseLocked, Corruption, StorageError.
    """
    door, files = door or Door(), DatabaseFiles(root)
    if door.inode(files.raft.id) is None:
        raise InvalidData(f"{root} belongs to no node of a cluster, so nobody has a copy of it. Try `verify --repair`.")
    lock = door.lock(files.lock)
    try:
        _insist_on_others(door, files)
        settle(door, files)
        return set_aside(door, files)
    finally:
        door.unlock(lock)


def _insist_on_others(door: Door, files: DatabaseFiles) -> None:
    """Raise InvalidData unless another node has a copy of what is decided."""
    cluster, node = papers.owner_of(door, files.raft)
    log = DiskLog.open(door, files.raft, cluster, node, must_exist=True)
    try:
        voters = log.members().voters
    finally:
        log.close()
    if not voters - {node}:
        raise InvalidData(
            f"No other node counts in the cluster {cluster}, so this one has the only copy. Try `verify --repair`."
        )
