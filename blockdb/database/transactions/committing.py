"""Committing transactions: one atomic batch, or two phases over several collections; and what a crash left of those.

Phase one takes the write locks in the order of the collections' ids and makes sure that everything can be stored. Then
one frame in the transaction log, with all the writes, decides; then each collection gets its batch. Whoever opens the
database after a crash stores what was decided and is missing. (J. Gray, "Notes on data base operating systems", 1978.)
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from operator import attrgetter
from threading import Lock
from typing import NoReturn
from uuid import UUID

from blockdb.database.catalog import Catalog
from blockdb.database.preparation import Preparation
from blockdb.database.transactions.part import Part
from blockdb.errors import StorageError, WritesStopped
from blockdb.format.transaction import Decision, Writes
from blockdb.storage.commit import Prepared, Unprepared
from blockdb.storage.metadata import PREFIX
from blockdb.storage.recovery import read_mark
from blockdb.storage.store import Store
from blockdb.storage.transaction_log import EMPTY_AT_BYTES, TransactionLog

_uuid = attrgetter("gate.uuid")


class Committer:
    """Stores what transactions wrote. Safe for threads."""

    def __init__(self, catalog: Catalog, log: TransactionLog) -> None:
        self._catalog = catalog
        self._log = log
        self._deciding = Lock()
        """Held from a decision until every collection has its batch. Taken after write locks, never before."""
        self._failure: str | None = None

    def commit(self, parts: Sequence[Part], sync: bool) -> dict[str, range]:
        """Store what was written in all parts, or nothing. Returns the sequence numbers by collection.

        Where it is to be on the disk, so is all that it may have read. Raises what preparing it raises, StorageError
        and, where it was decided but could not be carried out, WritesStopped: opening the database again does that.
        """
        if self._failure is not None:
            raise WritesStopped(self._failure)
        writing = sorted((part for part in parts if part.items), key=_uuid)
        is_forced = sync or any(part.store.config.wal_sync_interval == 0 for part in writing)
        if writing and is_forced:
            for part in parts:
                part.store.force()
        while True:
            try:
                if len(writing) > 1:
                    return self._commit_many(writing, is_forced)
                return {part.name: self._commit_one(part, is_forced) for part in writing}
            except Unprepared:  # an index was made, or a schema set, meanwhile
                continue

    def _commit_one(self, part: Part, is_forced: bool) -> range:
        prepared = part.prepared()
        part.gate.enter()
        try:
            part.store.prepare(prepared)
            sequences = part.store.apply(prepared)
        finally:
            part.gate.leave()
        if is_forced:
            part.store.force()
        return sequences

    def _commit_many(self, parts: Sequence[Part], is_forced: bool) -> dict[str, range]:
        prepared = [part.prepared() for part in parts]
        entered: list[Part] = []
        try:
            for part, records in zip(parts, prepared, strict=True):
                part.gate.enter()
                entered.append(part)
                part.store.prepare(records)
            with self._deciding:
                number, sequences = self._decide(parts, prepared)
        finally:
            for part in entered:
                part.gate.leave()
        if is_forced:
            self._log.force(number)
        if self._log.size > EMPTY_AT_BYTES:
            with suppress(StorageError):  # the transaction stands; the next one tries again
                self.empty()
        return sequences

    def _decide(self, parts: Sequence[Part], prepared: Sequence[Prepared]) -> tuple[int, dict[str, range]]:
        number = self._log.decide(
            Writes(part.gate.uuid, tuple(zip(records.keys, records.values, strict=True)))
            for part, records in zip(parts, prepared, strict=True)
        )
        sequences: dict[str, range] = {}
        try:
            for part, records in zip(parts, prepared, strict=True):
                sequences[part.name] = part.store.apply(records, number)
        except BaseException as error:
            if not sequences and isinstance(error, StorageError):
                self._log.retract(number)  # nothing was stored anywhere
                raise
            self._stop(number, parts, sequences, error)
        return number, sequences

    def _stop(self, number: int, parts: Sequence[Part], done: dict[str, range], error: BaseException) -> NoReturn:
        """Take no more writes where a transaction is half done, until the database is opened anew."""
        missing = ", ".join(part.name for part in parts if part.name not in done)
        what = f"Transaction {number} is decided, but could not be stored in {missing} yet ({error})"
        for part in parts:
            if part.name not in done:
                part.store.stop(what)
        stopped = self._log.stop(what)
        self._failure = str(stopped)
        raise stopped from error

    def empty(self) -> None:
        """Empty the transaction log, once every collection has on the disk what was decided. Raises StorageError."""
        with self._deciding:
            if self._log.size:
                for reader in self._catalog.opened():
                    if isinstance(reader, Store) and not reader.is_parked:  # those are forced
                        reader.force()
                self._log.empty()

    # After a crash.

    def recover(self) -> None:
        """Finish what was decided by an earlier process. Raises Corruption, StorageError.

        Where that process did not close the log, each collection that it may have written to is recovered, so that
        nothing is left anywhere of what was not decided.
        """
        log = self._log
        log.recover()
        if not log.was_closed:
            for collection_id in self._catalog.ids().values():
                if not self._was_closed(collection_id):
                    self._catalog.reader(collection_id)
        for decision in log.unfinished:
            self._finish(decision)
        if log.unfinished:
            self.empty()

    def _was_closed(self, collection_id: str) -> bool:
        files = self._catalog.files.collection(collection_id)
        mark = read_mark(self._catalog.door, files.mark, UUID(collection_id.removeprefix(PREFIX)).bytes)
        return not isinstance(mark, str) and mark.clean

    def _finish(self, decision: Decision) -> None:
        """Store what a collection lacks of a decision: keys are new, so the first tells of all of them."""
        known = set(self._catalog.ids().values())
        for collection, items in decision.writes:
            collection_id = PREFIX + str(UUID(bytes=collection))
            if collection_id not in known:
                continue  # it was dropped
            store = self._catalog.reader(collection_id)
            assert isinstance(store, Store), "whoever recovers has a signer"
            if store.view.has(items[0][0]):
                continue
            prepared = Preparation(store).prepare(items)
            with store.writing:
                store.prepare(prepared)
                store.apply(prepared, decision.number)
