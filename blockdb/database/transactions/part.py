"""What a transaction has to do with one collection: what it wrote there, and how it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from blockdb.database.documents import Given
from blockdb.database.preparation import Preparation
from blockdb.database.transactions.gate import CollectionGate
from blockdb.database.transactions.reads import Reads
from blockdb.documents.document import Document
from blockdb.errors import DuplicateKey, InvalidData
from blockdb.format.checks import check_key, check_value
from blockdb.format.limits import MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_KEY_BYTES
from blockdb.storage.commit import Prepared


class Readable(Protocol):
    """What of a collection a transaction reads with."""

    @property
    def name(self) -> str:
        """Its name."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""

    def exists(self, key: bytes) -> bool:
        """Whether a key is stored."""

    def scan(
        self,
        *,
        start: bytes | None = None,
        end: bytes | None = None,
        limit: int | None = None,
        offset: int = 0,
        reverse: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values in key order, as of this call."""

    def find(
        self,
        where: str = "",
        parameters: Mapping[str, Any] | None = None,
        *,
        order: str = "",
        limit: int | None = None,
        offset: int = 0,
        fields: str | Iterable[str] | None = None,
    ) -> Iterator[Document]:
        """The documents for which a filter is true, as of this call."""


class Part:
    """One collection in one transaction. Used by one thread at a time."""

    __slots__ = ("_bytes", "_given", "_preparation", "collection", "gate", "items", "reads", "store")

    def __init__(
        self, collection: Readable, gate: CollectionGate, preparation: Preparation, reads: Reads | None = None
    ) -> None:
        self.reads = reads
        """What was read, where that is kept."""
        self.collection = collection
        self.gate = gate
        self.store = gate.store
        self.items: dict[bytes, bytes] = {}
        """What was written, in that order."""
        self._preparation = preparation
        self._given: Sequence[tuple[bytes, Given]] | None = None
        self._bytes = 0

    @property
    def name(self) -> str:
        """The name of the collection."""
        return self.collection.name

    @property
    def is_plain(self) -> bool:
        """Whether it is a plain write, and not what a user's transaction does."""
        return self._given is not None

    def prepare(self, key: bytes, value: Given) -> Prepared | None:
        """What a record becomes; None where it is stored as it is given. Raises InvalidData, ValidationError."""
        if type(value) is not bytes or self.store.needs_riders:
            return self._preparation.prepare([(key, value)])
        if type(key) is not bytes or not 0 < len(key) <= MAX_KEY_BYTES:
            check_key(key)
        if len(value) > self.gate.max_value_bytes:
            check_value(value, self.gate.max_value_bytes)
        return None

    def add(self, key: bytes, value: bytes) -> None:
        """Keep a record until the commit. Raises InvalidData where that becomes more than one batch may have."""
        size = self._bytes + len(key) + len(value)
        if size > MAX_BATCH_BYTES or len(self.items) >= MAX_BATCH_RECORDS:
            limits = f"{MAX_BATCH_RECORDS} records and {MAX_BATCH_BYTES} bytes"
            raise InvalidData(f"A transaction writes at most {limits} to a collection. Split it.")
        self._bytes = size
        self.items[key] = value

    def keep(self) -> tuple[dict[bytes, bytes], int]:
        """What was written so far, for `restore`. O(n)."""
        return dict(self.items), self._bytes

    def restore(self, kept: tuple[dict[bytes, bytes], int]) -> None:
        """Forget what was written since."""
        self.items, self._bytes = kept

    def check_new(self, key: bytes) -> None:
        """With the key locked: raises DuplicateKey where it is stored, or was written here."""
        if key in self.items:
            raise DuplicateKey(key)
        self.store.check_new(key)

    def take(self, items: Sequence[tuple[bytes, Given]]) -> None:
        """Write a batch as it was given."""
        self._given = items
        self.items = dict.fromkeys((key for key, _ in items), b"")

    def prepared(self) -> Prepared:
        """All records that were written, as they are to be committed. Raises InvalidData, ValidationError."""
        if self._given is not None:
            return self._preparation.prepare(self._given)
        if not self.store.needs_riders:
            return Prepared(list(self.items), list(self.items.values()), None, self.items)
        return self._preparation.prepare(list(self.items.items()))

    def own(self, start: bytes | None, stop: bytes | None, reverse: bool) -> list[tuple[bytes, bytes]]:
        """What was written here of a range, in key order or against it."""
        found = [
            item
            for item in self.items.items()
            if (start is None or start <= item[0]) and (stop is None or item[0] < stop)
        ]
        return sorted(found, reverse=reverse)


Opening = Callable[[str | None], Part]
"""Gives the part for a collection, by name or id; None: the default collection. Raises CollectionNotFound."""
