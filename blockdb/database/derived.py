"""Metadata of collections that were lost or do not fit any more, from what the chains tell: for repairs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from blockdb.config import DatabaseConfig
from blockdb.database.schemas import SCHEMA_SET
from blockdb.documents.schema import Schema
from blockdb.documents.values import encode
from blockdb.errors import Corruption, InvalidData
from blockdb.format import record, segment
from blockdb.format.place import place_of
from blockdb.format.walk import DamagedChain
from blockdb.layout import DatabaseFiles
from blockdb.ledger.state import BadState, decode_event
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door
from blockdb.storage.metadata import PREFIX, Metadata, SchemaEntry

DAMAGE: Final = (Corruption, DamagedChain, OSError)


def derive_metadata(
    door: Door, files: DatabaseFiles, name: str, collection_id: str, journal_id: str | None
) -> Metadata:
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
    schemas = _schemas_told(door, files, journal_id, collection_id)
    return replace(metadata, created_at=created_ms // 1000, redactable=redactable, schemas=schemas)


def fitted(metadata: Metadata, records: int) -> Metadata:
    """The same for a collection of which no more records are left: those that come are under its last schema."""
    entries = tuple(replace(entry, first_sequence=min(entry.first_sequence, records)) for entry in metadata.schemas)
    return metadata if entries == metadata.schemas else replace(metadata, schemas=entries)


def _schemas_told(
    door: Door, files: DatabaseFiles, journal_id: str | None, collection_id: str
) -> tuple[SchemaEntry, ...]:
    """The schemas of a collection that the journal tells of, up to the first damage."""
    entries: dict[int, SchemaEntry] = {}
    if journal_id is not None:
        journal = files.collection(journal_id)
        chain = Chain(door, journal, UUID(journal_id.removeprefix(PREFIX)).bytes)
        with suppress(*DAMAGE):
            number = 0
            while door.inode(journal.segment(number)) is not None or door.inode(journal.packed(number)) is not None:
                for _, _, frame in chain.walk(
                    place_of(number, segment.HEADER_BYTES), place_of(number, chain.size(number))
                ):
                    if isinstance(frame, record.RecordFrame) and (entry := _entry_of(frame.value, collection_id)):
                        entries[entry.version] = entry
                number += 1
    return tuple(entries[version] for version in sorted(entries))


def _entry_of(value: bytes, collection_id: str) -> SchemaEntry | None:
    try:
        event: dict[str, Any] = decode_event(value)
        if event["event"] != SCHEMA_SET or event["collection"] != collection_id:
            return None
        text = encode(Schema.from_json(event["schema"]).to_json()).decode()
        return SchemaEntry(event["version"], event["first_sequence"], event["time_ms"], event["by"], text, True)
    except (BadState, InvalidData, KeyError, TypeError):
        return None
