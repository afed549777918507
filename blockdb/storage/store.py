"""The writer of a collection: log, memtables, sealing; and the threads that work beside the writers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from os import urandom
from threading import Condition, Lock
from time import perf_counter_ns, time_ns
from typing import Final

from blockdb.config import DatabaseConfig
from blockdb.errors import BlockDBError, DuplicateKey
from blockdb.format import batch
from blockdb.format.frame import with_check
from blockdb.format.limits import MAX_KEY_BYTES, MAX_SEGMENTS, MAX_VALUE_BYTES
from blockdb.format.place import OFFSET_BITS
from blockdb.format.record import SALT_BYTES, encoders
from blockdb.layout import CollectionFiles
from blockdb.ledger.signature import Signer
from blockdb.lsm.memtable import Memtable
from blockdb.storage.checks import check_batch, check_key, check_value, first_repeated
from blockdb.storage.door import Door
from blockdb.storage.log import Log
from blockdb.storage.maintenance import Frozen, Tables
from blockdb.storage.manifest import Manifest, ReplayPoint
from blockdb.storage.metadata import Metadata
from blockdb.storage.packed import Packer
from blockdb.storage.reader import SAMPLE_MASK, Reader
from blockdb.storage.recovery import recover
from blockdb.storage.redactor import Recording, Redactor
from blockdb.storage.seals import Seals
from blockdb.storage.sources import Horizon
from blockdb.storage.statistics import Histogram
from blockdb.storage.upkeep import MAX_FROZEN, Upkeep
from blockdb.storage.view import View
from blockdb.storage.write_group import Write, WriteGroup

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
        """Open the collection for writing, recovering what a killed writer left. Raises Corruption, StorageError.

        A redaction that was under way is left to `finish_redaction`.
        """
        super().__init__(door, files, metadata, config.cache_size_limit)
        self.config = config
        self.duplicates = 0
        self.put_latency = Histogram()
        self._full_bytes = config.memtable_size_limit // (1 + MAX_FROZEN)
        self._writing = Lock()
        self._room = Condition(self._writing)
        self._redactor = Redactor(self, self._close_file_of, self._forget_values)
        tables = Tables(door, files, metadata.uuid, manifest, self.open_table)
        tables.remove_unused()
        packer = Packer(door, files, metadata.uuid, config.compression_enabled)
        packer.remove_unused()
        self._tables, self._packer = tables, packer
        self._attention = False
        """Set by whatever makes a write look around before it begins: see `_attend`."""
        self._encode, self._encode_many = encoders(metadata.redactable, lambda: urandom(SALT_BYTES))
        self._recover(manifest, signer)
        self.tree.cut(manifest.flushed_sequence)
        self.bytes_before = self.data_bytes()
        """Keys and values that were there when it was opened."""
        self._group = WriteGroup(self._put_group)
        self.upkeep = Upkeep(self, self._log, tables, packer, config, self._room)

    def _recover(self, manifest: Manifest, signer: Signer) -> None:
        tables = self.open_tables(manifest)
        state = recover(self.door, self.files, self.metadata.uuid, self.chain, manifest, tables)
        self.recovered = state
        self._active = state.memtable
        self.view = View((state.memtable,), tables)
        self.next_sequence = state.next_sequence
        self._last_time_ms = state.last_time_ms
        self._log = Log(
            self.door,
            self.files,
            self.metadata.uuid,
            state.end,
            state.forced,
            state.torn_bytes,
            self.config.compression_enabled,
        )
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
            self.tree.note,
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
    def puts(self) -> int:
        """How many records were stored since it was opened."""
        return self.next_sequence - self.recovered.next_sequence

    @property
    def bytes_written(self) -> int:
        """How many bytes were written to log, tables and packed chain files since it was opened."""
        return self._log.appended_bytes + self._tables.written_bytes + self._packer.written_bytes

    @property
    def force_latency(self) -> Histogram:
        """How long forces took."""
        return self._log.latency

    def refresh(self, wait: bool = False) -> None:
        """Have every block sealed that is full: whoever looks does not see that sealing may lag behind."""
        if not self._seals.is_settled:
            with self._writing:
                self._seals.settle()

    def acknowledged(self, forced_only: bool) -> Horizon:
        """What is written; with `forced_only`, it is forced first, together with those who wait for that."""
        records, end = self.next_sequence, self._log.end  # in this order: what is read later may only be newer
        if forced_only:
            self._log.force(end)
        return Horizon(records, end)

    def wait_beyond(
        self, known: Horizon, forced_only: bool, is_over: Callable[[], bool], timeout_s: float | None
    ) -> None:
        """Wait for the next write: it wakes whoever has the lock of `_room` then, who gets it when it is through."""
        with self._room:
            if self.next_sequence <= known.records and not is_over():
                self._attention = True  # so that writes look around for us, and need not while nobody waits
                self._room.wait(timeout_s)

    def wake(self) -> None:
        """Have those who wait look whether it is over."""
        with self._room:
            self._room.notify_all()

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
        if sync or not self.config.wal_sync_interval:
            sequence = self._group.put(key, value)
        else:
            with self._writing:
                sequence = self._put(key, value)
        if start:
            self.put_latency.add(perf_counter_ns() - start)
        return sequence

    def _put(self, key: bytes, value: bytes) -> int:
        """Under the write lock."""
        if self._attention or self._seals.is_waiting or self._log.end >= self._log.roll_at:
            self._attend()
        active = self._active
        if key in active.index or self.view.is_in_older(key):
            self._refuse(key)
        now_ms = self._now_ms()
        body = self._encode(now_ms, key, value)
        place = self._log.append(with_check(body))
        active.append(key, value, place)
        sequence = self.next_sequence
        self.next_sequence = sequence + 1
        if self._open_block.add(body, place):
            self._seals.seal()
        if active.size_bytes >= self._full_bytes:
            self._make_room()
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
            sequences = self._append(keys, values, batch.encode, batch.HEADER_BYTES)
            end = self._log.end
        if sync or not self.config.wal_sync_interval:
            self._log.force(end)
        self.put_latency.add((perf_counter_ns() - start) // len(keys))
        return sequences

    def _put_group(self, writes: Sequence[Write]) -> None:
        """Store the records of a group, each for itself, and force them together."""
        try:
            with self._writing:
                self._attend()
                fresh = self._fresh(writes)
                if fresh:
                    values = [write.value for write in fresh.values()]
                    first = self._append(list(fresh), values, batch.frames, 0)[0]
                    for ordinal, write in enumerate(fresh.values()):
                        write.sequence = first + ordinal
                end = self._log.end
            self._log.force(end)
        except BlockDBError as error:
            for write in writes:
                write.error = write.error or error

    def _fresh(self, writes: Sequence[Write]) -> dict[bytes, Write]:
        """The writes whose key is not stored, and comes first among them; the others are refused."""
        fresh: dict[bytes, Write] = {}
        for write in writes:
            if write.key in fresh or self.view.has(write.key):
                write.error = self._duplicate(write.key)
            else:
                fresh[write.key] = write
        return fresh

    def _append(
        self,
        keys: Sequence[bytes],
        values: Sequence[bytes],
        frames: Callable[[list[bytes]], bytes],
        header_bytes: int,
    ) -> range:
        """Write records with one call: what `frames` makes of their bodies, the first one after `header_bytes`."""
        bodies = self._encode_many(self._now_ms(), keys, values)
        place = self._log.append(frames(bodies))
        places = batch.places(place + header_bytes, bodies)
        self._active.extend(keys, values, places)
        first = self.next_sequence
        self.next_sequence = first + len(keys)
        if self._open_block.add_many(bodies, places):
            self._seals.seal()
        if self._active.size_bytes >= self._full_bytes:
            self._make_room()
        return range(first, first + len(keys))

    def _now_ms(self) -> int:
        """The time of the next commit: never earlier than that of the one before, whatever the clock does."""
        now_ms = time_ns() // 1_000_000
        if now_ms > self._last_time_ms:
            self._last_time_ms = now_ms
        return self._last_time_ms

    def _attend(self) -> None:
        """See to what is rare before a write: a closed or failing collection, seals that wait, a full chain file."""
        self.check_open()
        self.upkeep.insist_on_room()
        self._seals.write_waiting()
        if self._log.end >= self._log.roll_at:
            self._roll()
        self._attention = self.upkeep.is_failing
        self._room.notify_all()  # who waits for this write goes on when it gives the lock away

    def _roll(self) -> None:
        self._log.roll(self.next_sequence)
        self.upkeep.wake_merger()

    def _refuse_duplicates(self, keys: Sequence[bytes]) -> None:
        distinct = dict.fromkeys(keys)
        if len(distinct) < len(keys):
            self._refuse(first_repeated(keys))
        stored = self.view.first_stored(keys, distinct)
        if stored is not None:
            self._refuse(stored)

    def _refuse(self, key: bytes) -> None:
        raise self._duplicate(key)

    def _duplicate(self, key: bytes) -> DuplicateKey:
        self.duplicates += 1
        return DuplicateKey(key, self.has_expired(key))

    # Sealing and freezing, under the write lock.

    def _on_seal(self, place: int) -> None:
        self._active.seals.append(place)

    def _make_room(self) -> None:
        """Freeze the full memtable, once there are not too many frozen ones."""
        if self.upkeep.wait_for_room():
            self._freeze()
        else:  # what was written stands, and the next write tries again
            self._attention = True

    def _freeze(self) -> None:
        if self._seals.is_waiting or not len(self._active):
            return
        end, block = self._log.end, self._open_block
        replay = ReplayPoint(block.first_place or end, self.next_sequence - len(block), self._seals.head_place)
        frozen = Frozen(self._active, end, replay)
        self._active = Memtable(self.next_sequence, self.blocks, end)
        self.view = replace(self.view, memtables=(self._active, *self.view.memtables))
        self.upkeep.add(frozen)

    def use_signer(self, signer: Signer) -> None:
        """Sign blocks with another key from now on."""
        with self._writing:
            self._seals.signer = signer

    # Redacting.

    def redact(self, keys: Sequence[bytes], reason: str, by: str, record_event: Recording) -> tuple[list[int], int]:
        """Erase the values of keys for good: see `Redactor.redact`."""
        with self.upkeep.compacting:
            self.check_open()
            return self._redactor.redact(keys, reason, by, record_event)

    def finish_redaction(self, record_event: Recording) -> None:
        """Finish what an earlier process left unfinished. Raises Corruption, StorageError."""
        with self.upkeep.compacting:
            self._redactor.finish(record_event)

    def _close_file_of(self, place: int) -> None:
        """Have the record at a place sealed, as far as blocks are full, in a file that takes no more commits."""
        with self._writing:
            self._attend()
            self._seals.settle()
            self.check_open()  # waiting gives the lock away
            if place >> OFFSET_BITS == self._log.segment:
                self._roll()

    def _forget_values(self, keys: Mapping[int, bytes]) -> None:
        """Forget the values of keys, by the places of their records, as far as they are in memory."""
        with self._writing:
            for memtable in self.view.memtables:
                for key in keys.values():
                    memtable.redact(key)
            self._open_block.redact(keys)

    # Ahead of time, and at the end.

    def force(self) -> None:
        """Have everything that was written on the disk. Raises WritesStopped."""
        self._log.force()

    def flush(self) -> None:
        """Write everything in memory to tables and force it to disk. Raises StorageError."""
        with self._writing:
            self._attend()
            self._seals.settle()
            self.check_open()  # waiting gives the lock away
            self._freeze()
        self._log.force()
        self.upkeep.flush()

    def compact(self) -> None:
        """Flush, merge all tables into one, and pack the chain if it is to be. O(n). Raises StorageError."""
        self.flush()
        if self.config.compression_enabled:
            with self._writing:
                if self._log.is_begun and self._log.segment < MAX_SEGMENTS // 2:  # often enough, they would run out
                    self._roll()
        self.upkeep.compact()

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
        try:
            self.upkeep.stop()
        finally:
            with self.upkeep.compacting:  # a redaction in another thread comes to its end
                self._log.close()

    def disown(self) -> None:
        """In a forked child: refuse everything; the locks may be held by threads that are the parent's."""
        super().disown()
        self._attention = True
        self._writing = Lock()
        self._room = Condition(self._writing)
