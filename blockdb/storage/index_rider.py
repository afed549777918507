"""What comes of documents when they are committed: the entries that indexes get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from blockdb.documents.paths import Value
from blockdb.errors import UniqueViolation
from blockdb.format.ordered import MISSING
from blockdb.storage.commit import Unprepared
from blockdb.storage.index import Index
from blockdb.storage.index_keeper import IndexKeeper
from blockdb.storage.metadata import SchemaEntry

LOOK_MASK: Final = 63
"""After each 64 documents that come one by one it is looked whether an index is to be written to files."""


class IndexRider:
    """A `commit.Rider`: the entries of some documents, made before the write lock is taken."""

    __slots__ = ("_documents", "_indexes", "_keys", "_of", "_schemas", "_values")

    def __init__(
        self,
        indexes: IndexKeeper,
        schemas: tuple[SchemaEntry, ...],
        keys: Sequence[bytes],
        documents: Sequence[Mapping[str, Value]],
    ) -> None:
        """`schemas` are those that the documents were held against. Raises InvalidData for too many entries."""
        self._indexes = indexes
        self._schemas = schemas
        self._keys = keys
        self._documents = documents
        self._of = of = indexes.in_use
        self._values = [list(map(index.keyer, documents)) for index in of]

    def check(self) -> None:
        """Raises UniqueViolation where a unique index has the values of one of the documents, or two of them share.

        Raises Unprepared where there is another schema by now.
        """
        indexes = self._indexes
        if indexes.store.metadata.schemas is not self._schemas:
            raise Unprepared
        if indexes.in_use is not self._of:  # an index was made or dropped since
            self._of = indexes.in_use
            self._values = [list(map(index.keyer, self._documents)) for index in self._of]
        for index, values in zip(self._of, self._values, strict=True):
            if not index.is_unique:
                continue
            if len(values) > 1:
                self._check_each_other(index, values)
            place_of = index.view.place_of
            for several in values:
                for value in several:
                    place = place_of(value)
                    if place is not None:
                        raise violation(index, value, indexes.key_at(place))

    def _check_each_other(self, index: Index, values: Sequence[Sequence[bytes]]) -> None:
        """Whether no two documents of a batch have the same values."""
        seen: dict[bytes, bytes] = {}
        for key, several in zip(self._keys, values, strict=True):
            for value in several:
                if (other := seen.setdefault(value, key)) is not key:
                    raise violation(index, value, other)

    def take(self, first_sequence: int, places: Sequence[int]) -> None:
        """The records are written: now the entries are."""
        for index, values in zip(self._of, self._values, strict=True):
            index.add(values, places)
        if len(places) > 1 or not first_sequence & LOOK_MASK:
            self._indexes.watch_size()


def violation(index: Index, entry: bytes, key: bytes, other: bytes | None = None) -> UniqueViolation:
    """The error that says which record has the values of an entry of a unique index."""
    values = tuple(None if value is MISSING else value for value in index.values_of(entry))
    return UniqueViolation(index.definition.name, index.definition.fields, values, key, other)
