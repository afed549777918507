"""Work on tables, beside the writers: writing frozen memtables to disk, and merging tables."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from os import getpid
from threading import Lock
from typing import Final

from blockdb.format.table import TableHeader
from blockdb.layout import TABLE_SUFFIX, CollectionFiles, number_of
from blockdb.lsm.bloom import key_hash
from blockdb.lsm.builder import Run, build
from blockdb.lsm.key_filter import MARK_MASK
from blockdb.lsm.memtable import Memtable
from blockdb.lsm.merge import LAST_WINDOW, PositionCursor, merge
from blockdb.lsm.table import Table
from blockdb.storage import manifest as manifests
from blockdb.storage.door import Door, guarded
from blockdb.storage.manifest import Manifest, ReplayPoint
from blockdb.storage.table_makers import Source, TableMakers

WORTHWHILE_RECORDS: Final = 20_000
"""Building a table of so many records takes 25 ms of the interpreter's lock, and starting a process about as much."""

Rows = tuple[Iterable[Run], Sequence[int]]
"""Runs of keys in order with their places, and the places of the seals: what a table is built from."""


@dataclass(frozen=True)
class Frozen:
    """A memtable that takes no more records, and from where the log goes on after it."""

    memtable: Memtable
    end_place: int
    replay: ReplayPoint


class Tables:
    """The tables of a collection on disk, and the manifest that says which of them count.

    One thread may write while another one merges.
    """

    def __init__(
        self,
        door: Door,
        files: CollectionFiles,
        collection: bytes,
        manifest: Manifest,
        open_table: Callable[[int], Table],
        makers: TableMakers,
    ) -> None:
        self._door = door
        self._files = files
        self._collection = collection
        self._open = open_table
        self._makers = makers
        self._changing = Lock()
        self._next_number = count(manifest.next_table)
        self.manifest = manifest
        self.written_bytes = 0
        """How many bytes of tables were written."""

    def write(self, frozen: Frozen) -> tuple[Table, bytes]:
        """Write a frozen memtable as a table of tier 0, and have the manifest count it.

        Gives the marks of its keys (`key_filter`) too. The log must be forced up to the end of the memtable before: a
        table may not point at what is not there. O(n log n). Raises StorageError.
        """
        memtable = frozen.memtable
        description = self._description(
            tier=0,
            records=len(memtable),
            first_sequence=memtable.first_sequence,
            first_place=memtable.first_place,
            end_place=frozen.end_place,
            first_block=memtable.first_block,
            data_bytes=memtable.data_bytes,
        )
        source = Source(memtable.places, memtable.seals)
        table, marks = self._create(description, source, lambda: rows_of_memtable(memtable))
        self._commit(
            lambda numbers: [*numbers, table.header.number],
            flushed_sequence=memtable.first_sequence + len(memtable),
            flushed_place=frozen.end_place,
            replay=frozen.replay,
        )
        return table, marks or array("Q", [key_hash(key) & MARK_MASK for key in memtable.index]).tobytes()

    def merge(self, tables: Sequence[Table]) -> Table:
        """Merge neighbouring tables into one, and have the manifest count it in their place.

        O(n log k). Raises StorageError, or Corruption where one of them is damaged.
        """
        first, last = tables[0].header, tables[-1].header
        description = self._description(
            tier=first.tier + 1,
            records=sum(map(len, tables)),
            first_sequence=first.first_sequence,
            first_place=first.first_place,
            end_place=last.end_place,
            first_block=first.first_block,
            data_bytes=sum(table.header.data_bytes for table in tables),
        )
        source = Source(tables=[table.header.number for table in tables])
        table, _ = self._create(description, source, lambda: rows_of_tables(tables))
        merged = {old.header.number for old in tables[1:]}
        self._commit(
            lambda numbers: [
                table.header.number if number == first.number else number for number in numbers if number not in merged
            ]
        )
        return table

    def remove(self, tables: Sequence[Table]) -> None:
        """Remove tables that were merged. Where the system refuses, the next opening does it."""
        for table in tables:
            with suppress(OSError):
                self._door.remove(self._files.table(table.header.number))

    def remove_unused(self) -> None:
        """Remove what the manifest does not count: tables that were merged, and what a killed writer left behind."""
        for name in self._door.names(self._files.tables):
            number = number_of(name, TABLE_SUFFIX)
            if number is None or number not in self.manifest.tables:
                self._door.remove(self._files.tables / name)

    def _description(self, **known: int) -> TableHeader:
        sizes = dict.fromkeys(("seals", "home_slots", "slots", "filter_bytes", "checks"), 0)
        return TableHeader(collection=self._collection, number=next(self._next_number), **known, **sizes)

    def _create(self, header: TableHeader, source: Source, rows: Callable[[], Rows]) -> tuple[Table, bytes]:
        path = self._files.table(header.number)
        temporary = path.with_name(f"{path.name}.{getpid()}.tmp")
        with guarded("writing a table"):
            is_large = header.records >= WORTHWHILE_RECORDS
            marks = self._makers.make(self._door, self._files, header, temporary, source) if is_large else None
            if marks is None:
                self._door.create(temporary, build(header, *rows()))
            self._door.rename(temporary, path)
            table = self._open(header.number)
        self.written_bytes += self._door.disk_bytes(len(table.buffer))
        return table, marks or b""

    def _commit(self, change: Callable[[Sequence[int]], list[int]], **others: object) -> None:
        with self._changing, guarded("writing the manifest"):
            old = self.manifest
            tables = tuple(change(old.tables))
            manifest = old.with_tables(tables, next_table=max(old.next_table, *tables) + 1, **others)
            manifests.save(self._door, self._files.manifest, manifest)
            self.manifest = manifest


def rows_of_memtable(memtable: Memtable) -> Rows:
    """The rows of the table of a memtable. O(n log n)."""
    keys, places = memtable.keys(), memtable.places
    by_key = sorted(range(len(keys)), key=keys.__getitem__)
    return [([keys[i] for i in by_key], [places[i] for i in by_key])], memtable.seals


def rows_of_tables(tables: Sequence[Table]) -> Rows:
    """The rows of the table that several neighbouring ones make. O(n log k), a window of each at a time."""
    runs = merge([PositionCursor(Entries(table), 0, reverse=False, window=LAST_WINDOW) for table in tables])
    columns = (([key for key, _ in run], [place for _, place in run]) for run in runs)
    return columns, [seal for table in tables for seal in table.seals()]


class Entries:
    """A table as a source of merging that gives places instead of values."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def position(self, key: bytes) -> int:
        """How many keys are smaller."""
        return self._table.position(key)

    def window(self, first: int, stop: int) -> list[tuple[bytes, int]]:
        """The keys at these positions with their places."""
        places = self._table.places(first, stop)
        return [(key, place) for (key, _), place in zip(self._table.items_at(places), places, strict=True)]
