"""Auditing redactions: a value that is gone without the journal telling of it was not redacted, but taken away.

Zeros in the place of a salt and a value break no hash. So what is found erased is held against the events in the
journal, whose records cannot be taken back or added unnoticed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from blockdb.audit.files import map_segment, read_values
from blockdb.audit.findings import Findings
from blockdb.audit.history import JOURNAL_COLLECTION
from blockdb.format import batch, record, segment
from blockdb.format.block import decode_seal
from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, RECORD, BadFrame
from blockdb.format.keyring import DataKeys
from blockdb.format.record import RecordFrame
from blockdb.format.walk import DamagedChain, walk
from blockdb.layout import CollectionFiles, DatabaseFiles, segment_numbers

REDACTION: Final = "redaction"
_NO_SALT: Final = bytes(record.SALT_BYTES)


def state_of(files: CollectionFiles) -> bytes | None:
    """What is noted of redactions: other bytes, once there was one more."""
    try:
        return files.redactions.read_bytes()
    except OSError:
        return None


def check_state(collection_id: str, files: CollectionFiles, findings: Findings, keys: DataKeys | None = None) -> None:
    """Check what is noted of redactions."""
    if files.redactions.exists():
        values = read_values(files.redactions, "redactions", findings, keys)
        if values is not None and values.get("collection") != collection_id:
            findings.add(files.redactions, "the redactions are those of another collection")


def check_redactions(
    files: DatabaseFiles, collections: Mapping[str, str], findings: Findings, keys: DataKeys | None = None
) -> list[str]:
    """Hold the redacted records of all collections against the journal; notes are returned.

    The journal is read last: an event stands there before the value is erased. Only a database that was restored as of
    a moment before that has it yet to tell: what it will tell is noted. What is damaged was named before.
    O(records that can be redacted).
    """
    aside = Findings(files.root)
    erased, notes = {}, []
    for collection_id in collections.values():
        own = files.collection(collection_id)
        metadata = read_values(own.metadata, "collection", aside) or {}
        found = list(_redacted_in(own, aside, keys)) if metadata.get("redactable") else []
        if found:
            erased[collection_id] = found
    told = (
        _told_in(files.collection(collections[JOURNAL_COLLECTION]), aside, keys)
        if erased and JOURNAL_COLLECTION in collections
        else {}
    )
    for collection_id, found in erased.items():
        pending = _pending_in(files.collection(collection_id), aside, keys) if files.restored.exists() else set()
        untold = [one for one in found if one[2:] not in told.get(collection_id, ())]
        if pending.intersection(one[2:] for one in untold):
            notes.append(f"The next who writes will have the journal tell of redactions in {collection_id}.")
        for path, offset, sequence, key in untold:
            if (sequence, key) not in pending:
                what = "its value was erased, and the journal tells of no redaction"
                findings.add(path, what, offset=offset, sequence=sequence, key=key)
    return notes


def segments_of(files: CollectionFiles, aside: Findings, keys: DataKeys | None) -> Iterator[tuple[Path, Buffer]]:
    """The chain files that can be read, in order, and their bytes."""
    for number in segment_numbers(path.name for path in files.chain.iterdir()):
        found = map_segment(files, number, aside, keys)
        if found is not None:
            yield found


def _redacted_in(
    files: CollectionFiles, aside: Findings, keys: DataKeys | None
) -> Iterator[tuple[Path, int, int, bytes]]:
    """The redacted records of a collection: file, offset, sequence number, key."""
    for path, buffer in segments_of(files, aside, keys):
        try:
            sequence = segment.decode(buffer).first_sequence
            for offset in _records_in(buffer):
                if _has_no_salt(buffer, offset):
                    frame = record.decode(buffer, offset)
                    if frame.is_redacted:
                        yield path, offset, sequence, frame.key
                sequence += 1
        except (BadFrame, IndexError):
            return  # the end of what was written, or damage


def _records_in(buffer: Buffer) -> Iterator[int]:
    """Where the records of a chain file are, by the sizes of the frames alone."""
    at = segment.HEADER_BYTES
    while at + record.HEADER_BYTES <= len(buffer):
        type_ = buffer[at + CHECK_BYTES]
        if type_ == RECORD:
            yield at
            at = record.end_of(buffer, at)
        elif type_ in batch.HEADERS:
            at += batch.HEADERS[type_]
        else:
            at += decode_seal(buffer, at)[1]


def _has_no_salt(buffer: Buffer, offset: int) -> bool:
    if buffer[offset + CHECK_BYTES + 1] != record.REDACTABLE:
        return False
    key_bytes = int.from_bytes(buffer[offset + 12 : offset + 14], "little")
    salt = offset + record.HEADER_BYTES + key_bytes + record.DIGEST_BYTES
    return buffer[salt : salt + record.SALT_BYTES] == _NO_SALT


def _told_in(files: CollectionFiles, aside: Findings, keys: DataKeys | None) -> dict[str, set[tuple[int, bytes]]]:
    """What the journal tells of: sequence numbers and keys, by the id of their collection."""
    told: dict[str, set[tuple[int, bytes]]] = defaultdict(set)
    for _, buffer in segments_of(files, aside, keys):
        try:
            for _, _, frame in walk(buffer, segment.HEADER_BYTES, len(buffer)):
                event = _event_in(frame.value) if isinstance(frame, RecordFrame) else {}
                for entry in event.get("records", ()):
                    told[event["collection"]].add((entry["sequence"], bytes.fromhex(entry["key"])))
        except (DamagedChain, KeyError, TypeError, ValueError):
            continue
    return told


def _pending_in(files: CollectionFiles, aside: Findings, keys: DataKeys | None) -> set[tuple[int, bytes]]:
    """The sequence numbers and the keys of what the journal is yet to tell of."""
    values = read_values(files.redactions, "redactions", aside, keys) if files.redactions.exists() else None
    try:
        event = _event_in((values or {}).get("event", "").encode())
        return {(entry["sequence"], bytes.fromhex(entry["key"])) for entry in event.get("records", ())}
    except (AttributeError, KeyError, TypeError, ValueError):
        return set()


def _event_in(value: bytes) -> dict[str, Any]:
    try:
        event = json.loads(value)
    except ValueError:
        return {}
    return event if isinstance(event, dict) and event.get("event") == REDACTION else {}
