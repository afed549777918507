"""Reading by key: most of it is done here, without a further call.

What `Reader.get` and `Reader.exists` do is here once more where nothing has to be looked at before: a call of a Python
function is a third of most reads. Everything else goes to the reader.
"""

from __future__ import annotations

from blockdb.database.core import Core
from blockdb.database.redaction import explained
from blockdb.errors import Redacted
from blockdb.format.checks import check_key
from blockdb.storage.attachment import Attachment
from blockdb.storage.door import storage_error
from blockdb.storage.reader import SAMPLE_MASK
from blockdb.storage.store import Store
from blockdb.types import REDACTED, AsOf, Record


class FetchingCollection:
    """What of a collection is read by key. `Collection` has the rest."""

    _core: Core
    _reader: Store | Attachment
    _store: Store | None
    """The same, where it is a writer and nothing has to be waited for before a read."""

    def get(self, key: bytes, *, as_of: AsOf | None = None) -> bytes | None:
        """The value of a key, or None. O(tables). Raises InvalidData, and Redacted where the value was erased.

        `as_of` goes back to a block, a record or a time: what was stored later is not found. O(log blocks + records
        in a block) more. Raises BlockNotFound, and InvalidData for a record that does not exist yet.
        """
        if type(key) is not bytes:
            check_key(key)
        store = self._store
        if (
            store is not None
            and (view := store.at_hand) is not None
            and store.gets & SAMPLE_MASK
            and as_of is None
            and not store.closed
        ):
            recent = view.recent
            value = recent(key)
            if value is None:
                cache = store.cache
                value = cache.young.get(key)
                if value is not None:
                    cache.hits += 1
                else:
                    value = store.get_older(view, key)
            if value is not REDACTED:
                store.gets += 1
                if value is None:
                    store.misses += 1
                return value
        try:
            if as_of is not None:
                return self._refreshed().get_as_of(key, as_of)
            return self._present().get(key)
        except Redacted as error:
            raise self._explained(error) from None

    def exists(self, key: bytes) -> bool:
        """Whether a key is stored, its value erased or not. O(tables). Raises InvalidData."""
        if type(key) is not bytes:
            check_key(key)
        store = self._store
        if store is None or (view := store.at_hand) is None or store.closed:
            return self._present().exists(key)
        store.gets += 1
        has = view.has
        if has(key):
            return True
        store.misses += 1
        return False

    __contains__ = exists

    def record(self, key: bytes) -> Record | None:
        """A record with its sequence number, time and block. O(log blocks + records in a block)."""
        check_key(key)
        return self._refreshed().record(key)

    def _present(self) -> Store | Attachment:
        """The reader; where somebody else writes, once it has seen what was written."""
        store = self._store
        return self._refreshed() if store is None or store.closed else store

    def _refreshed(self) -> Store | Attachment:
        reader = self._reader
        reader.check_open()
        try:
            reader.refresh()
        except OSError as error:  # what `guarded` does, at half the price of a look
            raise storage_error(f"reading {self._core.path}", error) from error
        return reader

    def _explained(self, error: Redacted) -> Redacted:
        """The error with what the journal says of it."""
        return explained(self._core.notary.journal, self._reader.metadata.id, error)
