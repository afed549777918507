"""Making a new database directory, so that a process killed at any moment leaves one that opens, or none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blockdb.config import DatabaseConfig
from blockdb.database import encryption
from blockdb.database.proofs import keys
from blockdb.errors import Corruption, DatabaseNotFound, ReadOnly
from blockdb.format import mark, segment
from blockdb.format.mark import Mark
from blockdb.format.sealed import HEADER_BYTES, PIECE_EXTRA_BYTES
from blockdb.format.segment import SegmentHeader
from blockdb.layout import CollectionFiles, DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.settings import CollectionSettings
from blockdb.storage import manifest as manifests
from blockdb.storage.door import Door, guarded
from blockdb.storage.manifest import Manifest
from blockdb.storage.metadata import PREFIX, UNLIMITED, Metadata, save_metadata, save_pending, save_registry
from blockdb.storage.surroundings import MACHINE, Surroundings

DEFAULT_COLLECTION = "default"
"""The collection of plain put and get."""


def create(
    door: Door,
    files: DatabaseFiles,
    config: DatabaseConfig,
    source: MasterKeySource,
    surroundings: Surroundings = MACHINE,
) -> Door:
    """Make what is missing of a database; the registry, which makes it one, comes last. Under the writer's lock.

    Returns the door through which it is to be read and written.
    """
    refuse_foreign(files)
    with guarded("creating the database"):
        for directory in (files.keys, files.registry.parent, files.collections):
            door.make_directory(directory)
        door = encryption.prepared(door, files, config, source)
        keys.create(door, files, surroundings)
        size, redactable = config.blockchain_batch_size, config.redactable
        metadata = new_metadata(door, DEFAULT_COLLECTION, size, redactable=redactable, surroundings=surroundings)
        create_collection(door, files, {}, metadata)
    return door


def make_root(door: Door, path: Path) -> None:
    """Make the directory and those above it that are missing, each on the disk afterwards."""
    missing = [directory for directory in (path, *path.parents) if not directory.is_dir()]
    for directory in reversed(missing):
        door.make_directory(directory)


def force_names(door: Door, files: DatabaseFiles, collection: CollectionFiles) -> None:
    """Force the names of all files to disk, before anything is built on them.

    A writer that was killed between renaming a file and forcing its directory leaves a name that all see, and that a
    power cut would take away again, with whatever was acknowledged since.
    """
    for directory in (files.registry.parent, files.collections, collection.root, collection.chain, collection.tables):
        door.force_directory(directory)
    if door.inode(collection.indexes) is not None:
        door.force_directory(collection.indexes)


def refuse_foreign(files: DatabaseFiles) -> None:
    """Raises where the directory holds something else, or a database that lost its registry."""
    if not files.root.is_dir():
        return
    for chain in files.collections.glob("*/chain/*.chain*"):
        if chain.suffix == ".tmp":  # what a power cut left of it may be anything
            continue
        sealing_bytes = HEADER_BYTES + PIECE_EXTRA_BYTES if encryption.is_sealed(chain) else 0
        if chain.stat().st_size > segment.HEADER_BYTES + sealing_bytes:
            raise Corruption(str(files.registry), None, "the registry is missing, and there are records")
    ours = (files.lock, files.keys, files.registry.parent, files.collections, files.server, files.quarantine)
    known = {path.name for path in (*ours, files.raft.root, files.nats.root, files.partitions)}
    if _is_of_node(files):  # one that gave its database up keeps what it told of itself
        known.add(files.audit_log.root.name)
    foreign = sorted(path.name for path in files.root.iterdir() if path.name not in known)
    if foreign:
        raise DatabaseNotFound(
            f"{files.root} is no database and is not empty (it has {foreign[0]!r}). Choose an empty or a new directory."
        )


def refuse_nodes(files: DatabaseFiles, surroundings: Surroundings) -> None:
    """Raises ReadOnly where the directory is that of a node of a cluster, and it is not the node that asks."""
    if _is_of_node(files) and not surroundings.is_shared:
        raise ReadOnly(
            f"{files.root} belongs to a node of a cluster, which alone writes to it: what others wrote would be on no "
            "other node. Open it with read_only=True, or ask the cluster's servers (--url)."
        )


def _is_of_node(files: DatabaseFiles) -> bool:
    """Whether the directory is that of a node of a cluster."""
    return files.raft.id.exists() or files.nats.id.exists()


def new_metadata(
    door: Door,
    name: str,
    block_records: int,
    *,
    redactable: bool = False,
    settings: CollectionSettings | None = None,
    description: str = "",
    created_by: str = "",
    surroundings: Surroundings = MACHINE,
) -> Metadata:
    """What a new collection is."""
    return Metadata(
        PREFIX + str(surroundings.new_id(f"collection {name}")),
        name,
        surroundings.now_ms() // 1000,
        block_records,
        redactable,
        encrypted=door.is_sealing,
        description=description,
        created_by=created_by,
        settings=settings or UNLIMITED,
    )


def create_collection(
    door: Door,
    files: DatabaseFiles,
    registry: Mapping[str, str],
    metadata: Metadata,
    event: Mapping[str, Any] | None = None,
) -> str:
    """Make a collection and enter it in the registry, which has these already. Returns its id.

    `event` is what the journal is to say of that; its file is left for whoever sees to it.
    """
    collection = files.collection(metadata.id)
    for directory in (collection.root, collection.chain, collection.tables):
        door.make_directory(directory)
    if event is not None:
        save_pending(door, collection.pending, event)
    save_metadata(door, collection.metadata, metadata)
    door.replace(collection.segment(0), segment.encode(SegmentHeader(metadata.uuid, 0, 0)))
    end = segment.HEADER_BYTES
    door.replace(collection.mark, mark.encode(Mark(metadata.uuid, door.boot_id(), end, end, clean=True)))
    manifests.save(door, collection.manifest, Manifest(metadata.id))
    save_registry(door, files.registry, {**registry, metadata.name: metadata.id})
    return metadata.id
