"""From what a caller gives to what is committed: documents are checked, and what is derived from them is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from blockdb.database.documents import Documents, Given
from blockdb.documents.values import encode, plain
from blockdb.errors import InvalidData
from blockdb.format.checks import by_keys, check_key, check_records, check_value, unzipped
from blockdb.storage.commit import Prepared
from blockdb.storage.index_rider import BatchRider, IndexRider
from blockdb.storage.store import Store


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
        return not self._store.needs_riders

    def prepare(self, items: Sequence[tuple[bytes, Given]]) -> Prepared:
        """The records to commit. Raises InvalidData, ValidationError."""
        max_bytes = self._store.metadata.settings.max_document_size
        if self.is_plain:
            return _plain(items, max_bytes)
        keys, given = unzipped(items)
        rules, admit = self._documents.rules, self._documents.admit
        indexes = self._store.indexes
        if len(keys) == 1:  # in half the time
            value, document = admit(check_key(keys[0]), given[0], rules)
            return Prepared(keys, (check_value(value, max_bytes),), IndexRider(indexes, rules.entries, document))
        admitted = [admit(check_key(key), value, rules) for key, value in zip(keys, given, strict=True)]
        values = tuple(value for value, _ in admitted)
        check_records(keys, values, max_bytes)
        documents = [document for _, document in admitted]
        return Prepared(keys, values, BatchRider(indexes, rules.entries, keys, documents))


def _plain(items: Sequence[tuple[bytes, Given]], max_bytes: int) -> Prepared:
    by_key = by_keys(items)
    keys, given = unzipped(items) if by_key is None else (tuple(by_key), tuple(by_key.values()))
    try:
        checked = check_records(keys, cast("tuple[bytes, ...]", given), max_bytes)  # it looks at all types
        return Prepared(*checked, None, cast("dict[bytes, bytes] | None", by_key))
    except InvalidData:  # perhaps there are documents among them
        return Prepared(*check_records(keys, tuple(map(_bytes_of, given)), max_bytes))


def _bytes_of(given: Given) -> bytes:
    return given if type(given) is bytes or not isinstance(given, Mapping) else encode(plain(given))
