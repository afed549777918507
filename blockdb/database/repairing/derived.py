"""Metadata of collections that were lost or do not fit any more, from what the chains tell: for repairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from blockdb.config import DatabaseConfig
from blockdb.database.repairing.rebuilding import events_told
from blockdb.database.schemas import SCHEMA_SET
from blockdb.documents.schema import Schema
from blockdb.documents.values import encode
from blockdb.errors import InvalidData
from blockdb.format import record, segment
from blockdb.format.place import place_of
from blockdb.layout import CollectionFiles, DatabaseFiles
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door
from blockdb.storage.metadata import Metadata, SchemaEntry

Told = Mapping[str, Mapping[int, SchemaEntry]]
"""Schemas that the journal tells of: by the id of their collection, and by version."""


def derive_metadata(door: Door, files: CollectionFiles, name: str, collection_id: str) -> Metadata:
    """What the chain tells of its collection. The size of blocks is that of the first one, if there is one."""
    metadata = Metadata(collection_id, name, 0, DatabaseConfig().blockchain_batch_size, encrypted=door.is_sealing)
    chain = Chain(door, files, metadata.uuid)
    created_ms, redactable = 0, False
    for _, _, frame in chain.walk(segment.HEADER_BYTES, place_of(0, chain.used(0))):
        if isinstance(frame, record.RecordFrame):
            created_ms, redactable = created_ms or frame.time_ms, frame.kind == record.REDACTABLE
        else:
            metadata = replace(metadata, blockchain_batch_size=frame.header.records)
            break
    return replace(metadata, created_at=created_ms // 1000, redactable=redactable)


def with_schemas(metadata: Metadata, told: Told, records: int) -> Metadata:
    """The same with the schemas of which the journal tells, and others that it has, which are told of later.

    `records` are left: those that come are under its last schema.
    """
    merged = {entry.version: replace(entry, is_told=False) for entry in metadata.schemas}
    for version, entry in told.get(metadata.id, {}).items():
        own = merged.get(version, entry)
        is_same = Schema.from_json(own.schema) == Schema.from_json(entry.schema)
        merged[version] = replace(own, is_told=True) if is_same else entry
    entries = [replace(entry, first_sequence=min(entry.first_sequence, records)) for _, entry in sorted(merged.items())]
    return replace(metadata, schemas=tuple(entries))


def schemas_told(door: Door, files: DatabaseFiles) -> Told:
    """The schemas that the journal tells of, as far as it can be read."""
    told: defaultdict[str, dict[int, SchemaEntry]] = defaultdict(dict)
    for event in events_told(door, files):
        if event["event"] == SCHEMA_SET:
            with suppress(InvalidData, KeyError, TypeError):
                text = encode(Schema.from_json(event["schema"]).to_json()).decode()
                known = {name: event[name] for name in ("version", "first_sequence", "time_ms", "by")}
                told[event["collection"]][event["version"]] = SchemaEntry(**known, schema=text, is_told=True)
    return told
