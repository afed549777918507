"""The journal: a collection of the database's own, in which it records what concerns all of them.

Each record is an event, a JSON object with the member `event`: the state of all collections, to which the checkpoint of
the whole database commits, a change of keys, a redaction. It is a chain like any other, so what stands in it is proven,
and cannot be taken back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any, Final

from blockdb.errors import Corruption
from blockdb.ledger.state import (
    STATE,
    BadState,
    CollectionState,
    decode_event,
    decode_state,
    encode_event,
    encode_state,
)
from blockdb.storage.attachment import Attachment
from blockdb.storage.store import Store
from blockdb.storage.view import Range

JOURNAL_COLLECTION: Final = "_journal"
"""Its name in the registry. Names that begin with an underscore are the database's own."""

JOURNAL_BLOCK_RECORDS: Final = 1
"""Events are rare and weighty: each is sealed at once."""


class Journal:
    """The events of a database. Safe for threads."""

    def __init__(self, reader: Store | Attachment, told_from: int | None = None) -> None:
        """The events from number `told_from` on may be told once more, by a command that was cut short: not twice."""
        self.reader = reader
        self._appending = Lock()
        self._told: dict[bytes, int] = {}
        if told_from is not None:
            self._told = {encode_event(event): number for number, event in self.events() if number >= told_from}

    def tell_anew(self) -> None:
        """From now on whatever is told is an event of its own."""
        self._told = {}

    def append(self, event: Mapping[str, Any]) -> int:
        """Record an event, on the disk before this returns, and give its number. Raises StorageError."""
        assert isinstance(self.reader, Store), "only a writer has a journal to write to"
        with self._appending:
            data = encode_event(event)
            number = self._told.pop(data, None)
            if number is not None:
                return number
            return self.reader.put(b"%020d" % self.reader.next_sequence, data, sync=True)

    def force(self) -> None:
        """Have all events on the disk, also those that an earlier process wrote. Raises StorageError."""
        assert isinstance(self.reader, Store), "only a writer has a journal to write to"
        self.reader.flush()

    def events(self, kind: str | None = None, *, newest_first: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
        """The events, or those of one kind, with their numbers. Raises Corruption."""
        self.reader.refresh()
        for key, value in self.reader.scan(Range(), 0, None, newest_first):
            try:
                event = decode_event(value)
            except BadState as error:
                raise Corruption(str(self.reader.files.root), None, str(error)) from None
            if kind in (None, event["event"]):
                yield int(key), event

    def append_state(self, collections: Mapping[str, CollectionState]) -> int:
        """Record the state of all collections, unless it is the last one already, and give the event's number."""
        last = self.last_state()
        if last is not None and _is_covered(collections, last[1]):
            return last[0]
        return self.append(encode_state(collections))

    def last_state(self) -> tuple[int, dict[str, CollectionState]] | None:
        """The last state that was recorded, with its number. Raises Corruption."""
        return next(self.states(), None)

    def states(self) -> Iterator[tuple[int, dict[str, CollectionState]]]:
        """The states that were recorded, the newest first. Raises Corruption."""
        for number, event in self.events(STATE, newest_first=True):
            try:
                yield number, decode_state(event)
            except BadState as error:
                raise Corruption(str(self.reader.files.root), None, str(error)) from None


def _is_covered(wanted: Mapping[str, CollectionState], found: Mapping[str, CollectionState]) -> bool:
    """Whether a state says what is wanted, and perhaps more of the keys."""
    return wanted.keys() == found.keys() and all(
        found[uuid] == state or (state.keys_root is None and _without_keys(found[uuid]) == state)
        for uuid, state in wanted.items()
    )


def _without_keys(state: CollectionState) -> CollectionState:
    return CollectionState(state.name, state.records, state.root)
