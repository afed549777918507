"""The gate that plain writes to a collection pass while transactions hold locks in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import get_ident

from blockdb.database.locks import Locks
from blockdb.database.preparation import Entry
from blockdb.storage.commit import Rider
from blockdb.storage.store import Store


class CollectionGate:
    """The gate of one collection. It is set up by the first lock there, and gone once there are none."""

    __slots__ = ("_locks", "_thread", "space", "store", "uuid")

    def __init__(self, locks: Locks, store: Store) -> None:
        self._locks = locks
        self.store = store
        self.space = store.metadata.id
        """The keys of the collection, in the lock table."""
        self.uuid = store.metadata.uuid
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


class EntriesRider:
    """A rider of a plain write, which has to respect locks on the entries that indexes get of it."""

    __slots__ = ("_entries", "_locks", "_rider")

    def __init__(self, rider: Rider | None, entries: Iterable[Entry], locks: Locks) -> None:
        self._rider = rider
        self._entries = entries
        self._locks = locks

    def check(self) -> None:
        """Raises Held, or what the rider does."""
        self._locks.check_entries(self._entries)
        if self._rider is not None:
            self._rider.check()

    def take(self, first_sequence: int, places: Sequence[int]) -> None:
        """Hand on what was stored."""
        if self._rider is not None:
            self._rider.take(first_sequence, places)
