"""What collections are and hold, told without opening those that nobody uses."""

from __future__ import annotations

from typing import NamedTuple

from blockdb.database.catalog import Catalog
from blockdb.documents.schema import Schema
from blockdb.storage.door import guarded
from blockdb.types import CollectionInfo, CollectionStats


class TotalStats(NamedTuple):
    """All collections of users together."""

    collections: int
    documents: int
    size_bytes: int
    """Keys and values."""


def stats_of(catalog: Catalog, collection_id: str) -> CollectionStats:
    """How much a collection holds: counted from the chain, so exact whatever became of the process that wrote it.

    O(1) for one that is open or was looked at since it changed, else O(its log since the last flush). Raises
    CollectionNotFound, DatabaseClosed, Corruption, StorageError.
    """
    metadata = catalog.metadata(collection_id)
    with guarded("reading the figures of a collection"):
        found = catalog.figures(collection_id)
        expired = 0
        if metadata.settings.ttl_seconds is not None and found.records:
            reader = catalog.reader(collection_id)
            reader.refresh()
            expired = reader.expired().records
        return CollectionStats(
            document_count=found.records - expired,
            total_size_bytes=found.data_bytes,
            index_size_bytes=catalog.index_bytes(collection_id),
            last_updated=metadata.created_at if found.last_time_ms is None else found.last_time_ms // 1000,
            operations_count=found.records,
        )


def info_of(catalog: Catalog, collection_id: str) -> CollectionInfo:
    """What a collection is, and what it holds at this moment. Costs and raises as `stats_of`."""
    metadata = catalog.metadata(collection_id)
    return CollectionInfo(
        id=metadata.id,
        name=metadata.name,
        description=metadata.description,
        created_at=metadata.created_at,
        created_by=metadata.created_by,
        settings=metadata.settings,
        stats=stats_of(catalog, collection_id),
        schema=Schema.from_json(metadata.schemas[-1].schema).to_json() if metadata.schemas else None,
    )
