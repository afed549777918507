"""The indexes of a collection: made, dropped and listed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import Final

from blockdb.database.proving import ProvingCollection
from blockdb.database.redaction import login_name
from blockdb.documents.indexing import IndexDefinition
from blockdb.errors import Corruption, InvalidData, ReadOnly
from blockdb.storage.attachment import Attachment
from blockdb.storage.index import Index
from blockdb.storage.index_build import Doubled, Unfit
from blockdb.storage.index_rider import violation
from blockdb.storage.store import Store
from blockdb.types import IndexInfo

INDEX_CREATED: Final = "index created"
INDEX_DROPPED: Final = "index dropped"
"""What the journal calls the events."""


class IndexedCollection(ProvingCollection):
    """What of a collection is indexed. `Collection` has the rest."""

    def create_index(
        self, name: str, fields: Iterable[str], unique: bool = False, sparse: bool = False, *, by: str | None = None
    ) -> IndexInfo:
        """Index the values that documents have at some paths, such as `["city", "items[].price"]`; writers go on.

        Where it is `unique`, no two documents may have the same values there (a field that is missing counts as a
        value, through `[]` each member counts); where it is `sparse`, documents that lack a field are left out. All
        values of the collection must be documents from then on. `by` (the user's login name, unless it is given) is
        kept in the journal.

        O(n log n): a few seconds for a million documents. Raises InvalidData for a name or a path that cannot be, and
        where a record is no document; UniqueViolation where two have the same values; DuplicateIndex, ReadOnly,
        StorageError. Nothing is left behind then.
        """
        store = self._writing_store()
        paths = [fields] if isinstance(fields, str) else list(fields)
        outside = self._core.catalog.surroundings
        id_ = outside.new_id(f"index {name}").hex
        definition = IndexDefinition(id_, name, tuple(paths), unique, sparse, outside.now_ms() // 1000)
        definition.check()
        try:
            made = store.indexes.create(definition)
        except Doubled as doubled:
            index = Index.of(definition)
            keys = [store.chain.item_at(place)[0] for place in (doubled.other, doubled.place)]
            raise violation(index, doubled.entry, *keys) from None
        except Unfit as unfit:
            key = store.chain.item_at(unfit.place)[0].decode("utf-8", "backslashreplace")
            raise InvalidData(f"Record '{key}' cannot be indexed. {unfit.what} Nothing was changed.") from None
        self.record_index(INDEX_CREATED, definition, by)
        return store.indexes.info(made)

    def drop_index(self, name: str, *, by: str | None = None) -> None:
        """Remove an index; who reads by it may go on. Raises IndexNotFound, ReadOnly, StorageError."""
        definition = self._writing_store().indexes.drop(name)
        self.record_index(INDEX_DROPPED, definition, by)

    def indexes(self) -> tuple[IndexInfo, ...]:
        """The indexes that there are, in the order of their names."""
        reader = self._refreshed()
        reader.indexes.refresh()
        return reader.indexes.infos()

    def _ready_indexes(self, refreshed: Store | Attachment | None = None) -> tuple[Index, ...]:
        """Those that a plan may use, with the entries of all records that the reader sees.

        A collection whose indexes cannot be read has none: everything is found without them.
        """
        reader = self._refreshed() if refreshed is None else refreshed
        with suppress(Corruption):
            reader.indexes.refresh()
        return tuple(index for index in reader.indexes.by_name.values() if index.is_ready)

    def _writing_store(self) -> Store:
        reader = self._refreshed()
        if not isinstance(reader, Store):
            raise ReadOnly(f"{self._core.path} is open for reading only; open it without read_only=True to write.")
        return reader

    def record_index(self, event: str, definition: IndexDefinition, by: str | None) -> None:
        """Have the journal tell that an index was made, or dropped. Raises StorageError."""
        journal = self._core.notary.journal()
        assert journal is not None, "a writer has one"
        what = {"time_ms": self._core.catalog.surroundings.now_ms(), "by": login_name() if by is None else by}
        collection = self._refreshed().metadata.id
        journal.append({"event": event, **what, "collection": collection, "index": asdict(definition)})
