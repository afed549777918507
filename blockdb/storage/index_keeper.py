"""The indexes of a collection in the hands of its writer: building, adding, flushing, merging, dropping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from os import getpid
from threading import RLock
from typing import Final

from blockdb.documents.indexing import IndexDefinition
from blockdb.errors import BlockDBError, Corruption, DuplicateIndex, IndexNotFound
from blockdb.format.index import GROUP, MAX_ENTRY_BYTES, IndexHeader, value_of
from blockdb.format.pages import HEADER_BYTES as FILE_HEADER_BYTES
from blockdb.layout import INDEX_SUFFIX, number_of
from blockdb.lsm import tiers
from blockdb.lsm.index_file import IndexFile
from blockdb.lsm.index_memory import IndexMemory
from blockdb.lsm.index_view import IndexView
from blockdb.storage import index_list
from blockdb.storage.background import Worker
from blockdb.storage.door import guarded
from blockdb.storage.index import Index
from blockdb.storage.index_build import (
    WORTHWHILE_ENTRIES,
    Doubled,
    build_from_chain,
    build_from_entries,
    build_from_files,
    build_in_process,
)
from blockdb.storage.index_list import StoredIndex
from blockdb.storage.indexes import Indexes, catch_up, open_file, open_files
from blockdb.storage.writer import Writer

MAX_UNCOVERED: Final = 250_000
"""So many records may have no entries in files, however few entries they have: opening reads them from the chain."""


class IndexKeeper(Indexes):
    """The indexes of a collection as its writer has them. Safe for threads.

    Locks are taken in this order: `_changing` (creating and dropping), the store's `compacting` (nothing is erased
    meanwhile), `_maintaining` (files), the store's `writing`.
    """

    def __init__(self, store: Writer) -> None:
        """Open them all, and have them catch up with the chain; what is damaged is built anew. Raises StorageError."""
        super().__init__(store)
        self._store = store
        self._full_bytes = store.config.memtable_size_limit // 4
        self._changing = RLock()
        self._maintaining = RLock()
        self._list = index_list.load(store.door, store.files, store.metadata.id)
        self._numbers = count(self._list.next_file)
        self._worker: Worker | None = None
        self.failure: BlockDBError | None = None
        """Why flushing or merging failed the last time, if it did and has not succeeded since."""
        if self._list.next_file == 1 and not self._list.indexes:
            return
        for stored in self._list.indexes:
            self.by_name = {**self.by_name, stored.definition.name: self._open(stored)}
        self._remove_unused()
        if self.by_name:
            store.needs_riders = True
            self._wake()

    def refresh(self) -> None:
        """They are as new as can be."""

    def key_at(self, place: int) -> bytes:
        """The key of the record at a place."""
        return self._store.chain.item_at(place)[0]

    # Opening.

    def _open(self, stored: StoredIndex) -> Index:
        store, definition = self._store, stored.definition
        try:
            if stored.covered_place > store.end or stored.covered > store.next_sequence:
                what = f"the index {definition.name} has more records than the chain"
                raise Corruption(str(store.files.index_list), None, what)
            files = open_files(store, stored, {})
        except Corruption as error:
            self.notes = (*self.notes, f"{error.path}: {error.what}; the index {definition.name} was built anew")
            stored, files = StoredIndex(definition), ()
            self._save(stored)
        if store.next_sequence - stored.covered > MAX_UNCOVERED:
            files = (*files, *self._built(stored, store.next_sequence, store.end, strict=False))
            stored = StoredIndex(definition, _numbers(files), store.next_sequence, store.end)
            self._save(stored)
        index = Index.of(definition, files, stored.covered, stored.covered_place)
        catch_up(store, index, stored.covered_place, store.end)
        return index

    def _built(self, stored: StoredIndex, records: int, end: int, *, strict: bool) -> tuple[IndexFile, ...]:
        """A file with the entries of all records after those that an index covers; none where there is no record."""
        start, definition = stored.covered_place, stored.definition
        if records == stored.covered:
            return ()
        self._make_directory()
        self._store.force()  # an index may not lead to what is not there
        header = self._header(definition, 0, start, end, records - stored.covered)
        chain = self._store.chain
        return (
            self._write(
                definition,
                header,
                header.records,
                (),
                lambda: build_from_chain(chain, definition, header, strict),
                strict=strict,
            ),
        )

    def _make_directory(self) -> None:
        with guarded("making the directory of indexes"):
            self._store.door.make_directory(self._store.files.indexes)

    # Creating and dropping.

    def create(self, definition: IndexDefinition) -> Index:
        """Make an index of all records, while others write more. O(n log n).

        Raises DuplicateIndex, Doubled, Unfit, Corruption, StorageError; nothing is left behind then.
        """
        store = self._store
        with self._changing:
            self._make_directory()
            with store.writing:
                store.check_open()
                if definition.name in self.by_name:
                    raise DuplicateIndex(definition.name)
                index = Index.of(definition, (), store.next_sequence, store.end)
                index.is_ready = False
                self.by_name = {**self.by_name, definition.name: index}
                store.needs_riders = True
            files: tuple[IndexFile, ...] = ()
            try:
                memory = index.view.memories[0]
                with store.upkeep.compacting:
                    stored = StoredIndex(definition)
                    files = self._built(stored, memory.first_sequence, memory.first_place, strict=True)
                    self._complete(index, files)
            except BaseException:
                with store.writing:
                    self._leave_out(definition.name)
                for file in files:
                    store.door.remove(store.files.index_file(file.header.number))
                raise
            self._wake()
            return index

    def _complete(self, index: Index, files: tuple[IndexFile, ...]) -> None:
        """Put what older records have beside what newer ones have. Raises Doubled, StorageError."""
        memory, definition = index.view.memories[0], index.definition
        checked = 0
        if definition.unique:
            checked = _check_distinct(memory, 0, files)
        with self._maintaining:
            with self._store.writing:
                if definition.unique:
                    _check_distinct(memory, checked, files)
                index.view = replace(index.view, files=files)
            self._save(StoredIndex(definition, _numbers(files), memory.first_sequence, memory.first_place))
            index.is_ready = True

    def drop(self, name: str) -> IndexDefinition:
        """Remove an index; who reads it may go on. Raises IndexNotFound, StorageError."""
        store = self._store
        with self._changing, self._maintaining:
            index = self.by_name.get(name)
            if index is None:
                raise IndexNotFound(name)
            without = self._list.without(index.definition.id)
            with guarded("writing the list of indexes"):
                index_list.save(store.door, store.files, without)
            self._list = without
            with store.writing:
                self._leave_out(name)
            self._remove(index.view.files)
            return index.definition

    def _leave_out(self, name: str) -> None:
        """Under the write lock."""
        self.by_name = {other: index for other, index in self.by_name.items() if other != name}
        self._store.needs_riders = bool(self.by_name)

    # Under the write lock.

    def watch_size(self) -> None:
        """After entries were added: have what is full written to files, beside the writers."""
        store = self._store
        for index in self.by_name.values():
            memory = index.view.memories[0]
            uncovered = store.next_sequence - memory.first_sequence
            if index.is_ready and (memory.size_bytes >= self._full_bytes or uncovered >= MAX_UNCOVERED):
                index.freeze(store.next_sequence, store.end)
                self._wake()

    def freeze(self, least_records: int) -> None:
        """Have everything written to files at the next flush, of indexes that lack so many records there."""
        store = self._store
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
                if len(index.view.files) > 1:
                    self._merge(index, index.view.files)

    def forget_records(self, places: frozenset[int]) -> None:
        """Remove the entries of redacted records from memory and files. O(bytes of those files).

        Doing it again does what is left to do. Raises StorageError, Corruption.
        """
        with self._maintaining:
            with self._store.writing:
                for index in self.by_name.values():
                    index.forget(places)
            for index in self.by_name.values():
                for file in index.view.files:
                    if any(file.header.first_place <= place < file.header.end_place for place in places):
                        self._rewrite(index, file, places)

    def close(self) -> None:
        """Stop what goes on in the background, and write what is frozen. Raises StorageError."""
        if self._worker is not None:
            self._worker.stop()
        self.flush()

    def _flush_oldest(self, index: Index) -> None:
        store, definition = self._store, index.definition
        newer, memory = index.view.memories[-2:]
        store.force()
        records = newer.first_sequence - memory.first_sequence
        header = self._header(definition, 0, memory.first_place, newer.first_place, records)
        entries = memory.index
        file = self._write(definition, header, len(memory), (), lambda: build_from_entries(entries.items(), header))
        files = (*index.view.files, file)
        self._save(StoredIndex(definition, _numbers(files), newer.first_sequence, newer.first_place))
        with store.writing:
            index.view = index.view.flushed(memory, file)

    def _merge(self, index: Index, files: Sequence[IndexFile]) -> None:
        definition = index.definition
        first, last = files[0].header, files[-1].header
        records = sum(file.header.records for file in files)
        header = self._header(definition, first.tier + 1, first.first_place, last.end_place, records)
        size = sum(map(len, files))
        whole = self._write(definition, header, size, _numbers(files), lambda: build_from_files(files, header))
        self._replace(index, files, whole)
        self._remove(files)

    def _replace(self, index: Index, files: Sequence[IndexFile], whole: IndexFile) -> None:
        view = index.view.merged(files, whole)
        oldest = view.memories[-1]
        self._save(StoredIndex(index.definition, _numbers(view.files), oldest.first_sequence, oldest.first_place))
        with self._store.writing:
            index.view = index.view.merged(files, whole)

    def _rewrite(self, index: Index, file: IndexFile, places: frozenset[int]) -> None:
        """Put another file in the place of one, without the entries of some records."""
        pieces = _pieces(file, places)
        if not pieces:
            return
        old, door, path = file.header, self._store.door, self._store.files.index_file(file.header.number)
        header = self._header(index.definition, old.tier, old.first_place, old.end_place, old.records)
        whole = self._write(index.definition, header, 0, (), lambda: build_from_files([file], header, without=places))
        self._replace(index, [file], whole)
        with guarded("erasing values from an index file"):
            door.overwrite(path, [(0, bytes(door.disk_size(path)))] if door.is_sealing else pieces)
            door.remove(path)

    def _merge_once(self) -> bool:
        for index in self.by_name.values():
            run = tiers.choose(index.view.files, self._store.config.compaction_threshold)
            if run is not None and sum(file.header.entry_bytes for file in index.view.files[run]) <= MAX_ENTRY_BYTES:
                self._merge(index, index.view.files[run])
                return True
        return False

    # Files.

    def _header(self, definition: IndexDefinition, tier: int, first: int, end: int, records: int) -> IndexHeader:
        collection, number = self._store.metadata.uuid, next(self._numbers)
        unique = int(definition.unique)
        return IndexHeader(collection, definition.uuid, number, tier, unique, first, end, records, 0, 0, 0, 0, 0)

    def _write(
        self,
        definition: IndexDefinition,
        header: IndexHeader,
        size: int,
        merged: Sequence[int],
        make: Callable[[], bytes],
        *,
        strict: bool = False,
    ) -> IndexFile:
        door, files = self._store.door, self._store.files
        path = files.index_file(header.number)
        temporary = path.with_name(f"{path.name}.{getpid()}.tmp")
        with guarded("writing an index file"):
            is_large = size >= WORTHWHILE_ENTRIES
            if not is_large or not build_in_process(door, files, definition, header, merged, temporary, strict):
                door.create(temporary, make())
            door.rename(temporary, path)
            return open_file(door, files, header.collection, definition, header.number)

    def _save(self, stored: StoredIndex) -> None:
        changed = self._list.with_index(stored)
        with guarded("writing the list of indexes"):
            index_list.save(self._store.door, self._store.files, changed)
        self._list = changed

    def _remove(self, files: Sequence[IndexFile]) -> None:
        """Remove files that count no longer. Where the system refuses, the next opening does it."""
        for file in files:
            with suppress(OSError):
                self._store.door.remove(self._store.files.index_file(file.header.number))

    def _remove_unused(self) -> None:
        """Remove what the list does not count: files that were merged, and what a killed writer left behind."""
        door, directory = self._store.door, self._store.files.indexes
        if door.inode(directory) is not None:
            for name in door.names(directory):
                if number_of(name, INDEX_SUFFIX) not in self._list.files():
                    door.remove(directory / name)

    def _wake(self) -> None:
        if self._worker is None:
            self._worker = Worker("blockdb-index", self._maintain)
        self._worker.wake()

    def _maintain(self) -> None:
        try:
            with self._maintaining:
                self.flush()
                while not self._store.closed and self._merge_once():
                    pass
            self.failure = None
        except BlockDBError as error:
            self.failure = error  # what is in memory stays there; the next time it is tried again


def _numbers(files: Sequence[IndexFile]) -> tuple[int, ...]:
    return tuple(file.header.number for file in files)


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


def _pieces(file: IndexFile, places: frozenset[int]) -> list[tuple[int, bytes]]:
    """Where a file has the values of records at some places, with the zeros that are to be there. O(entries)."""
    pieces, unique = [], bool(file.header.unique)
    offset, fence_offset = FILE_HEADER_BYTES, file.header.fences_offset
    for position, (entry, place) in enumerate(file.window(0, len(file))):
        is_fence = position % GROUP == 0
        if place in places:
            zeros = bytes(len(value_of(entry, unique)))
            pieces += [(offset, zeros), (fence_offset, zeros)] if is_fence else [(offset, zeros)]
        offset += len(entry)
        fence_offset += len(entry) if is_fence else 0
    return pieces
