"""The writer of a collection: log, memtables, sealing; and the threads that work beside the writers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from os import urandom
from threading import Condition, Lock
from time import perf_counter_ns, time_ns
from typing import Final

from blockdb.config import DatabaseConfig
from blockdb.errors import BlockDBError, DuplicateKey, WritesStopped
from blockdb.format import batch
from blockdb.format.frame import with_check
from blockdb.format.limits import MAX_KEY_BYTES, MAX_VALUE_BYTES
from blockdb.format.record import SALT_BYTES, encoders
from blockdb.layout import CollectionFiles
from blockdb.ledger.signature import Signer
from blockdb.lsm import tiers
from blockdb.lsm.bloom import key_hash
from blockdb.lsm.memtable import Memtable
from blockdb.lsm.table import Table
from blockdb.storage.background import Worker
from blockdb.storage.checks import check_batch, check_key, check_value, first_repeated
from blockdb.storage.door import Door
from blockdb.storage.log import Log
from blockdb.storage.maintenance import Frozen, Tables
from blockdb.storage.manifest import Manifest, ReplayPoint
from blockdb.storage.metadata import Metadata
from blockdb.storage.reader import SAMPLE_MASK, Reader
from blockdb.storage.recovery import recover
from blockdb.storage.seals import Seals
from blockdb.storage.statistics import Histogram
from blockdb.storage.view import View

MAX_FROZEN: Final = 2
"""A writer that would freeze one more memtable than this waits: memory stays bounded."""

RETRY_S: Final = 1.0
"""How long after a failure a memtable is tried again."""

FLUSH_ON_CLOSE_RECORDS: Final = 10_000
"""With fewer records in memory, opening again reads them from the log as quickly as a table would be written."""


class Store(Reader):
    """The one writer of a collection. Any number of threads may use it."""

    def __init__(
        self,
        door: Door,
        files: CollectionFiles,
        metadata: Metadata,
        manifest: Manifest,
        config: DatabaseConfig,
        signer: Signer,
    ) -> None:
        """Open the collection for writing, recovering what a killed writer left. Raises Corruption, StorageError."""
        super().__init__(door, files, metadata)
        self.config = config
        self.duplicates = 0
        self.stalls = 0
        self.flushes = 0
        self.compactions = 0
        self.put_latency = Histogram()
        self._writing = Lock()
        self._room = Condition(self._writing)
        self.flushing = Lock()
        self.compacting = Lock()
        """Held by whoever flushes and merges: one at a time each, and who watches can tell that it goes on."""
        self._compaction_failure: BlockDBError | None = None
        self._frozen: deque[Frozen] = deque()
        self._failure: BlockDBError | None = None
        self._tables = Tables(door, files, metadata.uuid, manifest, self.open_table)
        self._tables.remove_unused()
        self._attention = False
        """Set by whatever makes a write look around before it begins: see `_attend`."""
        self._encode, self._encode_many = encoders(metadata.redactable, lambda: urandom(SALT_BYTES))
        self._recover(manifest, signer)
        self._forcer = Worker("blockdb-force", self._force_in_background, (config.wal_sync_interval or 1000) / 1000)
        self._compactor = Worker("blockdb-compact", self._compact_in_background)
        self._flusher = Worker("blockdb-flush", self._flush_in_background, RETRY_S)
        self._compactor.wake()

    def _recover(self, manifest: Manifest, signer: Signer) -> None:
        tables = self.open_tables(manifest)
        state = recover(self.door, self.files, self.metadata.uuid, self.chain, manifest, tables)
        self.recovered = state
        self._active = state.memtable
        self.view = View((state.memtable,), tables)
        self.next_sequence = state.next_sequence
        self._last_time_ms = state.last_time_ms
        self._log = Log(self.door, self.files, self.metadata.uuid, state.end, state.forced, state.torn_bytes)
        self._seals = Seals(
            self.files,
            self.metadata.uuid,
            signer,
            self.metadata.blockchain_batch_size,
            self.chain,
            self._log,
            self._room,
            state,
            self._on_seal,
        )
        self._open_block = self._seals.block

    # What a Reader asks.

    @property
    def end(self) -> int:
        """Where the next frame goes."""
        return self._log.end

    @property
    def blocks(self) -> int:
        """How many blocks are sealed."""
        view = self.view
        return view.memtables[0].first_block + len(view.memtables[0].seals)

    @property
    def head_hash(self) -> bytes:
        """The hash of the last sealed block."""
        return self._seals.head_hash

    @property
    def manifest(self) -> Manifest:
        """The manifest on disk."""
        return self._tables.manifest

    def open_block_size(self) -> tuple[int, int]:
        """How many records, and how many bytes of keys and values, no seal covers yet."""
        return len(self._open_block), self._open_block.data_bytes

    @property
    def background_failure(self) -> BlockDBError | None:
        """Why flushing or merging failed the last time, if it did and has not succeeded since."""
        return self._failure or self._compaction_failure

    @property
    def puts(self) -> int:
        """How many records were stored since it was opened."""
        return self.next_sequence - self.recovered.next_sequence

    @property
    def force_latency(self) -> Histogram:
        """How long forces took."""
        return self._log.latency

    def refresh(self) -> None:
        """Have every block sealed that is full: whoever looks does not see that sealing may lag behind."""
        if not self._seals.is_settled:
            with self._writing:
                self._seals.settle()

    # Writing.

    def put(self, key: bytes, value: bytes, sync: bool = False) -> int:
        """Store a record and return its sequence number. O(1) amortised.

        Raises DuplicateKey, InvalidData, DatabaseClosed, StorageError, WritesStopped.
        """
        if type(key) is not bytes or not 0 < len(key) <= MAX_KEY_BYTES:
            check_key(key)
        if type(value) is not bytes or len(value) > MAX_VALUE_BYTES:
            check_value(value)
        start = 0 if self.next_sequence & SAMPLE_MASK else perf_counter_ns()
        with self._writing:
            if self._attention or self._seals.is_waiting or self._log.end >= self._log.roll_at:
                self._attend()
            active = self._active
            if key in active.index or self._is_stored_before(key):
                self.duplicates += 1
                raise DuplicateKey(key)
            now_ms = self._now_ms()
            body = self._encode(now_ms, key, value)
            place = self._log.append(with_check(body))
            active.append(key, value, place)
            sequence = self.next_sequence
            self.next_sequence = sequence + 1
            if self._open_block.add(body, place):
                self._seals.seal()
            if active.size_bytes >= self.config.memtable_size_limit:
                self._make_room()
        if sync or not self.config.wal_sync_interval:
            self._log.force(place + 1)
        if start:
            self.put_latency.add(perf_counter_ns() - start)
        return sequence

    def put_many(self, items: Iterable[tuple[bytes, bytes]], sync: bool = False) -> range:
        """Store a batch, all of it or nothing, and return its sequence numbers. O(n) amortised. Raises as `put`."""
        keys, values = check_batch(items)
        if not keys:
            self.check_open()
            return range(self.next_sequence, self.next_sequence)
        start = perf_counter_ns()
        with self._writing:
            self._attend()
            self._refuse_duplicates(keys)
            now_ms = self._now_ms()
            bodies = self._encode_many(now_ms, keys, values)
            place = self._log.append(batch.encode(bodies))
            places = batch.places(place, bodies)
            self._active.extend(keys, values, places)
            first = self.next_sequence
            self.next_sequence = first + len(keys)
            if self._open_block.add_many(bodies, places):
                self._seals.seal()
            if self._active.size_bytes >= self.config.memtable_size_limit:
                self._make_room()
        if sync or not self.config.wal_sync_interval:
            self._log.force(places[-1] + 1)
        self.put_latency.add((perf_counter_ns() - start) // len(keys))
        return range(first, first + len(keys))

    def _try_again(self) -> None:
        """Memtables could not be written; a write goes on only if that succeeds now."""
        self._failure = None
        self._flusher.wake()
        self._room.wait_for(lambda: len(self._frozen) < MAX_FROZEN or self._failure or self.closed)
        if self._failure is not None:
            raise self._failure

    def _now_ms(self) -> int:
        """The time of the next commit: never earlier than that of the one before, whatever the clock does."""
        now_ms = time_ns() // 1_000_000
        if now_ms > self._last_time_ms:
            self._last_time_ms = now_ms
        return self._last_time_ms

    def _attend(self) -> None:
        """See to what is rare before a write: a closed or failing collection, seals that wait, a full chain file."""
        self.check_open()
        if self._failure is not None and len(self._frozen) >= MAX_FROZEN:
            self._try_again()
        self._seals.write_waiting()
        if self._log.end >= self._log.roll_at:
            self._log.roll(self.next_sequence)
        self._attention = self._failure is not None

    def _is_stored_before(self, key: bytes) -> bool:
        """Whether an older memtable or a table has the key."""
        view = self.view
        for memtable in view.memtables[1:]:
            if key in memtable.index:
                return True
        if view.tables:
            hashed = key_hash(key)
            for table in view.tables:
                if table.find(key, hashed) is not None:
                    return True
        return False

    def _refuse_duplicates(self, keys: Sequence[bytes]) -> None:
        distinct = dict.fromkeys(keys)
        if len(distinct) < len(keys):
            self._refuse(first_repeated(keys))
        view = self.view
        for memtable in view.memtables:
            if not memtable.index.keys().isdisjoint(distinct):
                self._refuse(next(key for key in keys if key in memtable.index))
        if view.tables:
            hashes = list(map(key_hash, keys))
            for table in view.tables:
                duplicate = table.first_of(keys, hashes)
                if duplicate is not None:
                    self._refuse(duplicate)

    def _refuse(self, key: bytes) -> None:
        self.duplicates += 1
        raise DuplicateKey(key)

    # Sealing and freezing, under the write lock.

    def _on_seal(self, place: int) -> None:
        self._active.seals.append(place)

    def _make_room(self) -> None:
        """Freeze the full memtable, once there are not too many frozen ones."""
        if len(self._frozen) >= MAX_FROZEN:
            self.stalls += 1
            self._room.wait_for(lambda: len(self._frozen) < MAX_FROZEN or self._failure or self.closed)
        if len(self._frozen) < MAX_FROZEN:  # else what was written stands, and the next write is refused
            self._freeze()

    def _freeze(self) -> None:
        if self._seals.is_waiting or not len(self._active):
            return
        end, block = self._log.end, self._open_block
        replay = ReplayPoint(block.first_place or end, self.next_sequence - len(block), self._seals.head_place)
        self._frozen.append(Frozen(self._active, end, replay))
        self._active = Memtable(self.next_sequence, self.blocks, end)
        self.view = View((self._active, *self.view.memtables), self.view.tables)
        self._flusher.wake()

    # Beside the writers.

    def flush(self) -> None:
        """Write everything in memory to tables and force it to disk. Raises StorageError."""
        with self._writing:
            self._attend()
            self._seals.settle()
            self.check_open()  # waiting gives the lock away
            self._freeze()
        self._log.force()
        self._flush_frozen()

    def compact(self) -> None:
        """Flush, then merge all tables into one. O(n). Raises StorageError."""
        self.flush()
        with self.compacting:
            tables = self.view.tables
            if len(tables) > 1:
                self._merge(tables)

    def close(self) -> None:
        """Force what was written and stop; a memtable that would take long to replay is written first. Idempotent."""
        self._seals.stop()
        with self._writing:
            if self.closed:
                return
            if len(self._active) >= FLUSH_ON_CLOSE_RECORDS:
                self._freeze()
            self.closed = self._attention = True
            self._room.notify_all()
        for worker in (self._forcer, self._flusher, self._compactor):
            worker.stop()
        try:
            self._flush_frozen()
        finally:
            self._log.close()

    def disown(self) -> None:
        """In a forked child: refuse everything; the locks may be held by threads that are the parent's."""
        super().disown()
        self._attention = True
        self._writing = Lock()
        self._room = Condition(self._writing)

    def _flush_frozen(self) -> None:
        with self.flushing:
            while self._frozen:
                self._flush_first()
        self._compactor.wake()

    def _flush_first(self) -> None:
        frozen = self._frozen[0]
        self._log.force(frozen.end_place)
        table = self._tables.write(frozen)
        with self._writing:
            self._frozen.popleft()
            self.view = self.view.flushed(frozen.memtable, table)
            self.flushes += 1
            self._failure = None
            self._room.notify_all()

    def _compact_once(self) -> bool:
        run = tiers.choose(self.view.tables, self.config.compaction_threshold)
        if run is not None:
            self._merge(self.view.tables[run])
        return run is not None

    def _merge(self, tables: tuple[Table, ...]) -> None:
        merged = self._tables.merge(tables)
        with self._writing:
            self.view = self.view.merged(tables, merged)
            self.compactions += 1
        self._tables.remove(tables)

    # What the threads do: a failure stands in `_failure`, and writers are told when there is no room left.

    def _force_in_background(self) -> None:
        with suppress(WritesStopped):  # every write says so from now on
            self._log.force()

    def _flush_in_background(self) -> None:
        try:
            self._flush_frozen()
        except BlockDBError as error:
            self._fail(error)

    def _compact_in_background(self) -> None:
        try:
            with self.compacting:
                while not self.closed and self._compact_once():
                    self._compaction_failure = None
        except BlockDBError as error:
            self._compaction_failure = error  # reads go on; the next flush has it tried again

    def _fail(self, error: BlockDBError) -> None:
        with self._writing:
            self._failure = error
            self._attention = True
            self._room.notify_all()
