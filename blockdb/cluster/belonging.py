"""Which node of which cluster a directory belongs to, and by which engine its cluster agrees."""

from __future__ import annotations

from typing import Final

from blockdb.database.creation import make_root
from blockdb.errors import ConfigError
from blockdb.layout import DatabaseFiles
from blockdb.storage.door import Door
from blockdb.storage.manifest import load_checked, save_checked

__all__ = ["claim", "engine_of"]

_ID: Final = "jetstream id"


def engine_of(files: DatabaseFiles) -> str | None:
    """`raft` or `jetstream`; None where the directory belongs to no cluster."""
    if files.raft.id.exists():
        return "raft"
    return "jetstream" if files.nats.id.exists() else None


def claim(door: Door, files: DatabaseFiles, cluster_id: str, node_id: str) -> bool:
    """Write that a directory belongs to a node of a cluster with the engine `jetstream`; whether nobody had before.

    Raises ConfigError where it belongs to another one, Corruption, StorageError.
    """
    wanted = {"cluster_id": cluster_id, "node_id": node_id}
    if not files.nats.id.exists():
        make_root(door, files.nats.root)
        save_checked(door, files.nats.id, _ID, wanted)
        return True
    found = load_checked(door, files.nats.id, _ID)
    if any(found.get(key) != value for key, value in wanted.items()):
        raise ConfigError(
            f"{files.root} belongs to the node {found.get('node_id')!r} of the cluster {found.get('cluster_id')!r}, "
            f"and this is {node_id!r} of {cluster_id!r}. Start the node that it belongs to, or give this one a "
            "directory of its own."
        )
    return False
