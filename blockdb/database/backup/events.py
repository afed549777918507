"""What the journal tells up to a moment, and what it tells later: of what a database is to be taken back to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from blockdb.database.indexing import INDEX_CREATED, INDEX_DROPPED
from blockdb.database.schemas import SCHEMA_SET
from blockdb.documents.indexing import IndexDefinition
from blockdb.errors import Corruption
from blockdb.format import segment
from blockdb.layout import CollectionFiles
from blockdb.ledger.act_log import EVENT as AUDIT_EVENT
from blockdb.ledger.act_log import head_of
from blockdb.ledger.note import BadNote, Note, VerifierKey
from blockdb.ledger.state import CREATED, DROPPED, STATE, BadState, decode_event, decode_state
from blockdb.storage import index_list
from blockdb.storage.chain import Chain
from blockdb.storage.metadata import uuid_of
from blockdb.storage.redactor import REDACTION

KEYS: Final = "keys"
"""What the journal calls a change of keys."""

Event = dict[str, Any]


@dataclass
class Told:
    """What a journal tells, before and after the place where it is to be cut."""

    records: int = 0
    """So many events stay."""
    schemas: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """The versions of schemas, by the ids of collections."""
    indexes: dict[str, dict[str, IndexDefinition]] = field(default_factory=lambda: defaultdict(dict))
    """The indexes, by the ids of collections and by their own."""
    acts: int = 0
    """How many entries the audit log had."""
    created_later: set[str] = field(default_factory=set)
    dropped_later: dict[str, str] = field(default_factory=dict)
    """The names of the collections, by their ids."""
    indexes_later: set[str] = field(default_factory=set)
    """The ids of those that were made later."""
    keys_later: set[bytes] = field(default_factory=set)
    """Public keys to which another one handed over later."""
    redactions_later: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    """By the ids of collections."""


def read_events(chain: Chain, files: CollectionFiles, end: int, records: Mapping[str, int], time_ms: int) -> Told:
    """Read a journal. O(bytes). Raises Corruption.

    It stays up to a time, and up to the first event that tells of more records than the collections have then.
    `records` are these, by the ids of collections.
    """
    told, by_uuid, is_before = Told(), {uuid_of(id_): count for id_, count in records.items()}, True
    for _, _, frame in chain.records(segment.HEADER_BYTES, end):
        try:
            event = decode_event(frame.value)
            is_before = is_before and frame.time_ms <= time_ms and _fits(event, records, by_uuid)
            if is_before:
                told.records += 1
                _take(told, event)
            else:
                _take_later(told, event)
        except (BadState, BadNote, KeyError, TypeError, ValueError) as error:
            raise Corruption(str(files.root), None, f"the journal has an event that is none: {error}") from None
    return told


def _fits(event: Event, records: Mapping[str, int], by_uuid: Mapping[str, int]) -> bool:
    """Whether what an event tells of is there."""
    kind = event["event"]
    if kind == STATE:
        return all(state.records <= by_uuid.get(uuid, state.records) for uuid, state in decode_state(event).items())
    count = records.get(event.get("collection", ""))
    if count is None:
        return True
    if kind == SCHEMA_SET:
        return bool(event["first_sequence"] <= count)
    return kind != REDACTION or all(entry["sequence"] < count for entry in event["records"])


def _take(told: Told, event: Event) -> None:
    kind = event["event"]
    if kind == SCHEMA_SET:
        told.schemas[event["collection"]].add(event["version"])
    elif kind in (INDEX_CREATED, INDEX_DROPPED):
        definition = index_list.definition_of(dict(event["index"]))
        told.indexes[event["collection"]].pop(definition.id, None)
        if kind == INDEX_CREATED:
            told.indexes[event["collection"]][definition.id] = definition
    elif kind == AUDIT_EVENT:
        told.acts = head_of(event).size


def _take_later(told: Told, event: Event) -> None:
    kind = event["event"]
    if kind == CREATED:
        told.created_later.add(event["collection"])
    elif kind == DROPPED:
        told.dropped_later[event["collection"]] = str(event["name"])
    elif kind == INDEX_CREATED:
        told.indexes_later.add(index_list.definition_of(dict(event["index"])).id)
    elif kind == KEYS:
        told.keys_later.add(VerifierKey.parse(Note.parse(event["note"]).text.split("\n")[2]).public_key)
    elif kind == REDACTION:
        told.redactions_later[event["collection"]].append(event)
