"""The indexes of a collection in the hands of its writer: building, adding, flushing, merging, dropping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import RLock
from typing import Final

from blockdb.documents.indexing import IndexDefinition
from blockdb.errors import BlockDBError, Corruption, DuplicateIndex, IndexNotFound, StorageError
from blockdb.format.index import MAX_ENTRY_BYTES
from blockdb.lsm import tiers
from blockdb.lsm.index_file import IndexFile
from blockdb.lsm.index_memory import IndexMemory
from blockdb.lsm.index_view import IndexView
from blockdb.storage.background import Task
from blockdb.storage.commons import Commons
from blockdb.storage.index import Index
from blockdb.storage.index_build import Doubled
from blockdb.storage.index_files import IndexFiles, pieces
from blockdb.storage.index_list import StoredIndex
from blockdb.storage.indexes import Indexes, catch_up, open_files
from blockdb.storage.metadata import SchemaEntry
from blockdb.storage.open_files import FLUSH_RECORDS
from blockdb.storage.parking import Tryable, resources
from blockdb.storage.writer import Writer

MAX_UNCOVERED: Final = 250_000
"""So many records may have no entries in files, however few entries they have: opening reads them from the chain."""

_RESOURCES: Final = ("by_name", "in_use")
"""What there is of an index while its collection is not parked."""

RETRY_S: Final = 1.0
"""How long after a failure it is tried again."""


class IndexKeeper(Indexes):
    """The indexes of a collection as its writer has them. Safe for threads.

    Locks are taken in this order: `_changing` (creating and dropping), the store's `compacting` (nothing is erased
    meanwhile), `_maintaining` (files), the store's `writing`.
    """

    def __init__(self, store: Writer, commons: Commons) -> None:
        """Open them all, and have them catch up with the chain; what is damaged is built anew. Raises StorageError."""
        super().__init__(store)
        self.store = store
        self._changing = RLock()
        self._maintaining = RLock()
        self._crew = commons.indexing
        self._task: Task | None = None
        self.failure: BlockDBError | None = None
        """Why flushing or merging failed the last time, if it did and has not succeeded since."""
        self.in_use: tuple[Index, ...] = ()
        """Those to which entries are added, also while they are being built."""
        self._files = IndexFiles(store)
        self._budget = commons.indexes
        self.begin()

    def begin(self) -> None:
        """Open them, perhaps once more."""
        by_name = {stored.definition.name: self._open(stored) for stored in self._files.stored}
        self._files.remove_unused()
        self._use(by_name)
        self.go_on()
        if by_name:
            self._wake()

    # Parking.

    @property
    def locks(self) -> tuple[Tryable, ...]:
        """Whoever holds one of these is at work."""
        return self._changing, self._maintaining

    def pause(self) -> bool:
        """Leave the files alone, unless there is something to do, and say so. Under all locks."""
        self.freeze(FLUSH_RECORDS)
        if any(len(index.view.memories) > 1 or not index.is_ready for index in self.by_name.values()):
            self._wake()
            return False
        return self.failure is None and (self._task is None or self._task.try_stop())

    def go_on(self) -> None:
        """Have it done again, after a pause."""
        if self._task is not None:
            self._task.resume()

    def let_go(self) -> None:
        """Forget what is open: `begin` opens it again."""
        self._budget.discard(self)
        for name in _RESOURCES:
            vars(self).pop(name, None)

    @property
    def unparking(self) -> Tryable:
        """The lock of the collection under which it is parked and opened."""
        return self.store.unparking

    def unpark(self) -> None:
        """Somebody asks for what was let go of."""
        self.store.unpark()

    def refresh(self) -> None:
        """They are as new as can be."""

    def are_as_before(self, in_use: tuple[Index, ...], schemas: tuple[SchemaEntry, ...]) -> bool:
        """Under the write lock: whether the collection has the same indexes and the same schema as it had."""
        return in_use is self.in_use and schemas is self.store.metadata.schemas

    def key_at(self, place: int) -> bytes:
        """The key of the record at a place."""
        return self.store.chain.item_at(place)[0]

    def _open(self, stored: StoredIndex) -> Index:
        store, definition = self.store, stored.definition
        try:
            if stored.covered_place > store.end or stored.covered > store.next_sequence:
                what = f"the index {definition.name} has more records than the chain"
                raise Corruption(str(store.files.index_list), None, what)
            files = open_files(store, stored, {})
        except Corruption as error:
            self.notes = (*self.notes, f"{error.path}: {error.what}; the index {definition.name} was built anew")
            stored, files = StoredIndex(definition), ()
            self._files.save(definition)
        covered, place = stored.covered, stored.covered_place
        if store.next_sequence - covered > MAX_UNCOVERED:
            files = (*files, *self._files.of_chain(stored, store.next_sequence, store.end, strict=False))
            covered, place = store.next_sequence, store.end
            self._files.save(definition, files, covered, place)
        index = self._index(definition, files, covered, place)
        catch_up(store, index, place, store.end)
        return index

    def _index(self, definition: IndexDefinition, files: tuple[IndexFile, ...], records: int, place: int) -> Index:
        index = Index.of(definition, files, records, place)
        index.on_damage = self._wake
        return index

    # Creating and dropping.

    def create(self, definition: IndexDefinition) -> Index:
        """Make an index of all records, while others write more. O(n log n).

        Raises DuplicateIndex, Doubled, Unfit, Corruption, StorageError; nothing is left behind then.
        """
        store = self.store
        with self._changing:
            self._files.make_directory()
            with store.writing:
                store.check_open()
                if definition.name in self.by_name:
                    raise DuplicateIndex(definition.name)
                index = self._index(definition, (), store.next_sequence, store.end)
                index.is_ready = False
                self._use({**self.by_name, definition.name: index})
                store.look_for_riders()
            files: tuple[IndexFile, ...] = ()
            try:
                memory = index.view.memories[0]
                with store.upkeep.compacting:
                    stored = StoredIndex(definition)
                    files = self._files.of_chain(stored, memory.first_sequence, memory.first_place, strict=True)
                    self._complete(index, files)
            except BaseException:
                with store.writing:
                    self._leave_out(definition.name)
                self._files.remove(files)
                raise
            self._wake()
            return index

    def _complete(self, index: Index, files: tuple[IndexFile, ...]) -> None:
        """Put what older records have beside what newer ones have. Raises Doubled, StorageError."""
        memory, definition = index.view.memories[0], index.definition
        checked = _check_distinct(memory, 0, files) if definition.unique else 0
        with self._maintaining:
            with self.store.writing:
                if definition.unique:
                    _check_distinct(memory, checked, files)
                index.see(replace(index.view, files=files))
            self._files.save(definition, files, memory.first_sequence, memory.first_place)
            index.is_ready = True

    def drop(self, name: str) -> IndexDefinition:
        """Remove an index; who reads it may go on. Raises IndexNotFound, StorageError."""
        with self._changing, self._maintaining:
            index = self.by_name.get(name)
            if index is None:
                raise IndexNotFound(name)
            self._files.leave_out(index.definition)
            with self.store.writing:
                self._leave_out(name)
            self._files.remove(index.view.files)
            return index.definition

    def _leave_out(self, name: str) -> None:
        self._use({other: index for other, index in self.by_name.items() if other != name})
        self.store.look_for_riders()

    def _use(self, by_name: dict[str, Index]) -> None:
        """Under the write lock: these are the indexes from now on."""
        self.by_name, self.in_use = by_name, tuple(by_name.values())

    # Under the write lock.

    def watch_size(self) -> None:
        """After entries were added: have what is full written to files, beside the writers."""
        store, full_bytes = self.store, self._budget.share_of(self)
        for index in self.by_name.values():
            memory = index.view.memories[0]
            uncovered = store.next_sequence - memory.first_sequence
            if (memory.size_bytes >= full_bytes or uncovered >= MAX_UNCOVERED) and index.is_ready:
                index.freeze(store.next_sequence, store.end)
                self._wake()

    def freeze(self, least_records: int) -> None:
        """Have everything written to files at the next flush, of indexes that lack so many records there."""
        store = self.store
        for index in self.by_name.values():
            if index.is_ready and store.next_sequence - index.view.memories[0].first_sequence >= least_records:
                index.freeze(store.next_sequence, store.end)

    # Without it.

    def flush(self) -> None:
        """Write what was frozen to files. Raises StorageError, Corruption."""
        with self._maintaining:
            for index in self.by_name.values():
                while index.is_ready and len(index.view.memories) > 1:
                    self._flush_oldest(index)

    def compact(self) -> None:
        """Make one file of each index. Raises StorageError, Corruption."""
        with self._maintaining:
            for index in self.by_name.values():
                if len(index.view.files) > 1 and _fit(index.view.files):
                    self._merge(index, index.view.files)

    def forget_records(self, places: frozenset[int]) -> None:
        """Remove the entries of redacted records from memory and files. O(bytes of those files).

        Doing it again does what is left to do. Raises StorageError, Corruption.
        """
        with self._maintaining:
            with self.store.writing:
                for index in self.by_name.values():
                    index.forget(places)
            for index in self.by_name.values():
                for file in index.view.files:
                    first, end = file.header.first_place, file.header.end_place
                    if any(first <= place < end for place in places) and pieces(file, places):
                        self._replace(index, [file], self._files.without(index.definition, file, places))
                        self._files.erase(file, places)

    def close(self) -> None:
        """Stop what goes on in the background, and write what is frozen. Raises StorageError."""
        self._budget.discard(self)
        if self._task is not None:
            self._task.stop()
        self.flush()

    def _flush_oldest(self, index: Index) -> None:
        newer, memory = index.view.memories[-2:]
        file = self._files.of_memory(index.definition, memory, newer)
        files = (*index.view.files, file)
        self._files.save(index.definition, files, newer.first_sequence, newer.first_place)
        with self.store.writing:
            index.see(index.view.flushed(memory, file))

    def _merge(self, index: Index, files: Sequence[IndexFile]) -> None:
        self._replace(index, files, self._files.of_files(index.definition, files))
        self._files.remove(files)

    def _replace(self, index: Index, files: Sequence[IndexFile], whole: IndexFile) -> None:
        """Have another file count in the place of some."""
        oldest, merged = index.view.memories[-1], index.view.merged(files, whole)
        self._files.save(index.definition, merged.files, oldest.first_sequence, oldest.first_place)
        with self.store.writing:
            index.see(index.view.merged(files, whole))

    def _heal(self) -> None:
        """Make anew what turned out to be damaged. Raises StorageError, Corruption."""
        damaged = [index for index in self.by_name.values() if index.is_damaged]
        if damaged:
            with self.store.upkeep.compacting, self._maintaining:
                for index in damaged:
                    self._rebuild(index)

    def _rebuild(self, index: Index) -> None:
        definition, old, oldest = index.definition, index.view.files, index.view.memories[-1]
        for file in old:
            try:
                file.check()
            except Corruption as error:
                self.notes = (*self.notes, f"{error.path}: {error.what}; the index {definition.name} was built anew")
        records, place = oldest.first_sequence, oldest.first_place
        files = self._files.of_chain(StoredIndex(definition), records, place, strict=False)
        self._files.save(definition, files, records, place)
        with self.store.writing:
            index.see(replace(index.view, files=files))
        index.is_damaged = False
        self._files.remove(old)

    def _merge_once(self) -> bool:
        for index in self.by_name.values():
            files = index.view.files
            run = tiers.choose(files, self.store.config.compaction_threshold)
            if run is not None and _fit(files[run]):
                self._merge(index, files[run])
                return True
        return False

    def _wake(self, delay_s: float = 0.0) -> None:
        try:
            if self._task is None:
                self._task = self._crew.task(self._maintain)
            self._task.wake(delay_s)
        except StorageError as error:
            self.failure = error

    def _maintain(self) -> None:
        try:
            self._heal()
            with self._maintaining:
                self.flush()
                while not self.store.closed and self._merge_once():
                    pass
            self.failure = None
        except BlockDBError as error:
            self.failure = error  # what is in memory stays there
            self._wake(RETRY_S)


resources(IndexKeeper, *_RESOURCES)


def _fit(files: Sequence[IndexFile]) -> bool:
    """Whether one file has room for what several have."""
    return sum(file.header.entry_bytes for file in files) <= MAX_ENTRY_BYTES


def _check_distinct(memory: IndexMemory, first: int, files: Sequence[IndexFile]) -> int:
    """Whether no entry of the memory, from the first that is to be looked at on, is in a file; says how many there are.

    Raises Doubled.
    """
    view, size = IndexView((), tuple(files), True), len(memory)
    for entry in memory.keys_after(first, size):
        other = view.place_of(entry)
        if other is not None:
            raise Doubled(entry, memory.index[entry], other)
    return size
