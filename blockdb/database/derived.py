"""Metadata of collections that were lost or do not fit any more, from what the chains tell: for repairs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from blockdb.config import DatabaseConfig
from blockdb.database.rebuilding import events_told
from blockdb.database.schemas import SCHEMA_SET
from blockdb.documents.schema import Schema
from blockdb.documents.values import encode
from blockdb.errors import InvalidData
from blockdb.format import record, segment
from blockdb.format.place import place_of
from blockdb.layout import DatabaseFiles
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door
from blockdb.storage.metadata import Metadata, SchemaEntry


def derive_metadata(door: Door, files: DatabaseFiles, name: str, collection_id: str) -> Metadata:
    """What the chain tells of its collection, and the journal of its schemas.

    The size of blocks is that of the first one, if there is one.
    """
    metadata = Metadata(collection_id, name, 0, DatabaseConfig().blockchain_batch_size, encrypted=door.is_sealing)
    chain = Chain(door, files.collection(collection_id), metadata.uuid)
    created_ms, redactable = 0, False
    for _, _, frame in chain.walk(segment.HEADER_BYTES, place_of(0, chain.size(0))):
        if isinstance(frame, record.RecordFrame):
            created_ms, redactable = created_ms or frame.time_ms, frame.kind == record.REDACTABLE
        else:
            metadata = replace(metadata, blockchain_batch_size=frame.header.records)
            break
    schemas = _schemas_told(door, files, collection_id)
    return replace(metadata, created_at=created_ms // 1000, redactable=redactable, schemas=schemas)


def fitted(metadata: Metadata, records: int) -> Metadata:
    """The same for a collection of which no more records are left: those that come are under its last schema."""
    entries = tuple(replace(entry, first_sequence=min(entry.first_sequence, records)) for entry in metadata.schemas)
    return metadata if entries == metadata.schemas else replace(metadata, schemas=entries)


def _schemas_told(door: Door, files: DatabaseFiles, collection_id: str) -> tuple[SchemaEntry, ...]:
    """The schemas of a collection that the journal tells of, as far as it can be read."""
    entries: dict[int, SchemaEntry] = {}
    for event in events_told(door, files):
        if event["event"] == SCHEMA_SET and event.get("collection") == collection_id:
            with suppress(InvalidData, KeyError, TypeError):
                text = encode(Schema.from_json(event["schema"]).to_json()).decode()
                version = event["version"]
                entries[version] = SchemaEntry(
                    version, event["first_sequence"], event["time_ms"], event["by"], text, True
                )
    return tuple(entries[version] for version in sorted(entries))
