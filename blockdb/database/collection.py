"""One collection of an open database: everything that is done with its records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn

from blockdb.database.core import Core
from blockdb.database.describing import info_of, stats_of
from blockdb.database.documents import Given
from blockdb.database.fetching import FetchingCollection
from blockdb.database.finding import FindingCollection
from blockdb.database.preparation import Preparation
from blockdb.database.ranges import range_of
from blockdb.database.redaction import login_name
from blockdb.database.schemas import SchemaCollection
from blockdb.database.transactions.part import Part
from blockdb.errors import AppendOnly, BlockDBError, InvalidData, ReadOnly, Redacted
from blockdb.format.checks import check_counts
from blockdb.statistics import Statistics
from blockdb.storage.commit import Held, Unprepared
from blockdb.storage.feed import Feed, sequence_of
from blockdb.storage.store import Store
from blockdb.storage.summary import summarize
from blockdb.storage.tracing import Trace
from blockdb.types import AsOf, Block, CollectionInfo, CollectionStats, Progress, Record, Redaction, Report

KEYS_IN_FILTER: Final = "Where a filter is given, it chooses the keys too: `_key starts with 'user:'`."


class Collection(FetchingCollection, FindingCollection, SchemaCollection):
    """One collection. Safe for threads.

    Every method raises DatabaseClosed after the database was closed, and Corruption where what it would have to serve
    is not what was written. Keys and values are bytes: 1 to 65,535 and 0 to 64 MiB of them.
    """

    def __init__(self, core: Core, collection_id: str) -> None:
        """Use `Database.collection` or `Database.create_collection`."""
        self._core = core
        self._reader = core.catalog.reader(collection_id)
        self._store = self._reader if isinstance(self._reader, Store) else None
        self.read_only = core.read_only
        if self._store is not None:
            self._preparation = Preparation(self._store)
            self._finish_schema(self._store)

    @property
    def name(self) -> str:
        """Its name."""
        return self._reader.metadata.name

    @property
    def id(self) -> str:
        """Its id: `col_` and a UUID."""
        return self._reader.metadata.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {str(self._core.path)!r}>"

    # Writing.

    @property
    def has_room(self) -> bool:
        """Whether a write would wait neither for a memtable to be flushed nor for files to be opened."""
        return self._store is None or (self._store.upkeep.has_room and not self._store.is_parked)

    def put(self, key: bytes, value: Given, *, sync: bool = False) -> int:
        """Store a record and return its sequence number: its place in commit order, from 0.

        It survives a killed process once this returns; with `wal_sync_interval=0` or `sync=True` a power cut too.
        Raises DuplicateKey, InvalidData, ReadOnly, StorageError, WritesStopped. O(1) amortised.
        """
        store = self._store
        if store is None:
            self._refuse()
        if type(value) is bytes and not store.needs_riders:
            try:
                return store.put(key, value, sync)
            except (Unprepared, Held):  # an index was made, or a schema set, meanwhile; or a transaction has the key
                pass
        return self._commit([(key, value)], sync)[0]

    def put_many(self, items: Iterable[tuple[bytes, Given]], *, sync: bool = False) -> Sequence[int]:
        """Store a batch, all of it or nothing, and return its sequence numbers. Raises as `put`. O(n) amortised.

        A batch has at most 1,000,000 records and 256 MiB of keys and values.
        """
        if self._store is None:
            self._refuse()
        return self._commit(items, sync)

    def put_each(self, items: Iterable[tuple[bytes, bytes]], *, sync: bool = False) -> list[int | BlockDBError | None]:
        """Store records, each for itself, with one write, and one force where `put` has one.

        Gives of each its sequence number, the error that `put` would raise, or None where it was not tried, since a
        transaction has the key, or something is derived from records here: then it is for `put`. O(n). Raises ReadOnly.
        """
        if self._store is None:
            self._refuse()
        return self._store.put_each(items, sync)

    def _commit(self, items: Iterable[tuple[bytes, Given]], sync: bool) -> range:
        store = self._store
        assert store is not None, "whoever calls this has one"
        given = list(items)
        while True:
            prepared = self._preparation.prepare(given)
            try:
                return store.commit(prepared, sync)
            except Unprepared:  # an index was made, or a schema set, meanwhile
                continue
            except Held:
                return self._core.transactions.commit_alone(self.part(), given, sync)

    def trace(self) -> Trace:
        """The next write of the collection, whoever makes it, tells when it reaches each of its stages. O(1).

        Whoever asked before is told no more. Raises ReadOnly.
        """
        if self._store is None:
            self._refuse()
        return self._store.trace_next()

    def values_of(self, items: Sequence[tuple[bytes, Given]]) -> list[bytes]:
        """The values as `put_many` would store them now. Raises InvalidData, ValidationError, ReadOnly. O(n)."""
        if self._store is None:
            self._refuse()
        return list(self._preparation.prepare(items).values)

    def part(self) -> Part:
        """What one transaction has to do with the collection. Raises ReadOnly."""
        if self._store is None:
            self._refuse()
        return self._core.transactions.part(self, self._store, self._preparation)

    def delete(self, key: bytes) -> None:
        """Refuse: raises AppendOnly."""
        raise AppendOnly("BlockDB is append-only: nothing that was stored is deleted or changed.")

    def flush(self) -> None:
        """Write everything in memory to tables and force it to disk. Raises ReadOnly, StorageError."""
        store = self._store
        store.flush() if store is not None else self._refuse()

    def compact(self) -> None:
        """Flush, then merge all tables into one. O(n). Raises ReadOnly, StorageError."""
        store = self._store
        store.compact() if store is not None else self._refuse()

    def _refuse(self) -> NoReturn:
        raise ReadOnly(f"{self._core.path} is open for reading only; open it without read_only=True to write.")

    def redact(self, key: bytes, *, reason: str, by: str | None = None) -> Redaction:
        """Erase the value of a key for good: see `redact_many`."""
        return self.redact_many([key], reason=reason, by=by)

    def redact_many(self, keys: Iterable[bytes], *, reason: str, by: str | None = None) -> Redaction:
        """Erase the values of keys for good, from every file of the database and from memory; hashes and proofs stay.

        For databases made with the setting `redactable`. `reason` and `by` (the user's login name, unless it is given)
        are kept in the journal. What is under way when a process is killed is finished by the next one that writes.
        O(bytes of the chain files that hold the records), 10,000 keys at most. Raises InvalidData, KeyNotFound,
        Redacted for a key that was redacted before, ReadOnly, StorageError.
        """
        store = self._store
        if store is None:
            self._refuse()
        author = login_name() if by is None else by
        try:
            sequences, files = store.redact(list(keys), reason, author, self._core.record_event)
        except Redacted as error:
            raise self._explained(error) from None
        self._core.transactions.empty()  # the values may stand there too
        quarantined = any(path.is_file() for path in self._core.files.quarantine.rglob("*"))
        return Redaction(tuple(sequences), files, quarantined)

    # Reading in key order.

    def scan(
        self,
        *,
        prefix: bytes | None = None,
        start: bytes | None = None,
        end: bytes | None = None,
        limit: int | None = None,
        offset: int = 0,
        reverse: bool = False,
        as_of: AsOf | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values in key order (or against it): a consistent snapshot of the moment of the call.

        Those with `prefix`, from `start` on, before `end`; after `offset` of them, `limit` at most; with `as_of`,
        those that were stored by then (see `get`). The value of a redacted record is `blockdb.REDACTED`: no bytes, and
        `value is blockdb.REDACTED` tells it from an empty value. O(log n) to begin, whatever the offset, but O(log n +
        offset) with `as_of`. Raises InvalidData, BlockNotFound.
        """
        check_counts(limit, offset)
        return self._refreshed().scan(range_of(prefix, start, end), offset, limit, reverse, as_of)

    def keys(
        self,
        *,
        prefix: bytes | None = None,
        start: bytes | None = None,
        end: bytes | None = None,
        limit: int | None = None,
        offset: int = 0,
        reverse: bool = False,
        as_of: AsOf | None = None,
    ) -> Iterator[bytes]:
        """The keys that `scan` would give."""
        items = self.scan(prefix=prefix, start=start, end=end, limit=limit, offset=offset, reverse=reverse, as_of=as_of)
        return (key for key, _ in items)

    def count(
        self,
        *,
        prefix: bytes | None = None,
        start: bytes | None = None,
        end: bytes | None = None,
        where: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        as_of: AsOf | None = None,
    ) -> int:
        """How many keys a scan would give. O(tables · log n), without walking; O(n) where a part has expired.

        With `where`, a filter, how many documents `find` would give; `parameters` and `as_of` are meant for it, and
        keys are chosen by `_key` in it. O(entries) if an index serves the filter, or O(log n) if that says it all.
        """
        if where is None:
            if parameters is not None or as_of is not None:
                raise InvalidData("parameters and as_of belong to a filter: give one as where.")
            return self._refreshed().count(range_of(prefix, start, end))
        if (prefix, start, end) != (None, None, None):
            raise InvalidData(KEYS_IN_FILTER)
        return self._count_where(where, parameters, as_of)

    # Reading in commit order.

    def records(self, first: int = 0, limit: int | None = None) -> Iterator[Record]:
        """Records in commit order from a sequence number on, `limit` at most. O(log blocks) to begin."""
        check_counts(limit, first)
        return self._refreshed().history().records(first, limit)

    def block(self, number: int) -> Block:
        """A sealed block. Raises BlockNotFound. O(tables)."""
        return self._refreshed().history().block(number)

    def blocks(self, first: int = 0, limit: int | None = None, *, reverse: bool = False) -> Iterator[Block]:
        """Sealed blocks from number `first` up; or, with `reverse`, down, from the newest unless `first` is given."""
        check_counts(limit, first)
        history = self._refreshed().history()
        last = min(first, history.blocks - 1) if first else history.blocks - 1
        numbers = range(last, -1, -1) if reverse else range(first, history.blocks)
        return map(history.block, numbers if limit is None else numbers[:limit])

    def block_records(self, number: int) -> list[Record]:
        """The records of a block, or, for the number after the last sealed one, of the open block.

        Raises BlockNotFound. O(records in a block).
        """
        return self._refreshed().history().block_records(number)

    def block_leaves(self, number: int) -> list[bytes]:
        """The leaf hashes (RFC 6962) of a block's records, recomputed here. Raises BlockNotFound."""
        return self._refreshed().history().block_leaves(number)

    def watch(
        self, *, prefix: bytes | None = None, after: int | str | None = None, timeout_s: float | None = None
    ) -> Feed:
        """Each record that is stored (its key has `prefix`) once, in commit order, with its place in the chain.

        From the record after the one with the sequence number `after` on (-1: from the first), or, if that is not
        given, from now on. It reads the chain, so it costs no memory, however slow whoever takes the changes is; and
        also those come that have expired since. What is given was acknowledged: with `wal_sync_interval=0` it is on the
        disk. The iterator ends when the database is closed, when its `stop` is called, or when nothing came for
        `timeout_s` seconds. O(log blocks + block) to begin. Raises InvalidData.
        """
        reader, catalog = self._refreshed(), self._core.catalog
        return Feed(reader, prefix or b"", sequence_of(after), timeout_s, catalog.is_forced(reader.metadata.settings))

    # About the collection.

    @property
    def next_sequence(self) -> int:
        """The sequence number that the next record gets: how many records there are, in commit order."""
        return self._refreshed().next_sequence

    def record_counts(self) -> tuple[int, ...]:
        """How many records each partition has, in a cluster; elsewhere there is one.

        Where there are P of them, the records of partition n have the sequence numbers n, P + n, 2 * P + n, and on.
        """
        return (self.next_sequence,)

    def sequence_at(self, as_of: AsOf) -> int:
        """The newest record that a read as of that moment sees; -1 where it sees none. O(log blocks + block).

        Raises BlockNotFound, and InvalidData for a record that does not exist yet.
        """
        return self._refreshed().history().horizon(as_of).records - 1

    def moment(self, as_of: AsOf | None = None) -> AsOf | None:
        """That moment, or this one, by the newest record that is seen: reads as of it see the same however late.

        None where nothing was stored by then. Raises as `sequence_at`.
        """
        newest = self.next_sequence - 1 if as_of is None else self.sequence_at(as_of)
        return None if newest < 0 else AsOf(sequence=newest)

    def describe(self) -> CollectionInfo:
        """What the collection is, and what it holds at this moment."""
        self._reader.check_open()
        return info_of(self._core.catalog, self.id)

    def collection_stats(self) -> CollectionStats:
        """How much it holds: counted from the chain, so exact whatever became of the process that wrote it."""
        self._reader.check_open()
        return stats_of(self._core.catalog, self.id)

    def stats(self) -> Statistics:
        """An immutable snapshot; cheap enough to be asked for ten times a second."""
        return summarize(self._refreshed(), self._core.config, self.read_only)

    def verify(
        self, progress: Callable[[Progress], None] | None = None, cancel: Callable[[], bool] | None = None
    ) -> Report:
        """Recompute every hash of the collection and hold everything that is stored of it against its chain.

        Goes on beside readers and writers and covers what was stored when it began. `progress` is called every few
        thousand records, and `cancel` asked as often. O(all bytes).
        """
        from blockdb.audit.auditor import audit  # here: it is a third of all that there is to load
        from blockdb.audit.collection import Options

        core, reader = self._core, self._refreshed()
        options = Options(data_keys=core.door.keys, only=reader.metadata.id)
        return reader.check_memory(audit(core.path, progress, cancel, options))
