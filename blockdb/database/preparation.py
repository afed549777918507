"""From what a caller gives to what is committed: documents are checked, and what is derived from them is made."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blockdb.documents.values import encode, parse, plain
from blockdb.storage.checks import check_batch, check_key, check_value
from blockdb.storage.commit import Rider
from blockdb.storage.index_rider import IndexRider
from blockdb.storage.store import Store

Given = bytes | Mapping[str, Any]
"""A value as a caller gives it: bytes, or a document for a collection of documents."""

Entry = tuple[Hashable, bytes]
"""A point that a transaction locks: its space, such as an index, and the point in it."""


@dataclass(frozen=True, slots=True)
class Prepared:
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

    @property
    def is_plain(self) -> bool:
        """Whether values are bytes of which nothing is derived: then they need no preparation."""
        return not self._store.indexes.by_name

    def prepare(self, items: Sequence[tuple[bytes, Given]]) -> Prepared:
        """The records to commit. Raises InvalidData, ValidationError."""
        store, max_bytes = self._store, self._store.metadata.settings.max_document_size
        if self.is_plain:
            return Prepared(*check_batch(items, max_bytes))  # type: ignore[arg-type]
        if len(items) == 1:
            [(key, given)] = items
            value = check_value(_encoded(given), max_bytes)
            return Prepared((check_key(key),), (value,), IndexRider(store.indexes, (key,), (parse(value),)))
        keys, values = check_batch([(key, _encoded(value)) for key, value in items], max_bytes)
        return Prepared(keys, values, IndexRider(store.indexes, keys, list(map(parse, values))))


def _encoded(value: Given) -> bytes:
    return encode(plain(value)) if isinstance(value, Mapping) else value
