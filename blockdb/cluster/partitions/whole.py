"""What there is to say of a collection of several partitions as a whole, and what there is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, cast

from blockdb.cluster.partitions.feed import MergedFeed
from blockdb.cluster.partitions.parts import Parts
from blockdb.cluster.partitions.summing import info_of, report_of, statistics_of, stats_of
from blockdb.database.collection import Collection
from blockdb.database.transactions.part import Part
from blockdb.errors import InvalidData
from blockdb.interface import AnyCollection
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.range_receipt import RangeReceipt
from blockdb.ledger.receipt import Receipt, RunReceipt
from blockdb.statistics import Statistics
from blockdb.storage.feed import Feed
from blockdb.types import AsOf, CollectionInfo, CollectionStats, Progress, Report

__all__ = ["WholeCollection"]


class WholeCollection(Collection):
    """What is said of all partitions together. `PartitionedCollection` has the rest."""

    whole: str | None = None
    """Of a partition that stands for itself: the collection that it is one of. Who may touch that may touch this."""

    def __init__(self, collection_id: str, name: str, parts: Callable[[], Sequence[AnyCollection]]) -> None:
        """`parts` gives the collection of each partition, by their numbers: as many each time."""
        self._partitioned_id = collection_id
        self._parts = Parts(name, parts)
        self._spreading = self._parts.spreading
        self.read_only = False

    @property
    def name(self) -> str:
        """Its name."""
        return self._parts.name

    @property
    def id(self) -> str:
        """Its id: `col_` and a UUID."""
        return self._partitioned_id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {self._parts.count} partitions>"

    # How much there is.

    @property
    def next_sequence(self) -> int:
        """A number that is above those of all records; with one partition, that of the next one."""
        counts = self.record_counts()
        return max(self._spreading.number(count - 1, n) + 1 if count else 0 for n, count in enumerate(counts))

    def record_counts(self) -> tuple[int, ...]:
        """How many records each partition has."""
        return tuple(self._parts.each(lambda part: part.next_sequence))

    def sequence_at(self, as_of: AsOf) -> int:
        """See `Collection.sequence_at`; of several partitions, the highest number that is seen."""
        newest = self._parts.horizons(as_of)
        return max(self._spreading.number(last, n) if last >= 0 else -1 for n, last in enumerate(newest))

    def moment(self, as_of: AsOf | None = None) -> AsOf | None:
        """See `Collection.moment`: with several partitions, the newest record of each."""
        newest = self._parts.horizons(as_of)
        if max(newest) < 0:
            return None
        return AsOf(sequence=newest[0]) if self._parts.count == 1 else AsOf(sequences=newest)

    def describe(self) -> CollectionInfo:
        """See `Collection.describe`."""
        return info_of(self.id, self.name, self._parts.each(lambda part: part.describe()))

    def collection_stats(self) -> CollectionStats:
        """See `Collection.collection_stats`."""
        return stats_of(self._parts.each(lambda part: part.collection_stats()))

    def stats(self) -> Statistics:
        """See `Collection.stats`: of the handles of all partitions."""
        return statistics_of(self.id, self._parts.each(lambda part: part.stats()))

    def verify(
        self, progress: Callable[[Progress], None] | None = None, cancel: Callable[[], bool] | None = None
    ) -> Report:
        """See `Collection.verify`: one partition after the other."""
        done: list[Report] = []
        before = _Before(progress)
        total = self.collection_stats().operations_count if progress else 0
        for part in self._parts.current():
            done.append(part.verify(before.then(done, total) if progress else None, cancel))
            if done[-1].cancelled:
                break
        return report_of(done)

    def flush(self) -> None:
        """See `Collection.flush`: of each partition, on the node that is asked here."""
        self._parts.each(lambda part: part.flush())

    def compact(self) -> None:
        """See `Collection.compact`: of each partition, on the node that is asked here."""
        self._parts.each(lambda part: part.compact())

    def watch(
        self, *, prefix: bytes | None = None, after: int | str | None = None, timeout_s: float | None = None
    ) -> Feed:
        """See `Collection.watch`: changes of one partition come in commit order, those of others in between.

        With several partitions, `after` is a `Feed.position`, or -1.
        """
        if (only := self._parts.only) is not None:
            return cast(Feed, only.watch(prefix=prefix, after=after, timeout_s=timeout_s))
        return MergedFeed(self._parts, prefix, after, timeout_s)

    # Proofs: of a key, from its partition.

    def prove(self, key: bytes) -> Receipt:
        """See `Collection.prove`: of the chain of the key's partition."""
        return self._parts.of_key(key).prove(key)

    def prove_absent(self, key: bytes) -> RangeReceipt:
        """See `Collection.prove_absent`: of the chain of the partition that would have the key."""
        return self._parts.of_key(key).prove_absent(key)

    def prove_range(
        self, *, prefix: bytes | None = None, start: bytes | None = None, end: bytes | None = None
    ) -> RangeReceipt:
        """See `Collection.prove_range`. Of several partitions each is asked for its own: raises InvalidData."""
        return self._one("A receipt for a range").prove_range(prefix=prefix, start=start, end=end)

    def prove_run(self, first: int, count: int) -> RunReceipt:
        """See `Collection.prove_run`. Of several partitions each is asked for its own: raises InvalidData."""
        return self._one("A receipt for records in a row").prove_run(first, count)

    def checkpoint(self) -> str:
        """See `Collection.checkpoint`. Of several partitions each is asked for its own: raises InvalidData."""
        return self._one("A checkpoint").checkpoint()

    def consistency_proof(self, old_size: int, size: int) -> tuple[bytes, ...]:
        """See `Collection.consistency_proof`. Of several partitions each is asked: raises InvalidData."""
        return self._one("A consistency proof").consistency_proof(old_size, size)

    def root_at(self, size: int) -> bytes:
        """See `Collection.root_at`. Of several partitions each is asked for its own: raises InvalidData."""
        return self._one("A root").root_at(size)

    def tile(self, path: str) -> bytes:
        """See `Collection.tile`. Of several partitions each is asked for its own: raises InvalidData."""
        return self._one("A tile").tile(path)

    def export_tiles(
        self, directory: str | Path, *, entries: bool = True, progress: Callable[[int], None] | None = None
    ) -> Checkpoint:
        """See `Collection.export_tiles`. Of several partitions each is asked for its own: raises InvalidData."""
        return self._one("A tree of tiles").export_tiles(directory, entries=entries, progress=progress)

    def part(self) -> Part:
        """Refuse: raises InvalidData. What a transaction has to do with partitions, the database says."""
        only = self._parts.only
        if isinstance(only, Collection):
            return only.part()
        raise InvalidData("Transactions over several partitions are begun at the database.")

    def _one(self, what: str) -> AnyCollection:
        only = self._parts.only
        if only is None:
            raise self._parts.refusal(what)
        return only

    def _refuse(self) -> NoReturn:
        raise InvalidData(f"{self.name} is kept in partitions, and has no files of its own.")


class _Before:
    """How far the audit of all partitions is, from how far that of one is."""

    def __init__(self, tell: Callable[[Progress], None] | None) -> None:
        self._tell = tell

    def then(self, done: Sequence[Report], total: int) -> Callable[[Progress], None]:
        """What is told of the partition that comes next."""
        records, blocks = sum(report.records for report in done), sum(report.blocks for report in done)

        def tell(progress: Progress) -> None:
            if self._tell is not None:
                so_far = records + progress.records_done
                self._tell(Progress(so_far, max(total, so_far), blocks + progress.blocks_done))

        return tell
