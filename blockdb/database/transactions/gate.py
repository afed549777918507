"""The gate that plain writes to a collection pass while transactions hold locks in it."""

from __future__ import annotations

from collections.abc import Sequence
from threading import get_ident

from blockdb.database.transactions.locks import Locks
from blockdb.storage.store import Store


class CollectionGate:
    """The gate of one collection. It is set up by the first lock there, and gone once there are none."""

    __slots__ = ("_locks", "_thread", "max_value_bytes", "space", "store", "uuid")

    def __init__(self, locks: Locks, store: Store) -> None:
        self._locks = locks
        self.store = store
        self.space = store.metadata.id
        """The keys of the collection, in the lock table."""
        self.uuid = store.metadata.uuid
        self.max_value_bytes = store.metadata.settings.max_document_size
        self._thread = 0

    def check(self, keys: Sequence[bytes]) -> None:
        """Under the write lock: raises Held, unless a transaction commits in this very thread."""
        if self._thread != get_ident():
            self._locks.let_pass(self.store, self.space, keys)

    def shut(self) -> None:
        """After a lock was taken: from here on no plain write passes it, and all that did are through."""
        if self.store.gate is None:
            self.store.use_gate(self)
        else:
            with self.store.writing:
                pass

    def enter(self) -> None:
        """Take the write lock, to commit what the locks of a transaction are for."""
        self.store.writing.acquire()
        self._thread = get_ident()

    def leave(self) -> None:
        """Give it back."""
        self._thread = 0
        self.store.writing.release()
