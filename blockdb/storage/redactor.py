"""Carrying redactions out: what is to be erased is on the disk before anything is, and so is what the journal says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Final

from blockdb.errors import InvalidData, KeyNotFound, Redacted
from blockdb.format.checks import check_key
from blockdb.format.place import OFFSET_BITS, OFFSET_MASK
from blockdb.storage.door import guarded
from blockdb.storage.erasure import erase
from blockdb.storage.metadata import Metadata
from blockdb.storage.reader import Reader
from blockdb.storage.redaction import Event, Redactions, load, save
from blockdb.storage.surroundings import Surroundings
from blockdb.types import Record

REDACTION: Final = "redaction"
"""What the journal calls the event."""

MAX_KEYS: Final = 10_000
"""How many keys one redaction may have."""

MAX_TEXT_BYTES: Final = 4096
"""How long a reason, or a name, may be."""


Recording = Callable[[Event], None]
"""What puts an event into the journal of the database and forces it, unless it is there."""


class Redactor:
    """Carries redactions out, one at a time, while no chain file is packed. `reader` is the writer."""

    def __init__(
        self,
        reader: Reader,
        surroundings: Surroundings,
        close_file_of: Callable[[int], None],
        forget_values: Callable[[Mapping[int, bytes]], None],
        forget_entries: Callable[[frozenset[int]], None],
    ) -> None:
        """`close_file_of` sees to it that no more is written to the file with a place, `forget_values` to the memory,
        and `forget_entries` to the indexes, once the chain has the values no more.

        Raises Corruption, StorageError.
        """
        self._reader = reader
        self._surroundings = surroundings
        self._close_file_of = close_file_of
        self._forget_values = forget_values
        self._forget_entries = forget_entries
        with guarded("reading the redactions"):
            self._state = load(reader.door, reader.files, reader.metadata.id)

    def redact(self, keys: Sequence[bytes], reason: str, by: str, record_event: Recording) -> tuple[list[int], int]:
        """Erase the values of keys for good; gives their sequence numbers and how many chain files were written anew.

        O(bytes of those files + keys · records in a block). Raises InvalidData, KeyNotFound, Redacted, StorageError.
        """
        metadata = self._reader.metadata
        check(metadata, keys, reason, by)
        unfinished = set(self._state.keys)
        files = self.finish(record_event)
        records = {place: self._reader.history().record_at(place) for place in map(self._place_of, keys)}
        if not set(keys) <= unfinished:  # else it is asked for again because it had failed half way
            places = sorted(records)
            event = event_of(metadata, [records[place] for place in places], reason, by, self._surroundings)
            self._close_file_of(places[-1])  # first: what is named below has to be on the disk
            self._save(Redactions(metadata.id, self._state.finished, json.dumps(event), tuple(places)))
            files += self.finish(record_event)
        return sorted(record.sequence for record in records.values()), files

    def finish(self, record_event: Recording) -> int:
        """Finish what is under way, if anything is; says how many chain files that concerned. O(bytes of those).

        Doing it again does what is left to do. Raises Corruption, StorageError.
        """
        state, reader = self._state, self._reader
        if not state.event:
            return 0
        if state.places:
            self._close_file_of(max(state.places))
        record_event(json.loads(state.event))
        self._forget_values(dict(zip(state.places, state.keys, strict=False)))
        files = 0
        try:
            for number, places in groupby(sorted(state.places), key=lambda place: place >> OFFSET_BITS):
                offsets = [place & OFFSET_MASK for place in places]
                erase(reader.door, reader.files, number, offsets, reader.chain.renew)
                files += 1
        finally:
            reader.cache.clear()
        self._forget_entries(frozenset(state.places))
        self._save(Redactions(state.collection, state.finished + 1))  # attachments read everything anew now
        return files

    def _place_of(self, key: bytes) -> int:
        found = self._reader.view.find(check_key(key))
        if found is None:
            raise KeyNotFound(key)
        return found[0]

    def _save(self, state: Redactions) -> None:
        with guarded("writing the redactions"):
            save(self._reader.door, self._reader.files, state)
        self._state = state


def check(metadata: Metadata, keys: Sequence[bytes], reason: str, by: str) -> None:
    """Whether this may be redacted, in this collection. Raises InvalidData."""
    if not metadata.redactable:
        raise InvalidData(
            "This collection was not created with the setting redactable, so the hashes of its records cover the "
            "values themselves: none can be erased without breaking the proofs. Nothing was changed. Create a database "
            "with redactable = true for records that may have to be erased one day."
        )
    if len(keys) > MAX_KEYS:
        raise InvalidData(f"A redaction has at most {MAX_KEYS} keys; this one has {len(keys)}. Split it.")
    _check_text(reason, "reason")
    _check_text(by, "author")


def _check_text(text: object, what: str) -> None:
    try:
        if isinstance(text, str) and text.strip() and len(text.encode()) <= MAX_TEXT_BYTES:
            return
    except UnicodeEncodeError:
        pass
    raise InvalidData(f"The {what} of a redaction is text: 1 to {MAX_TEXT_BYTES} bytes of UTF-8, not all of it blank.")


def event_of(metadata: Metadata, records: Sequence[Record], reason: str, by: str, surroundings: Surroundings) -> Event:
    """What the journal keeps of a redaction. Raises Redacted where that was done before."""
    for record in records:
        if record.redacted:
            raise Redacted(record.key)
    return {
        "event": REDACTION,
        "id": surroundings.new_id("redaction").hex,
        "time_ms": surroundings.now_ms(),
        "by": by,
        "reason": reason,
        "collection": metadata.id,
        "records": [{"sequence": record.sequence, "key": record.key.hex()} for record in records],
    }
