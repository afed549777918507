"""From what a caller gives to what is committed: documents are checked, and what is derived from them is made."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blockdb.storage.checks import check_batch
from blockdb.storage.commit import Rider
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
        return True

    def prepare(self, items: Iterable[tuple[bytes, Given]]) -> Prepared:
        """The records to commit. Raises InvalidData, ValidationError."""
        keys, values = check_batch(items, self._store.metadata.settings.max_document_size)  # type: ignore[arg-type]
        return Prepared(keys, values)
