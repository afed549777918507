"""A transaction, as its user holds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from operator import itemgetter
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any

from blockdb.database.documents import Given
from blockdb.database.ranges import range_of
from blockdb.database.transactions.locks import Holder, Locks
from blockdb.database.transactions.part import Opening, Part
from blockdb.errors import Deadlock
from blockdb.format.checks import check_key

if TYPE_CHECKING:
    from blockdb.database.transactions.manager import TransactionManager
    from blockdb.documents.document import Document

_key = itemgetter(0)


class Transaction:
    """Reads and writes that happen at one moment, or not at all, whatever others do: see `Database.transaction`.

    What it reads and writes stays locked until it ends. Its writes are seen by itself alone until it is committed. As a
    context manager it is committed at the end, or aborted where an exception comes out. `collection` is a name or an
    id; None is the default collection.

    Every method raises Deadlock or TransactionTimeout where it had to give way to others, which ends it, and
    TransactionClosed after its end. Safe for threads, one at a time.
    """

    def __init__(self, manager: TransactionManager, locks: Locks, holder: Holder, opening: Opening) -> None:
        self._manager = manager
        self._locks = locks
        self._holder = holder
        self._opening = opening
        self._parts: dict[str | None, Part] = holder.parts
        self._using = Lock()
        self._is_finished = False
        """Whether it was committed or aborted here: what others ended is told at the end."""

    @property
    def id(self) -> int:
        """Its number: the smaller, the older."""
        return self._holder.id

    @property
    def is_active(self) -> bool:
        """Whether it has not ended yet, as far as is known."""
        return self._holder.ending is None

    def __repr__(self) -> str:
        return f"<Transaction {self.id}, {'active' if self.is_active else 'ended'}>"

    # Writing.

    def put(self, key: bytes, value: Given, *, collection: str | None = None) -> None:
        """Store a record once it is committed. Raises DuplicateKey, InvalidData, CollectionNotFound. O(1)."""
        with self._using:
            self._put(self._part(collection), key, value)

    def put_many(self, items: Iterable[tuple[bytes, Given]], *, collection: str | None = None) -> None:
        """Store records once it is committed: all of these, or, where one is refused, none. Raises as `put`. O(n)."""
        with self._using:
            part = self._part(collection)
            kept = part.keep()
            try:
                for key, value in items:
                    self._put(part, key, value)
            except BaseException:
                part.restore(kept)
                raise

    def keys_written(self) -> dict[str, tuple[bytes, ...]]:
        """The keys that it has written so far, in that order, by the names of collections. O(n)."""
        with self._using:
            return {part.name: tuple(part.items) for part in self._parts.values()}

    def _put(self, part: Part, key: bytes, value: Given) -> None:
        prepared = part.prepare(key, value)
        self._lock(part, key, exclusive=True)
        try:
            part.check_new(key)
        except Deadlock:
            self.abort()  # as after any other: whoever is told so need not end it
            raise
        part.add(key, value if prepared is None else prepared.values[0])  # type: ignore[arg-type] # it was checked

    # Reading.

    def get(self, key: bytes, *, collection: str | None = None) -> bytes | None:
        """The value of a key, or None. Raises InvalidData, and Redacted where the value was erased."""
        with self._using:
            part = self._part(collection)
            check_key(key)
            value = part.items.get(key)
            if value is None:
                records = self._lock(part, key, exclusive=False)
                value = part.collection.get(key)
                if value is None and part.reads is not None:
                    part.reads.add_absent(key, records)
            self._locks.check(self._holder)
            return value

    def exists(self, key: bytes, *, collection: str | None = None) -> bool:
        """Whether a key is stored, its value erased or not. Raises InvalidData."""
        with self._using:
            part = self._part(collection)
            check_key(key)
            found = key in part.items
            if not found:
                records = self._lock(part, key, exclusive=False)
                found = part.collection.exists(key)
                if not found and part.reads is not None:
                    part.reads.add_absent(key, records)
            self._locks.check(self._holder)
            return found

    def scan(
        self,
        *,
        prefix: bytes | None = None,
        start: bytes | None = None,
        end: bytes | None = None,
        limit: int | None = None,
        offset: int = 0,
        reverse: bool = False,
        collection: str | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values in key order (or against it): those with `prefix`, from `start` on, before `end`.

        After `offset` of them, `limit` at most. It shows what there is at the time of the call, own writes too; nobody
        else adds to the range before the transaction ends. Raises InvalidData.
        """
        with self._using:
            part = self._part(collection)
            range_ = range_of(prefix, start, end)
            self._lock_range(part, range_.start, range_.stop)
            own = part.own(range_.start, range_.stop, reverse)
            if own:
                stored = part.collection.scan(start=range_.start, end=range_.stop, reverse=reverse)
                merged = merge(stored, own, key=_key, reverse=reverse)
                found: Iterator[tuple[bytes, bytes]] = islice(merged, offset, None if limit is None else offset + limit)
            else:
                found = part.collection.scan(
                    start=range_.start, end=range_.stop, limit=limit, offset=offset, reverse=reverse
                )
            self._locks.check(self._holder)
            return found

    def find(
        self,
        where: str = "",
        parameters: Mapping[str, Any] | None = None,
        *,
        order: str = "",
        limit: int | None = None,
        offset: int = 0,
        fields: str | Iterable[str] | None = None,
        collection: str | None = None,
    ) -> Iterator[Document]:
        """The documents for which a filter is true: see `Collection.find`. Own writes are found too, as the last ones.

        The collection is locked for reading as a whole: nobody else adds to it before the transaction ends. Raises
        QueryError, InvalidData.
        """
        from blockdb.database.transactions import own_writes

        with self._using:
            part = self._part(collection)
            self._lock_range(part, None, None)
            found = own_writes.find(part, where, parameters, order, limit, offset, fields)
            self._locks.check(self._holder)
            return found

    # Ending.

    def commit(self, *, sync: bool = False) -> Mapping[str, Sequence[int]]:
        """Store all that was written, in all collections, or nothing of it. Returns the sequence numbers by collection.

        It survives a killed process once this returns; with `sync=True`, or where one of the collections is forced with
        each write, a power cut too. Raises StorageError, WritesStopped and what the collections refuse; it has ended
        then all the same.
        """
        with self._using:
            self._is_finished = True
            return self._manager.commit(self._holder, list(dict.fromkeys(self._parts.values())), sync)

    def abort(self) -> None:
        """Forget all that was written, and give up all locks. One that has ended stays as it is. Never waits."""
        self._is_finished = True
        self._locks.end(self._holder, f"Transaction {self.id} was aborted.")

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abort()
        elif not self._is_finished:
            self.commit()

    def __del__(self) -> None:
        holder = getattr(self, "_holder", None)
        if holder is not None and holder.ending is None:
            self._locks.abandon(holder)

    def _part(self, collection: str | None) -> Part:
        part = self._parts.get(collection)
        if part is None:
            self._locks.check(self._holder)
            opened = self._opening(collection)
            same = (other for other in self._parts.values() if other.store is opened.store)
            part = self._parts[collection] = next(same, opened)
        return part

    def _lock(self, part: Part, key: bytes, *, exclusive: bool) -> int:
        """Lock a key. Returns how many records there were then, all of which are seen by whoever reads now."""
        self._locks.lock_key(self._holder, part.gate.space, key, exclusive)
        records = part.store.next_sequence
        part.gate.shut()
        return records

    def _lock_range(self, part: Part, start: bytes | None, stop: bytes | None) -> None:
        self._locks.lock_range(self._holder, part.gate.space, start or b"", stop)
        if part.reads is not None:
            part.reads.add_range(start, stop, part.store.next_sequence)
        part.gate.shut()
