"""From what a caller gives to what is committed: documents are checked, and what is derived from them is made."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from blockdb.database.documents import Documents, Given, Rules
from blockdb.documents.values import Document, encode, parse, plain
from blockdb.errors import InvalidData
from blockdb.storage.checks import check_batch, check_pairs, check_value
from blockdb.storage.commit import Rider
from blockdb.storage.index_rider import BatchRider, IndexRider
from blockdb.storage.store import Store

Entry = tuple[Hashable, bytes]
"""A point that a transaction locks: its space, such as an index, and the point in it."""


class Prepared(NamedTuple):
    """Records that were found acceptable, and what goes along with them."""

    keys: Sequence[bytes]
    values: Sequence[bytes]
    rider: Rider | None = None
    entries: Sequence[Entry] = ()
    """What a transaction has to lock beside the keys: the entries that unique and other indexes get."""


class Preparation:
    """What one collection makes of the records that it is given. Safe for threads.

    Everything here happens outside of the write lock; what has to be looked at under it is the rider's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._documents = Documents(store)

    @property
    def is_plain(self) -> bool:
        """Whether values are bytes of which nothing is derived: then they need no preparation."""
        return not (self._store.metadata.schemas or self._store.indexes.by_name)

    def prepare(self, items: Sequence[tuple[bytes, Given]]) -> Prepared:
        """The records to commit. Raises InvalidData, ValidationError."""
        store, rules, indexes = self._store, self._documents.rules, self._store.indexes
        max_bytes = store.metadata.settings.max_document_size
        check_pairs(items)
        if not rules.entries and not indexes.by_name:
            return Prepared(*check_batch([(key, _bytes_of(value)) for key, value in items], max_bytes))
        if len(items) == 1:
            return self._prepare_one(*items[0], rules, max_bytes)
        keys, values, documents = self._admitted(items, rules, max_bytes)
        return Prepared(keys, values, BatchRider(indexes, rules.entries, keys, documents))

    def _admitted(
        self, items: Sequence[tuple[bytes, Given]], rules: Rules, max_bytes: int
    ) -> tuple[Sequence[bytes], Sequence[bytes], list[Document]]:
        if rules.validator is None:
            with suppress(InvalidData):  # which is told below, with the key
                keys, values = check_batch([(key, _bytes_of(value)) for key, value in items], max_bytes)
                return keys, values, list(map(parse, values))
        admitted = [(key, *self._documents.admit(key, value, rules)) for key, value in items]
        keys, values = check_batch([(key, value) for key, value, _ in admitted], max_bytes)
        return keys, values, [document for _, _, document in admitted]

    def _prepare_one(self, key: bytes, given: Given, rules: Rules, max_bytes: int) -> Prepared:
        """The same for a single document: most of them come so."""
        value, document = self._documents.admit(key, given, rules)
        rider = IndexRider(self._store.indexes, rules.entries, document)
        return Prepared((key,), (check_value(value, max_bytes),), rider)


def _bytes_of(value: Given) -> bytes:
    return encode(plain(value)) if type(value) is not bytes and isinstance(value, Mapping) else value
