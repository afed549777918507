"""Auditing schemas: what stands in the metadata of a collection is what the journal tells of.

No hash covers the metadata. But each schema stands in the journal too, whose records cannot be changed unnoticed. It
comes into force first and is told of then, so metadata that is read after the journal has all that is told.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from blockdb.audit.files import read_values
from blockdb.audit.findings import Findings
from blockdb.audit.history import JOURNAL_COLLECTION
from blockdb.audit.redactions import segments_of
from blockdb.format import segment
from blockdb.format.keyring import DataKeys
from blockdb.format.record import RecordFrame
from blockdb.format.walk import DamagedChain, walk
from blockdb.layout import CollectionFiles, DatabaseFiles
from blockdb.ledger.state import BadState, decode_event

SCHEMA_SET: Final = "schema set"


def check_schemas(
    files: DatabaseFiles,
    collections: Mapping[str, str],
    journal: Iterable[RecordFrame],
    findings: Findings,
    keys: DataKeys | None = None,
) -> None:
    """Hold the schemas of collections against the journal, of which these records were read before. O(events)."""
    told, untold = _schemas_told(journal), []
    for collection_id in collections.values():
        path = files.collection(collection_id).metadata
        values = read_values(path, "collection", Findings(files.root)) or {}  # what is damaged was named before
        entries = _entries_in(values)
        for version, schema in told[collection_id].items() if values else ():
            if version not in entries:
                findings.add(path, f"the journal tells of version {version} of its schema, which is not there")
            elif entries[version].schema != schema:
                what = f"version {version} of its schema is not the one that the journal tells of"
                findings.add(path, what, expected=schema, found=entries[version].schema)
        known = told[collection_id]
        untold += [(collection_id, version) for version in entries if entries[version].is_told and version not in known]
    if untold:  # perhaps they are newer than what was read of the journal
        told = _schemas_told(_frames_now(files.collection(collections[JOURNAL_COLLECTION]), keys))
    for collection_id, version in untold:
        if version not in told[collection_id]:
            path = files.collection(collection_id).metadata
            findings.add(path, f"the journal does not tell of version {version} of its schema")


def _schemas_told(journal: Iterable[RecordFrame]) -> defaultdict[str, dict[int, str]]:
    """Schemas by the id of their collection and their version."""
    told: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for frame in journal:
        try:
            event = decode_event(frame.value)
            if event["event"] == SCHEMA_SET:
                told[str(event["collection"])][int(event["version"])] = _canonical(event["schema"])
        except (BadState, KeyError, TypeError, ValueError):
            continue  # what is no event is named elsewhere
    return told


def _frames_now(journal: CollectionFiles, keys: DataKeys | None) -> Iterator[RecordFrame]:
    for _, buffer in segments_of(journal, Findings(journal.root), keys):
        try:
            for _, _, frame in walk(buffer, segment.HEADER_BYTES, len(buffer)):
                if isinstance(frame, RecordFrame):
                    yield frame
        except DamagedChain:
            continue  # the end of what was written


class _Entry(NamedTuple):
    """A version of a schema, as metadata have it."""

    schema: str
    is_told: bool


def _entries_in(values: Mapping[str, Any]) -> dict[int, _Entry]:
    try:
        return {
            int(entry["version"]): _Entry(_canonical(json.loads(entry["schema"])), bool(entry["is_told"]))
            for entry in values.get("schemas", ())
        }
    except (KeyError, TypeError, ValueError):
        return {}


def _canonical(schema: object) -> str:
    """As JSON with sorted members."""
    return json.dumps(schema, sort_keys=True, separators=(",", ":"))
