"""What the indexes of a collection get of a commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blockdb.documents.paths import Value
from blockdb.errors import UniqueViolation
from blockdb.format.ordered import MISSING
from blockdb.storage.index import Index
from blockdb.storage.index_keeper import IndexKeeper


class IndexRider:
    """A `commit.Rider`: the entries of some documents, made before the write lock is taken."""

    __slots__ = ("_by_name", "_documents", "_indexes", "_keys", "_values")

    def __init__(self, indexes: IndexKeeper, keys: Sequence[bytes], documents: Sequence[Mapping[str, Value]]) -> None:
        """Raises InvalidData where a document has too many entries."""
        self._indexes = indexes
        self._keys = keys
        self._documents = documents
        self._make_values()

    def _make_values(self) -> None:
        by_name = self._by_name = self._indexes.by_name
        documents = self._documents
        self._values = [(index, [index.keyer(document) for document in documents]) for index in by_name.values()]

    def check(self) -> None:
        """Raises UniqueViolation where a unique index has the values of one of the documents, or two of them share."""
        if self._indexes.by_name is not self._by_name:  # an index was made or dropped since
            self._make_values()
        for index, values in self._values:
            if index.definition.unique:
                self._check_unique(index, values)

    def _check_unique(self, index: Index, values: Sequence[Sequence[bytes]]) -> None:
        place_of, seen = index.view.place_of, dict[bytes, bytes]()
        is_alone = len(values) == 1
        for key, several in zip(self._keys, values, strict=True):
            for value in several:
                if not is_alone and (other := seen.setdefault(value, key)) is not key:
                    raise violation(index, value, other)
                place = place_of(value)
                if place is not None:
                    raise violation(index, value, self._indexes.key_at(place))

    def take(self, first_sequence: int, places: Sequence[int]) -> None:
        """The records are written: now the entries are."""
        for index, values in self._values:
            index.add(values, places)
        self._indexes.watch_size()


def violation(index: Index, entry: bytes, key: bytes, other: bytes | None = None) -> UniqueViolation:
    """The error that says which record has the values of an entry of a unique index."""
    values = tuple(None if value is MISSING else value for value in index.values_of(entry))
    return UniqueViolation(index.definition.name, index.definition.fields, values, key, other)
