"""Making anew what follows from chains that another backup has gone on with, or that were cut."""

from __future__ import annotations

from collections.abc import Sequence

from blockdb.database.repairing.rebuilding import Extent, rebuild_indexes, rebuild_tables
from blockdb.documents.indexing import IndexDefinition
from blockdb.errors import Corruption
from blockdb.format.place import place_of
from blockdb.layout import CollectionFiles
from blockdb.storage import index_list
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door
from blockdb.storage.metadata import Metadata, load_metadata
from blockdb.storage.recovery import read_mark


def end_of(door: Door, files: CollectionFiles, metadata: Metadata) -> int:
    """The place at which a chain ends: as its mark says, or with its last byte."""
    mark = read_mark(door, files.mark, metadata.uuid)
    if not isinstance(mark, str):
        return mark.written
    chain = Chain(door, files, metadata.uuid)
    last = chain.segments() - 1
    return place_of(last, chain.used(last))


def rebuild(
    door: Door, files: CollectionFiles, metadata: Metadata, end: int, indexes: Sequence[IndexDefinition] | None = None
) -> int:
    """Write tables and indexes over the whole chain; gives how many records there are. O(n log n), O(1) of memory.

    `indexes` are those that there are to be; None: those that are listed. Raises Corruption, StorageError.
    """
    if indexes is None:
        stored = index_list.load(door, files, metadata.id)
        indexes = [index.definition for index in stored.indexes]
    for directory in (files.tables, files.indexes):
        door.remove_tree(directory)
    for path in (files.manifest, files.index_list, files.nodes):
        door.remove(path)
    door.make_directory(files.tables)
    records = rebuild_tables(door, files, metadata, end)
    if indexes:
        rebuild_indexes(door, files, metadata, indexes, Extent(records, end))
    return records


def rebuild_if_sound(door: Door, files: CollectionFiles) -> None:
    """The same where all can be read that it takes: what is wrong where it cannot, the audit says."""
    try:
        metadata = load_metadata(door, files.metadata)
        rebuild(door, files, metadata, end_of(door, files, metadata))
    except Corruption:
        return
