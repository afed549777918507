"""The list of a collection's indexes, and which of their files count. Format page: docs/formats/checked-toml.md."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Final

from blockdb.documents.indexing import IndexDefinition
from blockdb.errors import Corruption, InvalidData
from blockdb.format.segment import HEADER_BYTES
from blockdb.layout import CollectionFiles
from blockdb.storage.door import Door
from blockdb.storage.manifest import load_checked, save_checked

INDEXES: Final = "indexes"


@dataclass(frozen=True)
class StoredIndex:
    """An index, and how far its files go: they have the first `covered` records, which are those before a place."""

    definition: IndexDefinition
    files: tuple[int, ...] = ()
    """Oldest first."""
    covered: int = 0
    covered_place: int = HEADER_BYTES


@dataclass(frozen=True)
class IndexList:
    """All indexes of a collection."""

    collection: str
    next_file: int = 1
    indexes: tuple[StoredIndex, ...] = ()

    def with_index(self, index: StoredIndex) -> IndexList:
        """The list with an index in the place of that with the same id, or behind the others."""
        by_id = {other.definition.id: other for other in self.indexes} | {index.definition.id: index}
        next_file = max([self.next_file - 1, *index.files]) + 1
        return replace(self, indexes=tuple(by_id.values()), next_file=next_file)

    def without(self, index_id: str) -> IndexList:
        """The list without an index."""
        return replace(self, indexes=tuple(other for other in self.indexes if other.definition.id != index_id))

    def files(self) -> frozenset[int]:
        """The numbers of all files that count."""
        return frozenset(number for index in self.indexes for number in index.files)


def load(door: Door, files: CollectionFiles, collection: str) -> IndexList:
    """The list on disk; an empty one where there is none. Raises Corruption."""
    path = files.index_list
    if door.inode(path) is None:
        return IndexList(collection)
    try:
        values = load_checked(door, path, INDEXES)
        indexes = tuple(map(_stored, values.pop("indexes")))
        found = IndexList(indexes=indexes, **values)
    except (KeyError, TypeError, ValueError, InvalidData) as error:
        raise Corruption(str(path), None, f"its contents are not those of indexes: {error}") from None
    if found.collection != collection:
        raise Corruption(str(path), None, "the indexes are those of another collection")
    return found


def save(door: Door, files: CollectionFiles, indexes: IndexList) -> None:
    """Put the list in the place of the one on disk, at once."""
    values = [{**asdict(index.definition), **_state(index)} for index in indexes.indexes]
    described = {"collection": indexes.collection, "next_file": indexes.next_file, "indexes": values}
    save_checked(door, files.index_list, INDEXES, described)


def _state(index: StoredIndex) -> dict[str, object]:
    return {"files": index.files, "covered": index.covered, "covered_place": index.covered_place}


def _stored(values: dict[str, object]) -> StoredIndex:
    state = {key: values.pop(key) for key in ("files", "covered", "covered_place")}
    definition = definition_of(values)
    return StoredIndex(definition, tuple(state.pop("files")), **state)  # type: ignore[arg-type]


def definition_of(values: dict[str, object]) -> IndexDefinition:
    """The definition that a file or an event has. Raises TypeError, ValueError, InvalidData."""
    definition = IndexDefinition(**{**values, "fields": tuple(values["fields"])})  # type: ignore[arg-type]
    definition.check()
    _ = definition.uuid
    return definition
