"""Long lists of records, as a table asks for them: so many, from there on, and where does this one stand now.

Everything here may wait for the disk, so it is called off the event loop. A listing keeps no rows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import blockdb
from blockdb.commands.display import printable

if TYPE_CHECKING:
    from blockdb import AnyCollection, AsOf, Record
    from blockdb.commands.standing import Standing

__all__ = ["BlockRecords", "ByKey", "Fixed", "Listing", "NewestFirst", "Numbers", "Row", "row_of", "rows_of_items"]

PREVIEW_BYTES = 400
REDACTED = "(redacted)"

T = TypeVar("T")


class Listing(Protocol[T]):
    """A list that may grow while it is shown. Its rows are never changed, only joined by others."""

    def count(self) -> int:
        """How many rows there are now."""

    def fetch(self, first: int, limit: int, count: int) -> Sequence[T]:
        """At most `limit` rows from row `first` on, numbered as they were when there were `count`."""

    def locate(self, row: T, count: int) -> int:
        """The number that `row` bears now that there are `count`."""


@dataclass(frozen=True)
class Row:
    """What a table shows of a record: the whole key, the beginning of the value, and where it stands in the chain.

    In the order of keys only key and value are known: where a record stands in the chain is looked up for one at a
    time. `sequence` is -1 then. `time_ms` is Unix time; `block` is None while the record is in the open block.
    `trouble` says why the value cannot be shown; it is fit to be shown itself.
    """

    key: bytes
    sequence: int = -1
    preview: bytes = b""
    size: int = 0
    time_ms: int = 0
    block: int | None = None
    trouble: str = ""

    @classmethod
    def of(cls, record: Record) -> Row:
        """The row of a record; a long value is not kept."""
        value = record.value
        trouble = REDACTED if record.redacted else ""
        return cls(
            record.key, record.sequence, value[:PREVIEW_BYTES], len(value), record.time_ms, record.block, trouble
        )


def _row(key: bytes, value: bytes) -> Row:
    """The row of a record of which only key and value are known."""
    trouble = REDACTED if value is blockdb.REDACTED else ""
    return Row(key, preview=value[:PREVIEW_BYTES], size=len(value), trouble=trouble)


def rows_of_items(items: Iterable[tuple[bytes, bytes]]) -> list[Row]:
    """The rows of records of which only keys and values are known."""
    return [_row(key, value) for key, value in items]


def row_of(collection: AnyCollection, key: bytes, as_of: AsOf | None = None) -> Row:
    """The row of a key, which says so where its value cannot be shown."""
    try:
        value = collection.get(key, as_of=as_of) or b""
    except blockdb.BlockDBError as error:
        return Row(key, trouble=printable(f"{type(error).__name__}: {error}"))
    return _row(key, value)


def _rows(records: Iterable[Record]) -> list[Row]:
    return [Row.of(record) for record in records]


class ByKey:
    """The records whose keys begin with `prefix`, in the order of their keys."""

    def __init__(self, collection: AnyCollection, prefix: bytes = b"") -> None:
        self.collection = collection
        self.prefix = prefix

    def count(self) -> int:
        return self.collection.count(prefix=self.prefix or None)

    def fetch(self, first: int, limit: int, count: int) -> list[Row]:
        prefix = self.prefix or None
        try:
            return rows_of_items(self.collection.scan(prefix=prefix, offset=first, limit=limit))
        except blockdb.Corruption:  # somewhere among these: each is tried alone, so that the others are still seen
            keys = self.collection.keys(prefix=prefix, offset=first, limit=limit)
            return [row_of(self.collection, key) for key in keys]

    def locate(self, row: Row, count: int) -> int:
        return self.position(row.key)

    def position(self, key: bytes) -> int:
        """The number of the first row whose key is not below `key`."""
        return self.collection.count(prefix=self.prefix or None, end=key) if key else 0


class NewestFirst:
    """Every record in the order of commits, the newest first; of several partitions, in the order of the numbers."""

    def __init__(self, collection: AnyCollection, then: Standing | None = None) -> None:
        """With `then`, those that were there at that moment."""
        self.collection = collection
        self.then = then

    def count(self) -> int:
        return self.collection.stats().records if self.then is None else self.then.records

    def fetch(self, first: int, limit: int, count: int) -> list[Row]:
        end = count - first
        begin = max(0, end - limit)
        numbers = self._numbers()
        if self.then is None or len(numbers.counts) == 1:
            return _rows(self.collection.records(numbers.of_rank(begin), end - begin))[::-1]
        seen = filter(self._was_there, self.collection.records(numbers.of_rank(begin)))
        return _rows(islice(seen, end - begin))[::-1]

    def _was_there(self, record: Record) -> bool:
        return self.then is None or self.then.saw(record.sequence)

    def locate(self, row: Row, count: int) -> int:
        return count - 1 - self._numbers().rank(row.sequence)

    def position(self, key: bytes) -> int:
        """The number of the row with that key; 0 where there is none."""
        record = self.collection.record(key)
        return 0 if record is None else self.locate(Row.of(record), self.count())

    def _numbers(self) -> Numbers:
        return Numbers(self.collection.record_counts() if self.then is None else self.then.counts)


class Numbers:
    """Sequence numbers, which have gaps where partitions are of different length, and the ranks of their records."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = counts

    def rank(self, number: int) -> int:
        """How many records have a lower number. O(partitions)."""
        several = len(self.counts)
        lower = (max(0, -((partition - number) // several)) for partition in range(several))
        return sum(map(min, self.counts, lower))

    def of_rank(self, rank: int) -> int:
        """A number below which there are so many records: of the record of that rank. O(partitions · log records)."""
        if len(self.counts) == 1:
            return rank
        return bisect_right(range(max(self.counts, default=0) * len(self.counts)), rank, key=self.rank) - 1


class BlockRecords:
    """The records of block `number` in the order of commits; the open block's list grows.

    `end` is the number behind the last of them that was there, at a moment at which the block was open.
    """

    def __init__(self, collection: AnyCollection, number: int, first_sequence: int, end: int | None = None) -> None:
        self.collection = collection
        self.number = number
        self.first_sequence = first_sequence
        self.end = end

    def count(self) -> int:
        if self.end is not None:
            return self.end - self.first_sequence
        try:
            return self.collection.block(self.number).count
        except blockdb.BlockNotFound:
            return self.collection.stats().records - self.first_sequence

    def fetch(self, first: int, limit: int, count: int) -> list[Row]:
        return _rows(self.collection.records(self.first_sequence + first, max(0, min(limit, count - first))))

    def locate(self, row: Row, count: int) -> int:
        return row.sequence - self.first_sequence


class Fixed(Generic[T]):
    """A list that is known and does not grow."""

    def __init__(self, rows: Sequence[T]) -> None:
        self.rows = rows

    def count(self) -> int:
        return len(self.rows)

    def fetch(self, first: int, limit: int, count: int) -> Sequence[T]:
        return self.rows[first : first + limit]

    def locate(self, row: T, count: int) -> int:
        return self.rows.index(row)
