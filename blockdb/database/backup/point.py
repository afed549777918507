"""Taking a restored database back to a moment of its past: a time, or the end of a block, or a record of a collection.

All collections are cut after whole commits, and none has a part of a transaction that another one has not. The journal
is cut where it tells of nothing that is not there any more, and everything that it tells of is as it says: collections,
schemas, indexes, keys, how far the audit log was. What was redacted later stays redacted, and the next who writes has
the journal tell that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from blockdb.database.backup import cutting
from blockdb.database.backup.deriving import end_of
from blockdb.database.backup.events import Event, Told, read_events
from blockdb.database.backup.scanning import Limit, Reach, end_of_block, reach
from blockdb.database.creation import DEFAULT_COLLECTION
from blockdb.database.proofs import keys
from blockdb.database.proofs.journal import JOURNAL_COLLECTION
from blockdb.errors import CollectionNotFound, Corruption, InvalidData
from blockdb.format.backup_header import Header
from blockdb.format.walk import Decided
from blockdb.layout import DatabaseFiles
from blockdb.storage import redaction, transaction_log
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door
from blockdb.storage.index_list import load as load_indexes
from blockdb.storage.manifest import save_checked
from blockdb.storage.metadata import (
    PREFIX,
    RESTORED,
    Metadata,
    load_metadata,
    load_pending,
    load_registry,
    save_metadata,
    save_registry,
)
from blockdb.storage.redaction import Redactions
from blockdb.types import AsOf


@dataclass(frozen=True)
class Reached:
    """The moment that a restored database is of."""

    time_ms: int
    records: Mapping[str, int]
    """How many there are, by the names of the collections."""
    notes: tuple[str, ...] = ()
    """What there is to tell of it."""


def go_back(door: Door, files: DatabaseFiles, header: Header, to: AsOf, collection: str | None = None) -> Reached:
    """Leave of a database what there was at a moment. O(bytes), and memory for a table.

    `header` is that of the last backup. Raises InvalidData where the backup does not have that moment,
    CollectionNotFound, Corruption, StorageError.
    """
    return _Going(door, files, header).back(to, collection or DEFAULT_COLLECTION)


@dataclass
class _One:
    """A collection on its way back."""

    name: str
    metadata: Metadata
    chain: Chain
    end: int
    limit: Limit
    found: Reach = field(default_factory=Reach)

    def look(self, decided: Decided) -> None:
        """See how far it goes."""
        self.found = reach(self.chain, self.end, self.limit, decided)


class _Going:
    def __init__(self, door: Door, files: DatabaseFiles, header: Header) -> None:
        self._door = door
        self._files = files
        self._header = header
        self._notes: list[str] = []
        self._ones: dict[str, _One] = {}
        names = load_registry(door, files.registry)
        if DEFAULT_COLLECTION not in names:
            raise Corruption(str(files.registry), None, "it does not have the default collection")
        self._default = names[DEFAULT_COLLECTION]
        self._uuid = UUID(self._default.removeprefix(PREFIX)).bytes
        loaded = transaction_log.load(door, files, self._uuid)
        self._decisions = () if loaded is None else loaded.decisions
        self._decided: Decided = (lambda _: True) if loaded is None else loaded.has

    def back(self, to: AsOf, name: str) -> Reached:
        for each, collection_id in load_registry(self._door, self._files.registry).items():
            metadata = load_metadata(self._door, self._files.collection(collection_id).metadata)
            chain = Chain(self._door, self._files.collection(collection_id), metadata.uuid)
            end = end_of(self._door, self._files.collection(collection_id), metadata)
            self._ones[collection_id] = _One(each, metadata, chain, end, Limit())
        time_ms = self._named(to, name) if to.time_ms is None else self._time(to.time_ms)
        self._look(time_ms)
        self._keep_transactions_whole()
        told = self._told(time_ms)
        self._check_dropped(told)
        last = max(max(one.found.transaction, one.found.next_transaction) for one in self._ones.values())
        for collection_id in [id_ for id_ in self._ones if id_ in told.created_later]:
            del self._ones[collection_id]
            self._door.remove_tree(self._files.collection(collection_id).root)
        save_registry(self._door, self._files.registry, {one.name: id_ for id_, one in self._ones.items()})
        for collection_id, one in self._ones.items():
            self._cut(collection_id, one, told, time_ms)
        cutting.renew_transactions(self._door, self._files, self._uuid, max(last, *self._numbers()))
        self._forget_keys(told)
        self._cut_acts(told, time_ms)
        return Reached(time_ms, self._records(), tuple(self._notes))

    def _records(self) -> dict[str, int]:
        return {one.name: one.found.records for one in self._ones.values() if one.name != JOURNAL_COLLECTION}

    # Which moment it is.

    def _time(self, time_ms: int) -> int:
        if time_ms > self._header.time_ms:
            raise InvalidData(
                f"The backup was made at {_text(self._header.time_ms)}, and has nothing of {_text(time_ms)}. Add the "
                "backups that go on from it, or leave --to out to have all that there is."
            )
        made_ms = self._ones[self._default].metadata.created_at * 1000
        if time_ms < made_ms:
            raise InvalidData(f"The database was made at {_text(made_ms)}: at {_text(time_ms)} there was none.")
        return time_ms

    def _named(self, to: AsOf, name: str) -> int:
        """Cut the collection to which a block or a record belongs, and give the time of what is its last record then.

        Commits stay whole, so that may be an earlier one.
        """
        one = next((one for one in self._ones.values() if one.name == name), None)
        if one is None:
            raise CollectionNotFound(name)
        if to.block is not None:
            what, records = f"block {to.block}", end_of_block(one.chain, one.end, to.block)
        else:
            what, records = f"record {to.sequence}", (to.sequence or 0) + 1
        one.limit = Limit(records)
        one.look(self._decided)
        found = one.found
        if records is None or records > found.all_records:
            raise InvalidData(f"The backup does not have {what} of the collection {name}: {found.all_records} records.")
        if not found.records:
            raise InvalidData(f"The first commit of {name} goes beyond {what}, and is whole or not at all.")
        if found.records < records:
            self._notes.append(
                f"{what.capitalize()} of {name} is amid a commit, which is whole or not at all: there are the "
                f"{found.records} records before it"
            )
        return max(found.time_ms, self._time_of_parts(one))

    def _time_of_parts(self, one: _One) -> int:
        """When the last part was stored, in any collection, of the transactions that have a part in this one."""
        if not one.found.transaction:
            return 0
        limit = Limit(transaction=one.found.transaction + 1)
        others = [other for other in self._ones.values() if other is not one]
        return max((reach(it.chain, it.end, limit, self._decided).transaction_ms for it in others), default=0)

    def _look(self, time_ms: int) -> None:
        for one in self._ones.values():
            if one.limit == Limit():
                one.limit = Limit(time_ms=time_ms)
                one.look(self._decided)

    def _keep_transactions_whole(self) -> None:
        """Cut before the first transaction that one of its collections has not."""
        missing = [one.found.next_transaction for one in self._ones.values() if one.found.next_transaction]
        for decision in self._decisions:
            for writes in decision.writes:
                one = self._ones.get(PREFIX + str(UUID(bytes=writes.collection)))
                if one is not None and one.found.transaction < decision.number:
                    missing.append(decision.number)
        if missing:
            first = min(missing)
            for one in self._ones.values():
                if one.found.transaction >= first:
                    one.limit = replace(one.limit, transaction=first)
                    one.look(self._decided)

    # What the journal tells of it.

    def _told(self, time_ms: int) -> Told:
        journal = next((id_ for id_, one in self._ones.items() if one.name == JOURNAL_COLLECTION), None)
        if journal is None:
            return Told()
        one = self._ones[journal]
        records = {id_: other.found.records for id_, other in self._ones.items() if id_ != journal}
        told = read_events(one.chain, self._files.collection(journal), one.found.all_end, records, time_ms)
        one.limit = Limit(told.records)
        one.look(self._decided)
        return told

    def _check_dropped(self, told: Told) -> None:
        lost = sorted(name for id_, name in told.dropped_later.items() if id_ not in told.created_later)
        if lost:
            raise InvalidData(
                f"The collection {lost[0]} was dropped after that moment, so its records are not in the last of the "
                "backups. Restore from one that was made before, and leave later ones out."
            )

    # What follows from it.

    def _cut(self, collection_id: str, one: _One, told: Told, time_ms: int) -> None:
        door, files, found = self._door, self._files.collection(collection_id), one.found
        if door.inode(files.pending) is not None and load_pending(door, files.pending).get("time_ms", 0) > time_ms:
            door.remove(files.pending)
        present = {index.definition.id: index.definition for index in load_indexes(door, files, collection_id).indexes}
        known = told.indexes[collection_id]
        untold = {id_: index for id_, index in present.items() if id_ not in known and id_ not in told.indexes_later}
        wanted = {**known, **{id_: index for id_, index in untold.items() if index.created_at * 1000 <= time_ms}}
        if not found.is_whole or wanted.keys() != present.keys():
            indexes = sorted(wanted.values(), key=lambda index: index.name)
            cutting.cut_collection(door, files, one.metadata, found, indexes)
        metadata = cutting.without_later(one.metadata, sorted(told.schemas[collection_id]), found.records, time_ms)
        if metadata != one.metadata:
            save_metadata(door, files.metadata, metadata)
        cutting.forget_checkpoint(door, files, found.records)
        self._keep_redacted(collection_id, one, told.redactions_later[collection_id])

    def _keep_redacted(self, collection_id: str, one: _One, later: list[Event]) -> None:
        """What was redacted later is gone all the same: have the next who writes tell of it."""
        files = self._files.collection(collection_id)
        state = redaction.load(self._door, files, collection_id)
        events = [*([json.loads(state.event)] if state.event else []), *later]
        records = [entry for event in events for entry in event["records"] if entry["sequence"] < one.found.records]
        if not records:
            if state.event:
                redaction.save(self._door, files, Redactions(collection_id, state.finished))
            return
        places = tuple(place for place in state.places if place < one.found.end)
        event = {**events[-1], "records": list({entry["sequence"]: entry for entry in records}.values())}
        redaction.save(self._door, files, Redactions(collection_id, state.finished, json.dumps(event), places))
        if later:
            self._notes.append(
                f"Of {one.name}, values that were redacted later stay so ({len(event['records'])}): the journal will "
                "tell of it once the database is opened to write"
            )

    def _forget_keys(self, told: Told) -> None:
        """Keys that came later did not sign anything that is there."""
        if not told.keys_later:
            return
        door, files = self._door, self._files
        known = keys.load_public_keys(door, files)
        kept = [key for key in known if key not in told.keys_later] or known[:1]
        is_there = files.signing_key.exists()
        if is_there and keys.load_signer(door, files).public_key not in kept:
            door.remove(files.signing_key)
            self._notes.append("The signing key in the backup was made later, and was left out: name the older one")
        keys.save_public_keys(door, files, kept)

    def _cut_acts(self, told: Told, time_ms: int) -> None:
        log = self._files.audit_log
        count = cutting.cut_acts(self._door, log, self._uuid, time_ms, told.acts)
        if count is not None:
            self._door.remove(log.head)
        values: dict[str, Any] = {"time_ms": time_ms, "backup": self._header.id, "records": self._records()}
        save_checked(self._door, self._files.restored, RESTORED, {**values, "acts": count or 0})

    def _numbers(self) -> list[int]:
        return [0, *(decision.number for decision in self._decisions)]


def _text(time_ms: int) -> str:
    """A time as ISO 8601 has it."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
