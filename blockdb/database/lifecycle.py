"""The beginning and the end of collections: both stand in the journal. What was cut short the next writer finishes.

What is to be recorded stands in the directory of the collection first (`pending.toml`), until it is done: so a process
that is killed leaves a collection that is there, or one that is not, and the journal says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from blockdb.database.catalog import Catalog
from blockdb.database.proofs.journal import Journal
from blockdb.database.proofs.notary import Notary
from blockdb.database.proofs.prover import Prover
from blockdb.errors import BlockDBError, InvalidData, StorageError, WritesStopped
from blockdb.layout import DROPPED_SUFFIX
from blockdb.ledger.state import CREATED, DROPPED
from blockdb.storage.door import guarded
from blockdb.storage.metadata import Metadata, load_pending, save_pending
from blockdb.storage.store import Store


class Lifecycle:
    """Makes and drops collections, for a handle that writes. Safe for threads."""

    def __init__(self, catalog: Catalog, notary: Notary) -> None:
        self._catalog = catalog
        self._notary = notary
        self._door, self._files = catalog.door, catalog.files

    def create(self, metadata: Metadata) -> None:
        """Make a collection. Raises DuplicateCollection, StorageError."""
        event = {
            "event": CREATED,
            "collection": metadata.id,
            "name": metadata.name,
            "by": metadata.created_by,
            "time_ms": self._catalog.surroundings.now_ms(),
        }
        journal = self._journal()
        with self._catalog.changing:
            self._catalog.create(metadata, event)
            try:
                journal.append(event)
            except WritesStopped:
                raise  # whether the disk has the event is unknown: the next writer looks
            except BlockDBError:
                with suppress(BlockDBError):
                    self._catalog.forget(metadata.id)
                    self._remove(metadata.id)
                raise
            with guarded("recording the new collection"):
                self._door.remove(self._files.collection(metadata.id).pending)

    def drop(self, collection_id: str, by: str) -> None:
        """Remove a collection for good. What was begun in it ends as it can; whoever comes later is told.

        O(files + records in a block). Raises InvalidData for the default collection, StorageError.
        """
        if collection_id == self._catalog.default_id():
            raise InvalidData("The default collection, where plain put and get go, cannot be dropped.")
        journal, store = self._journal(), self._catalog.reader(collection_id)
        assert isinstance(store, Store), "a writer has stores"
        prover = self._notary.prover(store)  # before the locks, which it takes too
        store.refresh()
        files = self._files.collection(collection_id)
        with self._catalog.changing, store.writing:
            store.check_open()
            event = _end_of(store, prover, by)
            with guarded(f"dropping the collection {store.metadata.name}"):
                save_pending(self._door, files.pending, event)
            try:
                journal.append(event)
            except WritesStopped:
                raise
            except BlockDBError:
                with suppress(OSError):
                    self._door.remove(files.pending)
                raise
            self._catalog.forget(collection_id)
            store.drop()
        self._notary.forget(collection_id)
        with suppress(StorageError):  # what it has in memory goes as well
            store.shut()
        self._remove(collection_id)

    def finish(self) -> None:
        """Finish what an earlier process left unfinished. O(collections). Raises Corruption, StorageError."""
        with guarded("looking for collections that were being made or dropped"):
            for name in self._door.names(self._files.collections):
                if name.endswith(DROPPED_SUFFIX):
                    self._door.remove_tree(self._files.collections / name)
                elif self._door.inode(self._files.collection(name).pending) is not None:
                    self._finish(name, load_pending(self._door, self._files.collection(name).pending))

    def _finish(self, collection_id: str, event: Mapping[str, Any]) -> None:
        is_listed = collection_id in self._catalog.ids().values()
        if event["event"] == DROPPED or is_listed:
            self._record(event)
        if event["event"] == CREATED and is_listed:
            self._door.remove(self._files.collection(collection_id).pending)
            return
        if is_listed:
            self._catalog.forget(collection_id)
        self._remove(collection_id)

    def _record(self, event: Mapping[str, Any]) -> None:
        """Put an event into the journal, unless it is there."""
        journal = self._journal()
        if any(other["collection"] == event["collection"] for _, other in journal.events(event["event"])):
            journal.force()  # whoever wrote it may have been killed before it was on the disk
        else:
            journal.append(event)

    def _remove(self, collection_id: str) -> None:
        """Remove the directory: at once for everybody, then file by file."""
        root = self._files.collection(collection_id).root
        with guarded(f"removing {root}"):
            gone = root.with_name(root.name + DROPPED_SUFFIX)
            self._door.rename(root, gone)
            self._door.remove_tree(gone)

    def _journal(self) -> Journal:
        journal = self._notary.journal()
        assert journal is not None, "a writer has one"
        return journal


def _end_of(store: Store, prover: Prover, by: str) -> dict[str, Any]:
    """The event of dropping a collection, while nobody writes to it."""
    history = store.history()
    return {
        "event": DROPPED,
        "collection": store.metadata.id,
        "name": store.metadata.name,
        "records": history.records_count,
        "root": prover.trusted_root(history, history.records_count).hex(),
        "by": by,
        "time_ms": store.surroundings.now_ms(),
    }
