"""The indexes of a collection: opening their files, and following what its writer does with them."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from blockdb.documents.indexing import IndexDefinition
from blockdb.errors import Corruption
from blockdb.format.segment import HEADER_BYTES
from blockdb.layout import CollectionFiles
from blockdb.lsm.index_file import IndexFile
from blockdb.lsm.index_memory import IndexMemory
from blockdb.lsm.index_view import IndexView
from blockdb.storage import index_list
from blockdb.storage.door import Door, guarded
from blockdb.storage.index import Index
from blockdb.storage.index_build import entries_between
from blockdb.storage.index_list import IndexList, StoredIndex
from blockdb.storage.reader import Reader
from blockdb.types import IndexInfo

OPEN_ATTEMPTS = 20
"""A writer may merge files away between our reading the list and opening them; then we read it again."""


class Indexes:
    """The indexes of a collection, by name, as one that reads beside the writer sees them. Safe for threads.

    `notes` says what was found damaged.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.by_name: Mapping[str, Index] = {}
        self.notes: tuple[str, ...] = ()
        self.refreshing = Lock()
        self._identity: object = None
        self._reached: dict[str, int] = {}

    def refresh(self) -> None:
        """See what was written, and which indexes came and went, up to where the reader is. Raises StorageError."""
        reader = self._reader
        with self.refreshing, guarded("reading the indexes"):
            for _ in range(OPEN_ATTEMPTS):
                identity = reader.door.identity(reader.files.index_list)
                if identity == self._identity:
                    break
                self._read(index_list.load(reader.door, reader.files, reader.metadata.id))
                if reader.door.identity(reader.files.index_list) == identity:
                    self._identity = identity
            end = reader.end
            for index in self.by_name.values():
                start = self._reached[index.definition.id]
                if start < end:
                    catch_up(reader, index, start, end)
                    self._reached[index.definition.id] = end

    def forget(self) -> None:
        """Have everything read anew: values were erased."""
        with self.refreshing:
            self.let_go()

    def let_go(self) -> None:
        """The same, under the lock."""
        self.by_name, self._identity, self._reached = {}, None, {}

    def infos(self) -> tuple[IndexInfo, ...]:
        """What there is, in the order of names."""
        return tuple(self.info(index) for _, index in sorted(self.by_name.items()))

    def size_bytes(self) -> int:
        """What all index files take on the disk."""
        return sum(info.size_bytes for info in self.infos())

    def info(self, index: Index) -> IndexInfo:
        """What one of them is, and how large."""
        definition, view = index.definition, index.view
        return IndexInfo(
            name=definition.name,
            fields=definition.fields,
            unique=definition.unique,
            sparse=definition.sparse,
            entries=view.entries,
            size_bytes=sum(self._reader.door.disk_bytes(len(file.buffer)) for file in view.files),
            state="ready" if index.is_ready else "building",
            lookups=index.lookups,
        )

    def _read(self, stored: IndexList) -> None:
        known = {index.definition.id: index for index in self.by_name.values()}
        found, notes = {}, []
        for each in stored.indexes:
            definition = each.definition
            old = known.get(definition.id)
            try:
                opened = {file.header.number: file for file in old.view.files} if old is not None else {}
                files = open_files(self._reader, each, opened)
            except Corruption as error:
                notes.append(str(error))
                continue
            found[definition.name] = self._followed(each, files, old)
        self.by_name, self.notes = found, tuple(notes)
        self._reached = {index.definition.id: self._reached[index.definition.id] for index in found.values()}

    def _followed(self, stored: StoredIndex, files: tuple[IndexFile, ...], old: Index | None) -> Index:
        """The index with these files, and in memory what was read before and is not in them."""
        index_id, memory = stored.definition.id, IndexMemory(stored.covered, stored.covered_place)
        reached = self._reached.get(index_id, 0)
        if old is not None and old.view.memories[0].first_place <= stored.covered_place:
            entries = old.view.memories[0].index.items()
            memory.extend((entry, place) for entry, place in entries if place >= stored.covered_place)
            self._reached[index_id] = max(reached, stored.covered_place)
        else:
            self._reached[index_id] = stored.covered_place
        index = Index(stored.definition, IndexView((memory,), files, stored.definition.unique))
        index.lookups = old.lookups if old is not None else 0
        return index


def catch_up(reader: Reader, index: Index, start: int, stop: int) -> None:
    """Add the entries of the records between two places of the chain. O(bytes)."""
    memory = index.view.memories[0]
    for entries in entries_between(reader.chain, index.definition, start, stop):
        memory.extend(entries)


def open_files(reader: Reader, stored: StoredIndex, opened: Mapping[int, IndexFile]) -> tuple[IndexFile, ...]:
    """The files of an index, those that are open as they are. Raises Corruption where they do not join up."""
    files = tuple(
        opened.get(number) or open_file(reader.door, reader.files, reader.metadata.uuid, stored.definition, number)
        for number in stored.files
    )
    place, records = HEADER_BYTES, 0
    for file in files:
        if file.header.first_place != place:
            raise Corruption(file.path, 0, f"the index file does not begin at place {place}")
        place, records = file.header.end_place, records + file.header.records
    if (place, records) != (stored.covered_place, stored.covered):
        what = f"the files of {stored.definition.name} have {records} records, not {stored.covered}"
        raise Corruption(str(reader.files.index_list), None, what)
    return files


def open_file(
    door: Door, files: CollectionFiles, collection: bytes, definition: IndexDefinition, number: int
) -> IndexFile:
    """A file of an index. Raises Corruption, also where it is missing."""
    path = files.index_file(number)
    try:
        buffer = door.map_read(path)
    except FileNotFoundError:
        raise Corruption(str(path), None, "the index file is missing") from None
    except ValueError:
        raise Corruption(str(path), 0, "the index file is empty") from None
    file = IndexFile(buffer, str(path))
    header = file.header
    expected = (collection, definition.uuid, number, definition.unique)
    if (header.collection, header.index_id, header.number, header.unique) != expected:
        raise Corruption(str(path), 0, "the file holds another index")
    return file
