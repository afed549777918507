"""The files of indexes on the disk, and the list that says which of them count. Who uses them takes care of locks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from os import getpid

from blockdb.documents.indexing import IndexDefinition
from blockdb.format.index import GROUP, IndexHeader, value_of
from blockdb.format.pages import HEADER_BYTES
from blockdb.layout import INDEX_SUFFIX, number_of
from blockdb.lsm.index_file import IndexFile
from blockdb.lsm.index_memory import IndexMemory
from blockdb.storage import index_list
from blockdb.storage.door import guarded
from blockdb.storage.index_build import (
    WORTHWHILE_ENTRIES,
    build_from_chain,
    build_from_entries,
    build_from_files,
    build_in_process,
)
from blockdb.storage.index_list import StoredIndex
from blockdb.storage.indexes import open_file
from blockdb.storage.reader import Reader


class IndexFiles:
    """The index files of a collection, in the hands of its writer. Methods raise StorageError, and Corruption."""

    def __init__(self, store: Reader) -> None:
        self._store = store
        self._door, self._files = store.door, store.files
        self._list = index_list.load(store.door, store.files, store.metadata.id)
        self._numbers = count(self._list.next_file)

    @property
    def stored(self) -> tuple[StoredIndex, ...]:
        """The indexes on the list."""
        return self._list.indexes

    # The list.

    def save(
        self, definition: IndexDefinition, files: Sequence[IndexFile] = (), covered: int = 0, place: int = 0
    ) -> None:
        """Have these files count as those of an index, with the first `covered` records, up to a place."""
        stored = StoredIndex(definition, tuple(file.header.number for file in files), covered, place)
        self._replace_list(self._list.with_index(stored if covered else StoredIndex(definition)))

    def leave_out(self, definition: IndexDefinition) -> None:
        """Have an index count no longer."""
        self._replace_list(self._list.without(definition.id))

    def _replace_list(self, changed: index_list.IndexList) -> None:
        with guarded("writing the list of indexes"):
            index_list.save(self._door, self._files, changed)
        self._list = changed

    # Making files.

    def make_directory(self) -> None:
        """Make the directory of index files, if there is none."""
        with guarded("making the directory of indexes"):
            self._door.make_directory(self._files.indexes)

    def of_chain(self, stored: StoredIndex, records: int, end: int, *, strict: bool) -> tuple[IndexFile, ...]:
        """A file of all records up to a place that an index does not have; none where it has all of them.

        O(n log n). Raises Doubled, and, where it is strict, Unfit.
        """
        if records == stored.covered:
            return ()
        self.make_directory()
        self._store.force()  # an index may not lead to what is not there
        definition, chain = stored.definition, self._store.chain
        header = self._header(definition, 0, stored.covered_place, end, records - stored.covered)
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

    def of_memory(self, definition: IndexDefinition, memory: IndexMemory, newer: IndexMemory) -> IndexFile:
        """The file of a memory that another one goes on from. O(n log n)."""
        self._store.force()
        records = newer.first_sequence - memory.first_sequence
        header = self._header(definition, 0, memory.first_place, newer.first_place, records)
        entries = memory.index
        return self._write(definition, header, len(memory), (), lambda: build_from_entries(entries.items(), header))

    def of_files(self, definition: IndexDefinition, files: Sequence[IndexFile]) -> IndexFile:
        """The file of what neighbouring ones have. O(n log k)."""
        first, last = files[0].header, files[-1].header
        records = sum(file.header.records for file in files)
        header = self._header(definition, first.tier + 1, first.first_place, last.end_place, records)
        numbers = [file.header.number for file in files]
        return self._write(definition, header, sum(map(len, files)), numbers, lambda: build_from_files(files, header))

    def without(self, definition: IndexDefinition, file: IndexFile, places: frozenset[int]) -> IndexFile:
        """The file of what another one has, without the records at some places. O(n)."""
        old = file.header
        header = self._header(definition, old.tier, old.first_place, old.end_place, old.records)
        return self._write(definition, header, 0, (), lambda: build_from_files([file], header, without=places))

    def _header(self, definition: IndexDefinition, tier: int, first: int, end: int, records: int) -> IndexHeader:
        collection, number, unique = self._store.metadata.uuid, next(self._numbers), int(definition.unique)
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
        door, files = self._door, self._files
        path = files.index_file(header.number)
        temporary = path.with_name(f"{path.name}.{getpid()}.tmp")
        with guarded("writing an index file"):
            is_large = size >= WORTHWHILE_ENTRIES
            if not is_large or not build_in_process(door, files, definition, header, merged, temporary, strict):
                door.create(temporary, make())
            door.rename(temporary, path)
            return open_file(door, files, header.collection, definition, header.number)

    # Removing files.

    def remove(self, files: Sequence[IndexFile]) -> None:
        """Remove files that count no longer. Where the system refuses, the next opening does it."""
        for file in files:
            with suppress(OSError):
                self._door.remove(self._files.index_file(file.header.number))

    def remove_unused(self) -> None:
        """Remove what the list does not count: files that were merged, and what a killed writer left behind."""
        with guarded("removing index files"):
            if self._door.inode(self._files.indexes) is not None:
                for name in self._door.names(self._files.indexes):
                    if number_of(name, INDEX_SUFFIX) not in self._list.files():
                        self._door.remove(self._files.indexes / name)

    def erase(self, file: IndexFile, places: frozenset[int]) -> None:
        """Overwrite what a file that counts no longer has of some records, and remove it. O(n)."""
        door, path = self._door, self._files.index_file(file.header.number)
        with guarded("erasing values from an index file"):
            door.overwrite(path, [(0, bytes(door.disk_size(path)))] if door.is_sealing else pieces(file, places))
            door.remove(path)


def pieces(file: IndexFile, places: frozenset[int]) -> list[tuple[int, bytes]]:
    """Where a file has the values of records at some places, with the zeros that are to be there. O(entries)."""
    found, unique = [], bool(file.header.unique)
    offset, fence_offset = HEADER_BYTES, file.header.fences_offset
    for position, (entry, place) in enumerate(file.window(0, len(file))):
        is_fence = position % GROUP == 0
        if place in places:
            zeros = bytes(len(value_of(entry, unique)))
            found += [(offset, zeros), (fence_offset, zeros)] if is_fence else [(offset, zeros)]
        offset += len(entry)
        fence_offset += len(entry) if is_fence else 0
    return found
