"""Plans about proofs."""

from __future__ import annotations

from typing import TypeVar

from blockdb.client.plans.documents import DocumentPlans
from blockdb.client.plans.plan import Ask, Plan
from blockdb.errors import InvalidProof
from blockdb.format.checks import check_bounds, check_key
from blockdb.ledger.proof import BadProof
from blockdb.ledger.range_receipt import RangeReceipt
from blockdb.ledger.receipt import Receipt, RunReceipt
from blockdb.statistics import Statistics
from blockdb.types import CollectionInfo, CollectionStats
from blockdb.wire.messages import proofs, records

__all__ = ["CollectionPlans", "parsed"]

R = TypeVar("R", Receipt, RunReceipt, RangeReceipt)


class CollectionPlans(DocumentPlans):
    """Plans about one collection."""

    @property
    def proven_records(self) -> int | None:
        """How many records the newest checkpoint has that was proven; None where nothing is."""
        return None

    def prove(self, key: bytes) -> Plan[Receipt]:
        """The receipt for a record."""
        found = yield Ask("prove", self._key(key))
        return parsed(Receipt, found.receipt)

    def prove_absent(self, key: bytes) -> Plan[RangeReceipt]:
        """The receipt for a key that is not stored."""
        found = yield Ask("prove_absent", self._key(check_key(key)))
        return parsed(RangeReceipt, found.receipt)

    def prove_range(self, prefix: bytes | None, start: bytes | None, end: bytes | None) -> Plan[RangeReceipt]:
        """The receipt for all records of a range."""
        check_bounds(prefix, start, end)
        wanted = records.Range(collection=self.collection, prefix=prefix, start=start, end=end)
        return parsed(RangeReceipt, (yield Ask("prove_range", wanted)).receipt)

    def prove_run(self, first: int, count: int) -> Plan[RunReceipt]:
        """The receipt for records that stand one after the other."""
        found = yield Ask("prove_run", proofs.Run(collection=self.collection, first=first, count=count))
        return parsed(RunReceipt, found.receipt)

    def checkpoint(self) -> Plan[str]:
        """A signed checkpoint."""
        found = yield Ask("checkpoint", self._whole())
        return str(found.checkpoint)

    def consistency_proof(self, old_size: int, size: int) -> Plan[tuple[bytes, ...]]:
        """That a tree begins with a smaller one."""
        wanted = proofs.Growth(collection=self.collection, old_size=old_size, size=size)
        return tuple((yield Ask("consistency", wanted)).hashes)

    def root_at(self, size: int) -> Plan[bytes]:
        """The root of the tree over the first records."""
        found = yield Ask("root", proofs.BySize(collection=self.collection, size=size))
        return bytes(found.root)

    def tile(self, path: str) -> Plan[bytes]:
        """A tile, an entry bundle, or the checkpoint."""
        return bytes((yield Ask("tile", proofs.ByTile(collection=self.collection, path=path))))

    # About the collection.

    def describe(self) -> Plan[CollectionInfo]:
        """What it is."""
        found = yield Ask("describe", self._whole())
        info: CollectionInfo = found.collection
        return info

    def collection_stats(self) -> Plan[CollectionStats]:
        """How much it holds."""
        found = yield Ask("show_collection_stats", self._whole())
        stats: CollectionStats = found.stats
        return stats

    def record_counts(self) -> Plan[tuple[int, ...]]:
        """How many records each partition has."""
        found = yield Ask("show_collection_stats", self._whole())
        return tuple(found.record_counts or [found.stats.operations_count])

    def next_sequence(self) -> Plan[int]:
        """A number above those of all records."""
        counts = yield from self.record_counts()
        return max((count - 1) * len(counts) + number + 1 if count else 0 for number, count in enumerate(counts))

    def stats(self) -> Plan[Statistics]:
        """All that is counted and timed."""
        found = yield Ask("statistics", self._whole())
        statistics: Statistics = found.statistics
        return statistics

    def flush(self) -> Plan[None]:
        """Write what is in memory to tables."""
        yield Ask("flush_collection", self._whole())

    def compact(self) -> Plan[None]:
        """Merge the tables."""
        yield Ask("compact_collection", self._whole())


def parsed(kind: type[R], text: str) -> R:
    """A receipt that a server gave. Raises InvalidProof."""
    try:
        return kind.parse(text)
    except BadProof as error:
        raise InvalidProof(f"The server gave no receipt that can be read: {error}.") from None
