"""Work beside the writers of a collection: forcing the log, flushing memtables, merging tables, packing chain files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Condition, Lock
from time import monotonic, perf_counter_ns
from typing import Final

from blockdb.config import DatabaseConfig
from blockdb.errors import BlockDBError, StorageError, WritesStopped
from blockdb.format.bulk import WRITINGS
from blockdb.lsm import tiers
from blockdb.lsm.key_filter import KeyFilter
from blockdb.lsm.memtable import Memtable
from blockdb.lsm.table import Table
from blockdb.storage.commons import Commons
from blockdb.storage.log import Log
from blockdb.storage.maintenance import Frozen, Tables
from blockdb.storage.packed import Packer
from blockdb.storage.reader import Reader
from blockdb.storage.statistics import Histogram
from blockdb.storage.table_makers import IDLE_S
from blockdb.storage.unloading import Unloading

MAX_FROZEN: Final = 1
"""A writer that would freeze one more memtable than this waits: one fills while the other is written."""

PAUSE_S: Final = 0.02
PAUSES: Final = 16
"""It does not come to that all at once: over the last quarter of its memtable a writer takes so many pauses of that
length at most, as long as the other one is not written. (LevelDB slows its writers down in the same way.)
"""

WORTHWHILE_TABLES: Final = 3
"""With fewer tables, a reader that asks the filter of each is as quick as one that asks one for all."""

BUSY_RECORDS: Final = 50_000
"""A writer that has flushed and has so many records in tables asks one filter for all: it looks for each new key."""

BUSY_KEYS: Final = 1 << 20
"""The filter that such a writer begins with has room for so many: 1.3 MB, and it need not be made anew for a while."""

QUIET_S: Final = 3.0
"""A writer that has filled a memtable in so long a time is busy: its cores have better to do than merging."""

BUSY_FACTOR: Final = 2
"""So many times as many tables wait then until they are merged, and are merged into one together."""

REAP_S: Final = IDLE_S + 1
"""How long after the last look it is looked whether processes for tables have ended, of which the system keeps a trace
until then."""

RETRY_S: Final = 1.0
"""How long after a failure a memtable is tried again."""


class Upkeep:
    """What threads do for a writer, and the memtables that wait for them. A failure is told to whoever writes next.

    `reader` is the writer, whose view is replaced under its lock, `room`'s; under it, too, `freeze` freezes the
    memtable that is being filled, and `attend` has the next write call `note_write`.
    """

    def __init__(
        self,
        reader: Reader,
        config: DatabaseConfig,
        room: Condition,
        commons: Commons,
        freeze: Callable[[], None],
        attend: Callable[[], None],
    ) -> None:
        self._reader = reader
        self._config = config
        self._room = room
        self._frozen: deque[Frozen] = deque()
        self._failure: BlockDBError | None = None
        self._merging_failure: BlockDBError | None = None
        self.flushing = Lock()
        self.compacting = Lock()
        """Held by whoever flushes and merges: one at a time each, and who watches can tell that it goes on."""
        self.flushes = 0
        self.compactions = 0
        self.stalls = 0
        self.stall_latency = Histogram()
        """How often, and how long, writers waited for a memtable to be flushed."""
        self.unloading = Unloading(reader)
        self._freeze = freeze
        self._attend = attend
        self._is_low = False
        self._filled_at = -QUIET_S
        self._looked_after = 0
        self._looks_at = 0.0
        self._budget = commons.memtables
        self.makers = commons.table_makers
        self._force_s = (config.wal_sync_interval or 1000) / 1000
        self._forcer = commons.forcing.task(self._force_in_background)
        self._merger = commons.compacting.task(self._merge_in_background)
        self._flusher = commons.flushing.task(self._flush_in_background)
        self._tasks = (self._forcer, self._flusher, self._merger)

    def begin(self, log: Log, tables: Tables, packer: Packer) -> None:
        """Look after these from now on: the collection was opened, perhaps once more."""
        self._log, self._tables, self._packer = log, tables, packer
        self.makers.enter(self)
        for task in self._tasks:
            task.resume()
        if log.segment or len(self._reader.view.tables) >= min(WORTHWHILE_TABLES, self._config.compaction_threshold):
            self.wake_merger()

    def pause(self) -> bool:
        """Leave the files alone, unless there is something to do, and say so. Under all locks."""
        stopped = [task for task in self._tasks if self.is_idle and task.try_stop()]
        if len(stopped) < len(self._tasks):
            for task in stopped:
                task.resume()
            return False
        self._leave()
        return True

    @property
    def failure(self) -> BlockDBError | None:
        """Why flushing or merging failed the last time, if it did and has not succeeded since."""
        return self._failure or self._merging_failure

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to flush."""
        return not self._frozen and self._failure is None

    @property
    def is_failing(self) -> bool:
        """Whether memtables cannot be flushed."""
        return self._failure is not None

    def wake_merger(self) -> None:
        """Have it looked whether there is anything to merge or to pack."""
        try:
            self._merger.wake()
        except StorageError as error:
            self._merging_failure = error

    # What the budget of memtables asks.

    @property
    def memtables(self) -> tuple[Memtable, ...]:
        """The one that is being filled, and those that wait to be flushed."""
        return self._reader.view.memtables

    def relieve(self) -> None:
        """Have the memtable that is being filled flushed soon, beside its writer."""
        self._is_low = True
        self._wake_flusher()

    # Under the write lock.

    def add(self, frozen: Frozen) -> None:
        """Take a memtable that is to be flushed."""
        self._filled_at = monotonic()
        self._frozen.append(frozen)
        self._wake_flusher()

    def note_write(self) -> None:
        """Something is about to be written: force it before long. Raises StorageError where no thread can be had."""
        if self._forcer.due is None:
            self._forcer.wake(self._force_s)

    def may_grow(self) -> bool:
        """Whether the memtable that is being filled may take more before it is frozen."""
        self._budget.ask(self)
        if self._frozen:
            self._slow_down()
        active = self.memtables[0]
        return active.size_bytes < active.allowed_bytes

    def _slow_down(self) -> None:
        """Have the writer ask more often while a memtable waits to be flushed, and pause a little when it does."""
        active, last_quarter = self.memtables[0], self._budget.share_bytes // 4
        hurried_from = self._budget.share_bytes - last_quarter
        if active.size_bytes >= hurried_from and active.size_bytes < active.allowed_bytes:
            self._wait(PAUSE_S)
        if self._frozen:
            soon = max(hurried_from, active.size_bytes + last_quarter // PAUSES)
            active.allowed_bytes = min(active.allowed_bytes, soon)

    def _wake_flusher(self, delay_s: float = 0.0) -> None:
        try:
            self._flusher.wake(delay_s)
        except StorageError as error:
            self._failure = error

    @property
    def has_room(self) -> bool:
        """Whether one more memtable may be frozen at once."""
        return len(self._frozen) < MAX_FROZEN

    def wait_for_room(self) -> bool:
        """Wait until one more memtable may be frozen. Says no where there is no room, because flushing fails."""
        if len(self._frozen) >= MAX_FROZEN:
            self._wait()
        return self.has_room

    def _wait(self, timeout_s: float | None = None) -> None:
        self.stalls += 1
        start = perf_counter_ns()
        self._room.wait_for(lambda: len(self._frozen) < MAX_FROZEN or self._failure or self._reader.closed, timeout_s)
        self.stall_latency.add(perf_counter_ns() - start)

    def insist_on_room(self) -> None:
        """Where memtables could not be flushed and there is no room for more, try again. Raises StorageError."""
        if self._failure is None or len(self._frozen) < MAX_FROZEN:
            return
        self._failure = None
        self._wake_flusher()
        self.wait_for_room()
        if self._failure is not None:
            raise self._failure

    # Without it.

    def flush(self) -> None:
        """Write all memtables that were taken to tables, and have what there is merged soon. Raises StorageError."""
        self._flush()
        self._filled_at = -QUIET_S
        self.wake_merger()

    def _flush(self) -> None:
        with self.flushing:
            while self._frozen:
                self._flush_first()

    def compact(self) -> None:
        """Merge all tables into one, and pack all chain files that are full. O(n). Raises StorageError, Corruption."""
        with self.compacting:
            tables = self._reader.view.tables
            if len(tables) > 1:
                self._merge(tables)
            self._pack()

    def stop(self) -> None:
        """Have no more done by threads, once what they are at is done, and flush what is left. Raises StorageError."""
        for task in self._tasks:
            task.stop()
        try:
            self.flush()
        finally:
            self._leave()

    def _leave(self) -> None:
        self._budget.leave(self)
        self.makers.leave(self)

    def _flush_first(self) -> None:
        frozen = self._frozen[0]
        self._log.force(frozen.end_place)
        self._reader.tree.write(frozen.replay.sequence, self._reader.history().leaves)
        WRITINGS.prepare()
        table, marks = self._tables.write(frozen)
        is_known = False
        while not is_known:
            known = self._reader.view
            is_first = not known.tables and len(table) >= BUSY_RECORDS
            filter_ = KeyFilter(max(2 * len(table), BUSY_KEYS)) if is_first else known.filter
            if filter_ is not None and filter_.has_room_for(len(table)):
                for _ in filter_.add_marks(table, marks):
                    pass
            is_known = self._publish(frozen, table, known.filter, filter_)
        self.unloading.note_flush()

    def _publish(self, frozen: Frozen, table: Table, known: KeyFilter | None, filter_: KeyFilter | None) -> bool:
        """Have readers find a table in the place of its memtable; not if they have another filter than is known."""
        with self._room:
            if self._reader.view.filter is not known:
                return False
            self._frozen.popleft()
            self._reader.see(self._reader.view.flushed(frozen.memtable, table, filter_))
            self.flushes += 1
            self._failure = None
            self._room.notify_all()
            return True

    def _merge_once(self) -> bool:
        """Merge what is to be merged first, if there is anything. While the writer is busy, more has to be there."""
        tables, threshold = self._reader.view.tables, self._config.compaction_threshold
        is_busy = monotonic() < self._filled_at + QUIET_S
        run = tiers.choose(tables, threshold * BUSY_FACTOR if is_busy else threshold)
        if run is not None:
            self._merge(tables[run])
        elif is_busy and tiers.choose(tables, threshold) is not None:
            self._merger.wake(QUIET_S)
        return run is not None

    def _merge(self, tables: tuple[Table, ...]) -> None:
        merged = self._tables.merge(tables)
        with self._room:
            self._reader.see(self._reader.view.merged(tables, merged))
            self.compactions += 1
        self.unloading.unload([merged])
        self._tables.remove(tables)

    def _pack(self) -> None:
        if self._config.compression_enabled or self._reader.door.is_sealing:
            for number in self._packer.pack(self._log.segment):
                self._reader.chain.repacked(number)

    def _filter_keys(self) -> None:
        """Where one filter over all tables is worthwhile, and there is none that is not crowded, make one.

        It has room for as many keys again.
        """
        reader, view = self._reader, self._reader.view
        is_busy = self.flushes > 0 and view.table_records >= BUSY_RECORDS
        if len(view.tables) < WORTHWHILE_TABLES and not is_busy:
            return
        if view.filter is not None and not (view.filter.is_crowded or view.filter.is_outdated):
            return
        filter_ = KeyFilter(max(2 * reader.view.table_records, BUSY_KEYS if is_busy else 0))
        while self._fill(filter_):
            with self._room:
                view = reader.view.filtered(filter_)
                if view.filter is not None:  # else another table has come meanwhile
                    reader.see(view)
                    return

    def _fill(self, filter_: KeyFilter) -> bool:
        """Add all tables that a filter does not have. Says no where the collection was closed meanwhile."""
        for table in self._reader.view.tables:
            if table.header.first_sequence >= filter_.records:
                for _ in self.unloading.along(table, filter_.add(table)):
                    if self._reader.closed:
                        return False
        return True

    def _look_after_makers(self) -> None:
        """Let go of processes that have ended, and look again a while after the last table that was made here."""
        tables_made = self.flushes + self.compactions
        if tables_made > self._looked_after:
            self._looked_after, self._looks_at = tables_made, monotonic() + REAP_S
        left_s = self._looks_at - monotonic()
        if self.makers.count_idle() and left_s > 0:
            self._merger.wake(left_s)  # also where that was asked for before: this turn came first, and took its place

    # What the threads do.

    def _force_in_background(self) -> None:
        with suppress(WritesStopped):  # every write says so from now on
            self._log.force()
            if self._room.acquire(blocking=False):  # else somebody writes
                try:
                    if self._log.is_forced:
                        self._attend()
                        return
                finally:
                    self._room.release()
            self.note_write()

    def _flush_in_background(self) -> None:
        if self._is_low:
            self._is_low = False
            with self._room:
                if not self._frozen and not self._reader.closed:
                    self._freeze()
        try:
            self._flush()
            self.wake_merger()
        except BlockDBError as error:
            with self._room:
                self._failure = error
                self._room.notify_all()
            self._wake_flusher(RETRY_S)

    def _merge_in_background(self) -> None:
        try:
            with self.compacting:
                self._filter_keys()  # first, since writers need it, and merging takes long
                while not self._reader.closed and self._merge_once():
                    self._filter_keys()
                if not self._reader.closed:
                    self._pack()
                self._look_after_makers()
                self._merging_failure = None
        except BlockDBError as error:
            self._merging_failure = error  # reads go on; the next flush has it tried again
