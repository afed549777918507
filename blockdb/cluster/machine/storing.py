"""Commands that store records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from blockdb.cluster.machine.commands import Commit, CommitPart, CommitRead, PutMany
from blockdb.cluster.machine.holding import Holding, id_of, key_of
from blockdb.cluster.machine.pending import Blocked
from blockdb.cluster.machine.refusals import REFUSALS
from blockdb.cluster.machine.target import Target
from blockdb.errors import BlockDBError, CollectionNotFound, Deadlock, DuplicateKey, InvalidData
from blockdb.format.checks import check_key, check_value
from blockdb.format.limits import MAX_KEY_BYTES
from blockdb.storage.commit import Prepared

__all__ = ["Job", "Storing"]


class Job(NamedTuple):
    """A record that is to be stored by itself."""

    id: bytes
    digest: bytes
    time_ms: int
    seed: bytes
    ordinal: int
    collection: bytes
    key: bytes
    value: bytes


class Storing:
    """Stores records in the database of a holding."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._waiting: dict[bytes, Job] = {}

    # Each for itself.

    def is_waiting(self, id_: bytes) -> bool:
        """Whether a record of this id waits to be stored."""
        return id_ in self._waiting

    def add(self, job: Job) -> None:
        """Have a record stored with the next `flush`. No other of its id may wait."""
        self._waiting[job.id] = job

    def add_all(self, jobs: Sequence[Job]) -> bool:
        """The same for several; where two of them have the same id, none is taken, and it says no."""
        fresh = {job.id: job for job in jobs}
        if len(fresh) < len(jobs) or not self._waiting.keys().isdisjoint(fresh):
            return False
        self._waiting.update(fresh)
        return True

    def flush(self) -> None:
        """Store what waits."""
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            self.put_all(list(waiting.values()))

    def put_all(self, jobs: Sequence[Job]) -> None:
        """Store records one after the other: those of a collection with one write, if nothing is derived from them.

        What becomes of them is the same as if each came alone.
        """
        outcomes = self._holding.outcomes
        found = zip(jobs, self._put_apart(jobs), strict=True)
        kept = []
        for job, became in found:
            if isinstance(became, Blocked):
                outcomes.tell(job.id, job.digest, None, became)
            else:
                kept.append((job.id, job.digest, became))
        outcomes.add_all(kept)

    def _put_apart(self, jobs: Sequence[Job]) -> Sequence[int | BlockDBError]:
        """What becomes of records of any collections."""
        by_collection: dict[bytes, list[int]] = {}
        for number, job in enumerate(jobs):
            by_collection.setdefault(job.collection, []).append(number)
        if len(by_collection) == 1:
            return self._put_in(jobs[0].collection, jobs)
        became: list[int | BlockDBError] = [-1] * len(jobs)
        for collection, numbers in by_collection.items():
            of_collection = [jobs[number] for number in numbers]
            for number, result in zip(numbers, self._put_in(collection, of_collection), strict=True):
                became[number] = result
        return became

    def _put_in(self, collection: bytes, jobs: Sequence[Job]) -> Sequence[int | BlockDBError]:
        try:
            target = self._holding.target(collection)
        except (CollectionNotFound, InvalidData) as error:
            return [error] * len(jobs)
        if target.is_ahead or target.store.needs_riders:
            return [self._put(target, job) for job in jobs]
        return self._put_plain(target, jobs)

    def _put(self, target: Target, job: Job) -> int | BlockDBError:
        self._holding.surroundings.enter(job.time_ms, job.seed, job.ordinal)
        try:
            return self._store(target, [(job.key, job.value)], job.time_ms, job.seed).start
        except (*REFUSALS, Blocked) as error:
            return error

    def _put_plain(self, target: Target, jobs: Sequence[Job]) -> Sequence[int | BlockDBError]:
        if not self._holding.pending and _has_no_refusal(target, jobs):
            self._write(target, jobs)
            return range(target.count - len(jobs), target.count)
        became: list[int | BlockDBError] = []
        fresh: dict[bytes, Job] = {}
        is_shared = bool(self._holding.pending)
        for job in jobs:
            error = _refusal_of(target, job, fresh) or (self._blocked(job) if is_shared else None)
            if error is None:
                became.append(target.count + len(fresh))
                fresh[job.key] = job
            else:
                became.append(error)
        if fresh:
            self._write(target, list(fresh.values()))
        return became

    def _write(self, target: Target, jobs: Sequence[Job]) -> None:
        """Store records that nothing refuses, each as if it came alone, with one write."""
        enter = self._holding.surroundings.enter
        turns: list[tuple[Callable[[], object], list[Job]]] = []
        for job in jobs:
            if target.store.metadata.redactable or not turns or turns[-1][1][0].time_ms != job.time_ms:
                turns.append((partial(enter, job.time_ms, job.seed, job.ordinal), []))
            turns[-1][1].append(job)
        with target.store.deciding():
            target.store.apply_each(
                [(begin, [job.key for job in several], [job.value for job in several]) for begin, several in turns]
            )
        target.count += len(jobs)

    def _blocked(self, job: Job) -> Blocked | None:
        """Who is in the way of a record of which nothing is derived."""
        try:
            self._holding.pending.check_writes(job.collection, (job.key,))
        except Blocked as error:
            return error
        return None

    # All or nothing.

    def put_many(self, content: PutMany, time_ms: int, seed: bytes) -> list[int]:
        """Store a batch: its first sequence number, and how many there are. Raises what refuses it."""
        target = self._holding.target(content.collection)
        sequences = self._store(target, content.items, time_ms, seed)
        return [sequences.start, len(sequences)]

    def commit(self, content: Commit, time_ms: int, seed: bytes) -> list[list[Any]]:
        """Store what a transaction wrote: of each collection its name, the first sequence number, and how many.

        Raises Deadlock where what it read is not so any more, and what refuses its records.
        """
        self.look(content.parts, content.reads, time_ms, seed)
        return self.store_parts(content.parts, time_ms, seed)

    def look(self, parts: Sequence[CommitPart], reads: Sequence[CommitRead], time_ms: int, seed: bytes) -> None:
        """Whether a transaction may be committed. Raises what is in its way, as `commit` does, and Blocked."""
        targets = [self._holding.target(part.collection) for part in parts]
        self.check_current(reads)
        for target, part in zip(targets, parts, strict=True):
            self._prepared(target, part.items, time_ms, seed)

    def store_parts(self, parts: Sequence[CommitPart], time_ms: int, seed: bytes) -> list[list[Any]]:
        """Store what a transaction wrote that nothing is in the way of; gives what `commit` does."""
        stored = []
        for ordinal, part in enumerate(parts):
            target = self._holding.target(part.collection)
            self._holding.surroundings.enter(time_ms, seed, ordinal)
            sequences = target.store_all(target.preparation.prepare(part.items))
            stored.append([target.store.metadata.name, sequences.start, len(sequences)])
        return stored

    def check_current(self, reads: Sequence[CommitRead]) -> None:
        """Raises Deadlock where something that a transaction has read is not so any more, and Blocked."""
        for read in reads:
            target = self._holding.target(read.collection)
            if target.has_since(read):
                raise Deadlock(
                    f"What the transaction has read in {target.store.metadata.name} was written by another one "
                    "meanwhile, so it was not committed. Run it again."
                )
        self._holding.pending.check_reads(reads)

    def _store(self, target: Target, items: Sequence[tuple[bytes, bytes]], time_ms: int, seed: bytes) -> range:
        return target.store_all(self._prepared(target, items, time_ms, seed))

    def _prepared(self, target: Target, items: Sequence[tuple[bytes, bytes]], time_ms: int, seed: bytes) -> Prepared:
        """Records that may be stored. Raises what refuses them."""
        _check_seed(target, seed)
        prepared = target.preparation.prepare(items)
        error = target.refusal(prepared, time_ms)
        if error is not None:
            raise error
        if self._holding.pending:
            is_unique = any(index.is_unique for index in target.store.indexes.in_use)
            uuid = key_of(target.store.metadata.id)
            self._holding.pending.check_writes(uuid, prepared.keys, all_of_it=is_unique)
        return prepared


def _has_no_refusal(target: Target, jobs: Sequence[Job]) -> bool:
    """Whether all of these records can be stored, as far as can be told of all at once: `_refusal_of` knows exactly."""
    store = target.store
    distinct = {job.key: job for job in jobs}
    return (
        len(distinct) == len(jobs)
        and 0 < min(map(len, distinct)) <= max(map(len, distinct)) <= MAX_KEY_BYTES
        and max(len(job.value) for job in jobs) <= store.metadata.settings.max_document_size
        and not (store.metadata.redactable and not all(job.seed for job in jobs))
        and store.view.first_stored(list(distinct), distinct) is None
    )


def _refusal_of(target: Target, job: Job, fresh: dict[bytes, Job]) -> BlockDBError | None:
    """Why a record cannot be stored after those that are `fresh`; as `Preparation` and `Target` would say."""
    store = target.store
    try:
        _check_seed(target, job.seed)
        check_key(job.key)
        check_value(job.value, store.metadata.settings.max_document_size)
    except InvalidData as error:
        return error
    earlier = fresh.get(job.key)
    if earlier is not None:
        return DuplicateKey(job.key, store.ttl_ms is not None and earlier.time_ms < job.time_ms - store.ttl_ms)
    return target.duplicate(job.key, job.time_ms)


def _check_seed(target: Target, seed: bytes) -> None:
    if target.store.metadata.redactable and not seed:
        name = id_of(target.store.metadata.uuid)
        raise InvalidData(f"{name} is redactable: a command that stores records there has to bring chance along.")
