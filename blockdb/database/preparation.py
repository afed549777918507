"""From what a caller gives to what is committed: documents are checked, and what is derived from them is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blockdb.database.documents import DocumentRider, Documents, Given
from blockdb.documents.values import encode, plain
from blockdb.storage.checks import check_batch, check_pairs
from blockdb.storage.commit import Rider
from blockdb.storage.index_rider import IndexRider
from blockdb.storage.store import Store


@dataclass(frozen=True, slots=True)
class Prepared:
    """Records that were found acceptable, and what goes along with them."""

    keys: Sequence[bytes]
    values: Sequence[bytes]
    rider: Rider | None = None


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
        admitted = [(key, *self._documents.admit(key, value, rules)) for key, value in items]
        keys, values = check_batch([(key, value) for key, value, _ in admitted], max_bytes)
        rider = IndexRider(indexes, keys, [document for _, _, document in admitted])
        return Prepared(keys, values, DocumentRider(store, rules, rider))


def _bytes_of(value: Given) -> bytes:
    return encode(plain(value)) if isinstance(value, Mapping) else value
