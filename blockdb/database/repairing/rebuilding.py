"""Making anew what follows from a chain: tables, manifest, index files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from blockdb.database.indexing import INDEX_CREATED, INDEX_DROPPED
from blockdb.database.proofs.journal import JOURNAL_COLLECTION
from blockdb.documents.indexing import IndexDefinition
from blockdb.errors import BlockDBError
from blockdb.format import segment
from blockdb.format.place import place_of
from blockdb.format.record import RecordFrame
from blockdb.layout import CollectionFiles, DatabaseFiles, segment_numbers
from blockdb.ledger.state import BadState, decode_event
from blockdb.lsm.memtable import Memtable
from blockdb.storage import index_list
from blockdb.storage import manifest as manifests
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door
from blockdb.storage.index_files import IndexFiles
from blockdb.storage.index_list import StoredIndex
from blockdb.storage.maintenance import Frozen, Tables
from blockdb.storage.manifest import Manifest, ReplayPoint
from blockdb.storage.metadata import Metadata, load_registry
from blockdb.storage.reader import Reader
from blockdb.storage.recovery import Recovered
from blockdb.storage.table_makers import TableMakers

TABLE_RECORDS: Final = 200_000
"""How many records a rebuilt table has at most,"""
TABLE_BYTES: Final = 64 * 1024 * 1024
"""and how much memory they take while it is made: that stays bounded however long the chain is."""


class Extent(NamedTuple):
    """How far a chain goes: so many records, up to a place."""

    records: int
    end: int


def rebuild_tables(door: Door, files: CollectionFiles, metadata: Metadata, end: int) -> int:
    """Write tables over the whole chain, and a manifest that counts them. Returns how many records there are."""
    reader = Reader(door, files, metadata)
    manifest = Manifest(metadata.id)
    manifests.save(door, files.manifest, manifest)
    tables = Tables(door, files, metadata.uuid, manifest, reader.open_table, TableMakers())
    start = segment.HEADER_BYTES
    state = Recovered(reader.chain, (), Memtable(0, 0, start), start, start, 0)
    for stretch in reader.chain.stretches(start, end):
        for _ in state.replaying(stretch, 0):
            if len(state.memtable) >= TABLE_RECORDS or state.memtable.size_bytes >= TABLE_BYTES:
                tables.write(_freeze(state))
                memtable = state.memtable
                blocks = memtable.first_block + len(memtable.seals)
                state.memtable = Memtable(state.next_sequence, blocks, state.end)
    if len(state.memtable):
        tables.write(_freeze(state))
    return state.next_sequence


def _freeze(state: Recovered) -> Frozen:
    pending = state.pending_places
    place = pending[0] if pending else state.end
    head_seal = state.last_seal[0] if state.last_seal else 0
    return Frozen(state.memtable, state.end, ReplayPoint(place, state.next_sequence - len(pending), head_seal))


def definitions_of(door: Door, files: DatabaseFiles, collection_id: str) -> tuple[IndexDefinition, ...]:
    """The indexes of a collection: as its list has them or, where that is damaged, as the journal tells."""
    try:
        stored = index_list.load(door, files.collection(collection_id), collection_id)
        return tuple(index.definition for index in stored.indexes)
    except BlockDBError:
        return _definitions_told(door, files, collection_id)


def _definitions_told(door: Door, files: DatabaseFiles, collection_id: str) -> tuple[IndexDefinition, ...]:
    """What the journal says of the indexes of a collection, as far as it can be read."""
    found: dict[str, IndexDefinition] = {}
    for event in events_told(door, files):
        with suppress(BlockDBError, KeyError, TypeError, ValueError):
            _take(found, event, collection_id)
    return tuple(found.values())


def events_told(door: Door, files: DatabaseFiles) -> Iterator[dict[str, Any]]:
    """The events in the journal, up to the first damage."""
    with suppress(BlockDBError, BadState, KeyError, ValueError, OSError):
        journal_id = load_registry(door, files.registry)[JOURNAL_COLLECTION]
        journal = files.collection(journal_id)
        chain = Chain(door, journal, Metadata(journal_id, JOURNAL_COLLECTION, 0, 1).uuid)
        for number in segment_numbers(door.names(journal.chain)):
            end = place_of(number, chain.used(number))
            for _, _, frame in chain.walk(place_of(number, segment.HEADER_BYTES), end):
                if isinstance(frame, RecordFrame):
                    yield decode_event(frame.value)


def _take(found: dict[str, IndexDefinition], event: dict[str, Any], collection_id: str) -> None:
    if event.get("collection") != collection_id or event["event"] not in (INDEX_CREATED, INDEX_DROPPED):
        return
    definition = index_list.definition_of(dict(event["index"]))
    found.pop(definition.name, None)
    if event["event"] == INDEX_CREATED:
        found[definition.name] = definition


class _Rebuilt(Reader):
    """A collection whose chain is on the disk already."""

    def force(self) -> None:
        """Everything is."""


def rebuild_indexes(
    door: Door,
    files: CollectionFiles,
    metadata: Metadata,
    definitions: Sequence[IndexDefinition],
    extent: Extent,
) -> list[str]:
    """Write a file for each index over the whole chain, and the list of them. Returns their names. O(n log n)."""
    index_files = IndexFiles(_Rebuilt(door, files, metadata))
    for definition in definitions:
        made = index_files.of_chain(StoredIndex(definition), *extent, strict=False)
        index_files.save(definition, made, *extent)
    return [definition.name for definition in definitions]
