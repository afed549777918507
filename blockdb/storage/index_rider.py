"""What comes of documents when they are committed: the entries that indexes get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
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
    """A `commit.Rider`: the entries of a document, made before the write lock is taken.

    Raises Unprepared under it where there are other indexes, or another schema, by then.
    """

    __slots__ = ("_in_use", "_indexes", "_schemas", "_values")

    def __init__(self, indexes: IndexKeeper, schemas: tuple[SchemaEntry, ...], document: Mapping[str, Value]) -> None:
        """`schemas` are those that the document was held against. Raises InvalidData for too many entries."""
        self._indexes = indexes
        self._schemas = schemas
        self._in_use = in_use = indexes.in_use
        self._values = [index.keyer(document) for index in in_use]

    def check(self) -> None:
        """Raises UniqueViolation where a unique index has the values of the document, and Unprepared."""
        indexes = self._indexes
        if not indexes.are_as_before(self._in_use, self._schemas):
            raise Unprepared
        for index, values in zip(self._in_use, self._values, strict=True):
            if index.is_unique:
                check_unique(indexes, index, values)

    def first_violation(self, before: int | None) -> UniqueViolation | None:
        """What `check` raises, if a record before a place is in the way: the same whatever the files are like."""
        return _first_violation(self._indexes, self._in_use, [[values] for values in self._values], before)

    def take(self, first_sequence: int, places: Sequence[int]) -> None:
        """The record is written: now the entries are."""
        for index, values in zip(self._in_use, self._values, strict=True):
            index.add(values, places[0])
        if not first_sequence & LOOK_MASK:
            self._indexes.watch_size()


class BatchRider:
    """The same for several documents."""

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
        self._in_use = indexes.in_use
        self._values = [list(map(index.keyer, documents)) for index in self._in_use]

    def check(self) -> None:
        """Raises UniqueViolation, also where two of the documents have the same values, and Unprepared."""
        indexes = self._indexes
        if not indexes.are_as_before(self._in_use, self._schemas):
            raise Unprepared
        for index, values in zip(self._in_use, self._values, strict=True):
            if index.is_unique:
                distinct = dict.fromkeys(value for several in values for value in several)
                if len(distinct) < sum(map(len, values)):
                    self._refuse_repeated(index, values)
                stored = index.view.first_stored(list(distinct))
                if stored is not None:
                    check_unique(indexes, index, (stored,))

    def _refuse_repeated(self, index: Index, values: Sequence[Sequence[bytes]]) -> None:
        seen: dict[bytes, bytes] = {}
        for key, several in zip(self._keys, values, strict=True):
            for value in several:
                if value in seen:
                    raise violation(index, value, seen[value])
                seen[value] = key

    def first_violation(self, before: int | None) -> UniqueViolation | None:
        """As that of an `IndexRider`; two of the documents may be in each other's way too."""
        for index, values in zip(self._in_use, self._values, strict=True):
            if index.is_unique:
                try:
                    self._refuse_repeated(index, values)
                except UniqueViolation as error:
                    return error
        return _first_violation(self._indexes, self._in_use, self._values, before)

    def take(self, first_sequence: int, places: Sequence[int]) -> None:
        """The records are written: now the entries are."""
        for index, values in zip(self._in_use, self._values, strict=True):
            index.add_many(values, places)
        self._indexes.watch_size()


def _first_violation(
    indexes: IndexKeeper,
    in_use: Sequence[Index],
    values: Sequence[Sequence[Sequence[bytes]]],
    before: int | None,
) -> UniqueViolation | None:
    """By the names of the indexes, then in the order of the documents."""
    for index, of_documents in sorted(zip(in_use, values, strict=True), key=_name):
        for value in chain.from_iterable(of_documents) if index.is_unique else ():
            place = index.view.place_of(value)
            if place is not None and (before is None or place < before):
                return violation(index, value, indexes.key_at(place))
    return None


def _name(pair: tuple[Index, object]) -> str:
    return pair[0].definition.name


def check_unique(indexes: IndexKeeper, index: Index, values: Sequence[bytes]) -> None:
    """Raises UniqueViolation where a unique index has some of these values."""
    place_of = index.view.place_of
    for value in values:
        place = place_of(value)
        if place is not None:
            raise violation(index, value, indexes.key_at(place))


def violation(index: Index, entry: bytes, key: bytes, other: bytes | None = None) -> UniqueViolation:
    """The error that says which record has the values of an entry of a unique index."""
    values = tuple(None if value is MISSING else value for value in index.values_of(entry))
    return UniqueViolation(index.definition.name, index.definition.fields, values, key, other)
