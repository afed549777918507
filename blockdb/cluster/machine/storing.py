"""Commands that store records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from blockdb.cluster.machine.commands import Commit, CommitPart, CommitRead, PutMany
from blockdb.cluster.machine.holding import Holding, id_of
from blockdb.cluster.machine.refusals import REFUSALS
from blockdb.cluster.machine.target import Target
from blockdb.database.preparation import Prepared
from blockdb.errors import BlockDBError, CollectionNotFound, Deadlock, DuplicateKey, InvalidData
from blockdb.format.checks import check_key, check_value

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

    def flush(self) -> None:
        """Store what waits."""
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            self.put_all(list(waiting.values()))

    def put_all(self, jobs: Sequence[Job]) -> None:
        """Store records one after the other: those of a collection with one write, if nothing is derived from them.

        What becomes of them is the same as if each came alone.
        """
        by_collection: dict[bytes, list[int]] = {}
        for number, job in enumerate(jobs):
            by_collection.setdefault(job.collection, []).append(number)
        became: list[int | BlockDBError] = [-1] * len(jobs)
        for collection, numbers in by_collection.items():
            of_collection = [jobs[number] for number in numbers]
            for number, result in zip(numbers, self._put_in(collection, of_collection), strict=True):
                became[number] = result
        add = self._holding.outcomes.add
        for job, result in zip(jobs, became, strict=True):
            if isinstance(result, BlockDBError):
                add(job.id, job.digest, None, result)
            else:
                add(job.id, job.digest, result)

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
        except REFUSALS as error:
            return error

    def _put_plain(self, target: Target, jobs: Sequence[Job]) -> Sequence[int | BlockDBError]:
        became: list[int | BlockDBError] = []
        fresh: dict[bytes, Job] = {}
        for job in jobs:
            error = _refusal_of(target, job, fresh)
            if error is None:
                became.append(target.count + len(fresh))
                fresh[job.key] = job
            else:
                became.append(error)
        accepted = list(fresh.values())
        if accepted:
            enter = self._holding.surroundings.enter

            def begin(number: int) -> None:
                job = accepted[number]
                enter(job.time_ms, job.seed, job.ordinal)

            with target.store.deciding():
                target.store.apply_each([(job.key, job.value) for job in accepted], begin)
            target.count += len(accepted)
        return became

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
        targets = [self._holding.target(part.collection) for part in content.parts]
        self.check_current(content.reads)
        prepared = [
            self._prepared(target, part.items, time_ms, seed)
            for target, part in zip(targets, content.parts, strict=True)
        ]
        stored = []
        parts: Sequence[tuple[CommitPart, Target, Prepared]] = list(zip(content.parts, targets, prepared, strict=True))
        for ordinal, (_, target, records) in enumerate(parts):
            self._holding.surroundings.enter(time_ms, seed, ordinal)
            sequences = target.store_all(records)
            stored.append([target.store.metadata.name, sequences.start, len(sequences)])
        return stored

    def check_current(self, reads: Sequence[CommitRead]) -> None:
        """Raises Deadlock where something that a transaction has read is not so any more."""
        for read in reads:
            target = self._holding.target(read.collection)
            if target.has_since(read):
                raise Deadlock(
                    f"What the transaction has read in {target.store.metadata.name} was written by another one "
                    "meanwhile, so it was not committed. Run it again."
                )

    def _store(self, target: Target, items: Sequence[tuple[bytes, bytes]], time_ms: int, seed: bytes) -> range:
        return target.store_all(self._prepared(target, items, time_ms, seed))

    def _prepared(self, target: Target, items: Sequence[tuple[bytes, bytes]], time_ms: int, seed: bytes) -> Prepared:
        """Records that may be stored. Raises what refuses them."""
        _check_seed(target, seed)
        prepared = target.preparation.prepare(items)
        error = target.refusal(prepared, time_ms)
        if error is not None:
            raise error
        return prepared


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
