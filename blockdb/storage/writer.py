"""The write path of a collection: duplicate check, log, memtable, open block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter_ns

from blockdb.config import DatabaseConfig
from blockdb.errors import BlockDBError, DuplicateKey, InvalidData
from blockdb.format import batch
from blockdb.format.batch import Laid, encoders
from blockdb.format.bulk import WRITINGS
from blockdb.format.checks import check_batch, check_key, check_value, first_repeated
from blockdb.format.limits import MAX_KEY_BYTES
from blockdb.format.record import SALT_BYTES
from blockdb.layout import CollectionFiles
from blockdb.ledger.signature import Signer
from blockdb.storage.commit import NO_DECISIONS, DecisionLog, Gate, Held, Prepared, Rider, Unprepared
from blockdb.storage.commons import Commons
from blockdb.storage.door import Door
from blockdb.storage.metadata import Metadata
from blockdb.storage.open_files import OpenFiles
from blockdb.storage.reader import SAMPLE_MASK
from blockdb.storage.statistics import Histogram
from blockdb.storage.tracing import Trace
from blockdb.storage.write_group import Item, Outcome, WriteGroup, count_of_group


class Writer(OpenFiles):
    """The writing half of a collection. Any number of threads may use it."""

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
        """Open the collection for writing, recovering what a killed writer left. Raises Corruption, StorageError."""
        super().__init__(door, files, metadata, config, signer, commons, decisions)
        self.duplicates = 0
        self.put_latency = Histogram()
        self._max_value_bytes = metadata.settings.max_document_size
        self.needs_riders = False
        """Whether something is derived from each record, so that none is stored without a rider. Set under the lock."""
        self._encode, self._lay = encoders(metadata.redactable, self._new_salt)
        self._clock = self.surroundings.now_ms
        self._group = WriteGroup(self._put_group)

    # Writing.

    def put(self, key: bytes, value: bytes, sync: bool = False) -> int:
        """Store a record and return its sequence number. O(1) amortised.

        Raises DuplicateKey, InvalidData, DatabaseClosed, StorageError, WritesStopped.
        """
        if type(key) is not bytes or not 0 < len(key) <= MAX_KEY_BYTES:
            check_key(key)
        if type(value) is not bytes or len(value) > self._max_value_bytes:
            check_value(value, self._max_value_bytes)
        start = 0 if self.next_sequence & SAMPLE_MASK else perf_counter_ns()
        if sync or not self.config.wal_sync_interval:
            sequence = self._group.put(key, value)
        else:
            with self.writing:
                sequence = self._put(key, value)
        if start:
            self.put_latency.add(perf_counter_ns() - start)
        return sequence

    def _put(
        self, key: bytes, value: bytes, rider: Rider | None = None, is_prepared: bool = False, transaction: int = 0
    ) -> int:
        """Under the write lock; `is_prepared` says that there is nothing left to check.

        A quarter of a put is calls of Python functions, so there are few of them here.
        """
        log = self._log
        if not is_prepared:
            if self._attention or log.end >= log.roll_at:
                self._attend((key,))
                log = self._log  # who waited there had given the lock away
            if rider is None and self.needs_riders:
                raise Unprepared
            if self.view.has(key):
                self._refuse(key)
            if rider is not None:
                rider.check()
        now_ms = self._clock()
        if now_ms < self._last_time_ms:
            now_ms = self._last_time_ms
        self._last_time_ms = now_ms
        frame = self._encode(now_ms, key, value)
        if transaction:
            header = batch.encode_header(batch.BatchHeader(1, len(frame), transaction))
            place = log.append(header + frame) + len(header)
        else:
            place = log.append(frame)
        active = self._active
        active.append(key, value, place)
        sequence = self.next_sequence
        if self.trace is not None:
            self.trace.logged(sequence, key, log.end)
        self.next_sequence = sequence + 1
        if rider is not None:
            rider.take(sequence, (place,))
        if self._open_block.add(frame, place):
            self._seals.seal()
        if active.size_bytes >= active.allowed_bytes:
            self._make_room()
        return sequence

    def put_each(self, items: Iterable[tuple[bytes, bytes]], sync: bool = False) -> list[int | BlockDBError | None]:
        """Store records, each for itself, with one write, and one force where it is one for `put`.

        Gives the sequence number of each, or its error. None is for what was not tried: a transaction has the key, or
        records come with a rider. O(n).
        """
        start = perf_counter_ns()
        waiting: list[Item] = []
        refused: list[BlockDBError | None] = []
        for key, value in items:
            try:
                check_value(value, self._max_value_bytes)
                check_key(key)
            except InvalidData as error:
                refused.append(error)
            else:
                refused.append(None)
                waiting.append((key, value))
        outcomes: list[Outcome] = []
        while len(outcomes) < len(waiting):
            rest = waiting[len(outcomes) :]
            group = rest[: count_of_group(rest)]
            outcomes += self._store_group(group, sync or not self.config.wal_sync_interval)
        if refused:
            self.put_latency.add((perf_counter_ns() - start) // len(refused))
        became = map(_untried_as_none, outcomes)
        return [next(became) if error is None else error for error in refused]

    def put_many(self, items: Iterable[tuple[bytes, bytes]], sync: bool = False) -> range:
        """Store a batch, all of it or nothing, and return its sequence numbers. O(n) amortised. Raises as `put`."""
        return self.commit(Prepared(*check_batch(items, self._max_value_bytes)), sync)

    def commit(self, prepared: Prepared, sync: bool = False) -> range:
        """Store records that were found acceptable, all or nothing, and what goes along with them. Raises as `put`."""
        keys = prepared.keys
        if not keys:
            self.check_open()
            return range(self.next_sequence, self.next_sequence)
        start = 0 if len(keys) == 1 and self.next_sequence & SAMPLE_MASK else perf_counter_ns()
        is_forced = sync or not self.config.wal_sync_interval
        with self.writing:
            if is_forced:
                self.check_open()
                self._log.reserve()
            if len(keys) == 1:
                first = self._put(keys[0], prepared.values[0], prepared.rider)
                sequences = range(first, first + 1)
            else:
                self.prepare(prepared)
                sequences = self.apply(prepared)
            end = self._log.end
        if is_forced:
            self._log.force(end)
        if start:
            self.put_latency.add((perf_counter_ns() - start) // len(keys))
        return sequences

    def prepare(self, prepared: Prepared) -> None:
        """Under the write lock: make sure that these records can be stored now. Raises as `put`."""
        self._attend(prepared.keys)
        self._refuse_duplicates(prepared)
        if prepared.rider is not None:
            prepared.rider.check()
        elif self.needs_riders:
            raise Unprepared

    def apply(self, prepared: Prepared, transaction: int = 0) -> range:
        """Under the write lock, after `prepare`: store them. Raises StorageError, and nothing is stored then."""
        keys, values, rider = prepared.keys, prepared.values, prepared.rider
        if transaction:
            self._log.transaction = transaction
        if len(keys) == 1:
            first = self._put(keys[0], values[0], rider, is_prepared=True, transaction=transaction)
            return range(first, first + 1)
        laid = self._laid(prepared)
        return self._append(prepared, laid, laid.header(transaction))

    # What a cluster has decided.

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Hold the write lock, for `apply` and `apply_each`: no transaction of this process is in the way of that."""
        with self.writing:
            self._attend()
            yield

    def apply_each(self, turns: Iterable[tuple[Callable[[], object], Sequence[bytes], Sequence[bytes]]]) -> range:
        """Store records for which there is nothing left to check, each as `put` does, with one write.

        They come in turns, each with its keys and values, before which surroundings are changed by a call.
        """
        all_keys: list[bytes] = []
        all_values: list[bytes] = []
        bodies: list[bytes] = []
        frames: list[bytes] = []
        for begin, keys, values in turns:
            begin()
            laid = self._lay(self._now_ms(), keys, values)
            bodies += laid.bodies
            frames.append(laid.frames)
            all_keys += keys
            all_values += values
        return self._append(Prepared(all_keys, all_values), Laid(bodies, b"".join(frames)))

    def _put_group(self, items: Sequence[Item]) -> Sequence[Outcome]:
        """Store the records of a group, each for itself, and force them together. Who is alone may raise, as `put`."""
        if len(items) > 1:
            return self._store_group(items, is_forced=True)
        [(key, value)] = items
        return self.commit(Prepared((key,), (value,)), sync=True)

    def _store_group(self, items: Sequence[Item], is_forced: bool) -> Sequence[Outcome]:
        refused: dict[int, Outcome] = {}
        try:
            with self.writing:
                self._attend()
                if self.needs_riders:
                    raise Unprepared
                keys, values = self._fresh(items, refused)
                sequences = range(0)
                if keys:
                    if is_forced:
                        self._log.reserve()
                    prepared = Prepared(keys, values)
                    sequences = self._append(prepared, self._laid(prepared))
                end = self._log.end
            if is_forced:
                self._log.force(end)
        except (BlockDBError, Unprepared) as error:
            return [refused.get(ordinal, error) for ordinal in range(len(items))]
        if not refused:
            return sequences
        stored = iter(sequences)
        return [refused[ordinal] if ordinal in refused else next(stored) for ordinal in range(len(items))]

    def _fresh(self, items: Sequence[Item], refused: dict[int, Outcome]) -> tuple[Sequence[bytes], Sequence[bytes]]:
        """Keys and values of those whose key is not stored, and comes first among them; the others are refused."""
        keys, values = zip(*items, strict=True)
        distinct = dict.fromkeys(keys)
        if self.gate is None and len(distinct) == len(keys) and self.view.first_stored(keys, distinct) is None:
            return keys, values
        fresh: dict[bytes, bytes] = {}
        for ordinal, (key, value) in enumerate(items):
            try:
                if key in fresh or self.view.has(key):
                    self._refuse(key)
                if self.gate is not None:
                    self.gate.check((key,))
                fresh[key] = value
            except (DuplicateKey, Held) as error:
                refused[ordinal] = error
        return list(fresh), list(fresh.values())

    def _laid(self, prepared: Prepared) -> Laid:
        return self._lay(self._now_ms(), prepared.keys, prepared.values)

    def _append(self, prepared: Prepared, laid: Laid, header: bytes = b"") -> range:
        """Write records with one call, behind the header that makes a batch of them, if there is one."""
        keys, rider, block = prepared.keys, prepared.rider, self._open_block
        bodies, size = laid.bodies, laid.body_bytes
        place = self._log.append(header + laid.frames)
        places = laid.places(place + len(header))
        WRITINGS.count(len(bodies))
        self._active.extend(prepared.by_key, places, size - len(bodies) * block.beside_bytes)
        first = self.next_sequence
        if self.trace is not None:
            self.trace.logged(first, keys[0], self._log.end)
        self.next_sequence = first + len(keys)
        if rider is not None:
            rider.take(first, places)
        if block.add_many(bodies, places, size):
            self._seals.seal()
        if self._active.size_bytes >= self._active.allowed_bytes:
            self._make_room()
        return range(first, first + len(keys))

    def _now_ms(self) -> int:
        """The time of the next commit: never earlier than that of the one before, whatever the clock does."""
        self._last_time_ms = max(self._clock(), self._last_time_ms)
        return self._last_time_ms

    def _new_salt(self) -> bytes:
        return self.surroundings.chance(SALT_BYTES, "salt")

    def trace_next(self) -> Trace:
        """Have the next write tell when it reaches each of its stages; whoever asked before is told no more."""
        with self.writing:
            self._attend()
            trace = self.trace = Trace()
            trace.begin(self)
            self._attention = True  # so that the next write looks around, which is where it begins
        return trace

    def look_for_riders(self) -> None:
        """Have each record come with a rider if anything is demanded of it, or derived from it."""
        raise NotImplementedError

    def use_gate(self, gate: Gate | None) -> None:
        """Have each commit pass this gate from now on."""
        with self.writing:
            self.gate = gate
            self._attention = True

    def _attend(self, keys: Sequence[bytes] = ()) -> None:
        """See to what is rare before a write: locks, a closed or failing collection, waiting seals, a full file."""
        self.check_open()
        self.upkeep.insist_on_room()
        self._seals.write_waiting()
        if self._log.end >= self._log.roll_at:
            self._roll()
        self.upkeep.note_write()
        self._attention = self.upkeep.is_failing or self.gate is not None
        if self.trace is not None:
            self.trace.begun()
        self._room.notify_all()  # see `Store.wait_beyond`
        if self.gate is not None:
            self.gate.check(keys)

    def _roll(self) -> None:
        self._log.roll(self.next_sequence)
        self.upkeep.wake_merger()

    def _refuse_duplicates(self, prepared: Prepared) -> None:
        keys, distinct = prepared.keys, prepared.by_key
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

    def _make_room(self) -> None:
        """Let the memtable grow, or else freeze it, once there are not too many frozen ones."""
        active = self._active
        if self.upkeep.may_grow():
            return
        if not self.upkeep.wait_for_room():  # what was written stands, and the next write tries again
            self._attention = True
        elif self._active is active:  # else it was frozen for the others' sake meanwhile
            self._freeze()


def _untried_as_none(outcome: Outcome) -> int | BlockDBError | None:
    return None if isinstance(outcome, (Held, Unprepared)) else outcome
