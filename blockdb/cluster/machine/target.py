"""A collection in which commands store records, and how many of its records the log has come to.

After a crash the database may hold more records than the mark tells of: the log is applied to it once more from the
mark on. What a command finds there, at the place where its records belong, it has stored before. What stands further
on does not exist yet for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from blockdb.cluster.machine.commands import CommitRead
from blockdb.database.preparation import Preparation
from blockdb.database.transactions.reads import Newer
from blockdb.errors import BlockDBError, Corruption, DuplicateKey
from blockdb.format.checks import first_repeated
from blockdb.format.record import RecordFrame
from blockdb.storage.commit import Prepared
from blockdb.storage.index_rider import BatchRider, IndexRider
from blockdb.storage.store import Store

__all__ = ["Target"]

WHAT = "the record is not the one that the log of the cluster tells of"


class Target:
    """Used by the thread that applies commands."""

    def __init__(self, store: Store, count: int) -> None:
        """`count` of its records are known to be applied. Raises Corruption where it has fewer."""
        self.store = store
        self.preparation = Preparation(store)
        self.count = count
        self._ahead: Iterator[tuple[int, int, RecordFrame]] | None = None
        self._next: tuple[int, int, RecordFrame] | None = None
        if store.next_sequence < count:
            what = f"there are {store.next_sequence} records, and {count} of the log of the cluster were applied"
            raise Corruption(str(store.files.root), None, what)
        if store.next_sequence > count:
            start = store.history().horizon_at(count).place
            self._ahead = store.chain.records(start, store.end)
            self._advance()

    @property
    def is_ahead(self) -> bool:
        """Whether it holds records that the log has not come to yet."""
        return self._next is not None

    @property
    def horizon(self) -> int | None:
        """The place of the first of those: what stands there or behind it does not count. None: everything does."""
        return None if self._next is None else self._next[0]

    # Whether records may be stored.

    def refusal(self, prepared: Prepared, now_ms: int) -> BlockDBError | None:
        """Why these records cannot be stored at this time; None where they can. Raises nothing but what is damaged.

        It follows from the commands before alone, whatever is in memory here, or in which tables.
        """
        keys = prepared.keys
        distinct = prepared.by_key
        if len(distinct) < len(keys):
            return DuplicateKey(first_repeated(keys))
        view = self.store.view
        if self.is_ahead or view.first_stored(keys, distinct) is not None:
            for key in keys:
                if (error := self.duplicate(key, now_ms)) is not None:
                    return error
        rider = prepared.rider
        return rider.first_violation(self.horizon) if isinstance(rider, (IndexRider, BatchRider)) else None

    def duplicate(self, key: bytes, now_ms: int) -> DuplicateKey | None:
        """The error for a key that is stored, None where it is not."""
        store = self.store
        found = store.view.find(key)
        if found is None or (self._next is not None and found[0] >= self._next[0]):
            return None
        ttl_ms = store.ttl_ms
        is_expired = ttl_ms is not None and store.chain.record_at(found[0]).time_ms < now_ms - ttl_ms
        return DuplicateKey(key, is_expired)

    # Storing them.

    def store_all(self, prepared: Prepared) -> range:
        """Store records that nothing refuses, all or nothing; or find that they are there. Raises Corruption."""
        keys = prepared.keys
        first = self.count
        if self._next is not None:
            self._find(keys)
        elif keys:
            with self.store.deciding():
                self.store.apply(prepared)
        self.count += len(keys)
        return range(first, self.count)

    def _find(self, keys: Sequence[bytes]) -> None:
        """The next records have to be these."""
        for key in keys:
            if self._next is None or self._next[2].key != key:
                place = self.store.end if self._next is None else self._next[0]
                raise self.store.chain.corruption(place, WHAT)
            self._advance()

    def _advance(self) -> None:
        assert self._ahead is not None, "only what is ahead is gone through"
        self._next = next(self._ahead, None)

    # What was read.

    def has_since(self, read: CommitRead) -> bool:
        """Whether something that a transaction has read is not so any more. See `Newer`."""
        return Newer(self.store, read.records, self.count).has_any(read.keys, read.ranges)
