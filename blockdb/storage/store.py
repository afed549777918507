"""The writer of a collection, from its opening to its end: redacting, flushing, compacting, closing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Condition, Lock, RLock

from blockdb.config import DatabaseConfig
from blockdb.errors import WritesStopped
from blockdb.format.limits import MAX_SEGMENTS
from blockdb.format.place import OFFSET_BITS
from blockdb.layout import CollectionFiles
from blockdb.ledger.signature import Signer
from blockdb.storage.commit import NO_DECISIONS, DecisionLog
from blockdb.storage.commons import Commons
from blockdb.storage.door import Door
from blockdb.storage.index_keeper import IndexKeeper
from blockdb.storage.metadata import Metadata, load_metadata, save_metadata
from blockdb.storage.open_files import FLUSH_RECORDS
from blockdb.storage.parking import Tryable
from blockdb.storage.redactor import Recording, Redactor
from blockdb.storage.sources import Horizon
from blockdb.storage.writer import Writer


class Store(Writer):
    """The one writer of a collection. Any number of threads may use it."""

    def __init__(
        self,
        door: Door,
        files: CollectionFiles,
        metadata: Metadata,
        config: DatabaseConfig,
        signer: Signer,
        commons: Commons,
        decisions: DecisionLog = NO_DECISIONS,
    ) -> None:
        """Open the collection for writing, recovering what a killed writer left. Raises Corruption, StorageError.

        `commons` is what it shares with the other collections of its database; `decisions` tells of the transactions
        over several of them. A redaction that was under way is left to `finish_redaction`.
        """
        super().__init__(door, files, metadata, config, signer, commons, decisions)
        self.changing = RLock()
        """Held by whoever changes what the collection is, and taken before `writing`."""
        self.indexes = IndexKeeper(self, commons)
        forgetting = self._forget_values, self.indexes.forget_records
        self._redactor = Redactor(self, self.surroundings, self._close_file_of, *forgetting)
        self.look_for_riders()

    def begin(self) -> None:
        """Open the files, and the indexes if it is not for the first time."""
        super().begin()
        if "indexes" in vars(self):
            self.indexes.begin()

    @property
    def parking_locks(self) -> tuple[Tryable, ...]:
        """Whoever holds one of these is at work."""
        return (self.changing, *super().parking_locks, *self.indexes.locks)

    def pause(self) -> bool:
        """Have nothing done beside the writers any more, unless there is something to do, and say so."""
        if not self.indexes.pause():
            return False
        if super().pause():
            self.indexes.let_go()
            return True
        self.indexes.go_on()
        return False

    def look_for_riders(self) -> None:
        """Have each record come with a rider if anything is demanded of it, or derived from it."""
        self.needs_riders = bool(self.metadata.schemas or self.indexes.by_name)

    def change_metadata(self, metadata: Metadata) -> None:
        """Under the write lock: put metadata in the place of what there is; what was written is on the disk before.

        So a number of records that it names is never more than a power cut leaves. Raises StorageError, OSError.
        """
        self._log.force()
        try:
            save_metadata(self.door, self.files.metadata, metadata)
        finally:  # where a force failed, the new file may be there all the same
            self.metadata = load_metadata(self.door, self.files.metadata)

    # In transactions.

    def check_new(self, key: bytes) -> None:
        """Raises DuplicateKey where a key is stored."""
        if self.view.has(key):
            self._refuse(key)

    def stop(self, what: str) -> WritesStopped:
        """Take no more writes, because of what happened. Returns the error that says so."""
        return self._log.stop(what)

    @property
    def stopped(self) -> WritesStopped | None:
        """The error that every write raises, if it takes no more."""
        return self._log.failure

    # Following.

    def acknowledged(self, forced_only: bool) -> Horizon:
        """What is written; with `forced_only`, it is forced first, together with those who wait for that."""
        records, end = self.next_sequence, self._log.end  # in this order: what is read later may only be newer
        if forced_only:
            self._log.force(end)
        return Horizon(records, end)

    def wait_beyond(
        self, known: Horizon, forced_only: bool, is_over: Callable[[], bool], timeout_s: float | None
    ) -> None:
        """Wait for the next write: as it begins it wakes who waits here, who get the lock once it is through."""
        with self._room:
            if self.next_sequence <= known.records and not is_over():
                self._attention = True  # so that the next write looks around, and none need while nobody waits
                self._room.wait(timeout_s)

    def wake(self) -> None:
        """Have those who wait look whether it is over."""
        with self._room:
            self._room.notify_all()

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
        with self.writing:
            self._attend()
            self._seals.settle()
            self.check_open()  # waiting gives the lock away
            if place >> OFFSET_BITS == self._log.segment:
                self._roll()

    def _forget_values(self, keys: Mapping[int, bytes]) -> None:
        """Forget the values of keys, by the places of their records, as far as they are in memory."""
        with self.writing:
            for memtable in self.view.memtables:
                for key in keys.values():
                    memtable.redact(key)
            self._open_block.redact(keys)

    # Ahead of time, and at the end.

    def force(self) -> None:
        """Have everything that was written on the disk. Raises WritesStopped."""
        with self.unparking:
            if self.is_parked:
                return  # it was forced before
        self._log.force()

    def flush(self) -> None:
        """Write everything in memory to tables and force it to disk. Raises StorageError."""
        with self.writing:
            self._attend()
            self._seals.settle()
            self.check_open()  # waiting gives the lock away
            self._freeze()
            self.indexes.freeze(1)
        self._log.force()
        self.upkeep.flush()
        self.indexes.flush()

    def compact(self) -> None:
        """Flush, merge all tables into one, and pack the chain if it is to be. O(n). Raises StorageError."""
        self.flush()
        if self.config.compression_enabled:
            with self.writing:
                if self._log.is_begun and self._log.segment < MAX_SEGMENTS // 2:  # often enough, they would run out
                    self._roll()
        self.upkeep.compact()
        self.indexes.compact()

    def close(self) -> None:
        """Force what was written and stop; a memtable that would take long to replay is written first. Idempotent."""
        with self.unparking:
            if self.is_parked:
                self.closed = True
                return
        self._seals.stop()
        with self.writing:
            if self.closed:
                return
            if len(self._active) >= FLUSH_RECORDS:
                self._freeze()
            self.indexes.freeze(FLUSH_RECORDS)
            self.closed = self._attention = True
            self._room.notify_all()
        self.shut()

    def drop(self) -> None:
        """Under the write lock: refuse everything from now on, since the collection is gone. `shut` is to follow."""
        self.is_dropped = self.closed = self._attention = True
        self._room.notify_all()

    def shut(self) -> None:
        """Let go of threads and files, once nothing is written any more. Raises StorageError."""
        self._seals.stop()
        try:
            self.upkeep.stop()
            self.indexes.close()
        finally:
            self.cache.clear()
            self.leave()
            with self.upkeep.compacting:  # a redaction in another thread comes to its end
                self._log.close()

    @property
    def index_notes(self) -> tuple[str, ...]:
        """What was found damaged of indexes when it was opened."""
        return self.indexes.notes

    def disown(self) -> None:
        """In a forked child: refuse everything; the locks may be held by threads that are the parent's."""
        super().disown()
        self._attention = True
        self.writing = Lock()
        self._room = Condition(self.writing)
