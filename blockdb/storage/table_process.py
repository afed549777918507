"""Building large tables in a process of their own: in a thread it would cost the writers a third of their speed.

The process reads the chain and the tables itself, so that nothing is handed over but what to do. It is an
optimisation and no more: where it does not succeed, for whatever reason, the caller does the work itself and meets
the reason there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from blockdb.format.record import RecordFrame
from blockdb.format.table import TableHeader
from blockdb.format.walk import Run as ChainRun
from blockdb.layout import CollectionFiles
from blockdb.lsm.builder import Run, build
from blockdb.lsm.merge import LAST_WINDOW, PositionCursor, merge
from blockdb.lsm.table import Table
from blockdb.process import run_python, secret_of_helper
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door
from blockdb.storage.helper_door import door_of

WORTHWHILE_RECORDS: Final = 20_000
"""Starting a process takes as long as building a table of about so many records."""

MERGE_NICENESS: Final = 10
"""Merging can wait where the cores are busy; memtables cannot, since writers wait for them."""

Rows = tuple[Iterable[Run], Sequence[int]]
"""Runs of keys in order with their places, and the places of the seals: what a table is built from."""


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


def rows_of_chain(chain: Chain, first_place: int, end_place: int) -> Rows:
    """The rows of the table over all records between two places of the chain. O(n log n)."""
    place_of: dict[bytes, int] = {}
    seals: list[int] = []
    for stretch in chain.stretches(first_place, end_place):
        for part in stretch.runs():
            if isinstance(part, ChainRun):
                place_of.update(zip(part.keys, map(stretch.base.__add__, part.offsets), strict=True))
                continue
            offset, _, frame = part
            if isinstance(frame, RecordFrame):
                place_of[frame.key] = stretch.base + offset
            else:
                seals.append(stretch.base + offset)
    keys = sorted(place_of)
    return [(keys, list(map(place_of.__getitem__, keys)))], seals


def rows_of_tables(tables: Sequence[Table]) -> Rows:
    """The rows of the table that several neighbouring ones make. O(n log k), a window of each at a time."""
    runs = merge([PositionCursor(Entries(table), 0, reverse=False, window=LAST_WINDOW) for table in tables])
    columns = (([key for key, _ in run], [place for _, place in run]) for run in runs)
    return columns, [seal for table in tables for seal in table.seals()]


def build_in_process(
    door: Door, files: CollectionFiles, header: TableHeader, tables: Sequence[int], target: Path
) -> bool:
    """Write the table that merging `tables` gives, or, without any, that of the header's stretch of the chain.

    Waits for it. Says whether `target` is written and forced to disk.
    """
    described = [field.hex() if isinstance(field, bytes) else field for field in header]
    root, output = str(files.root.absolute()), str(target.absolute())
    job = {"root": root, "header": described, "tables": list(tables), "target": output}
    return run_python("blockdb.storage.table_process", json.dumps(job), door.secret)


def main(argument: str) -> None:
    """What the process does: `argument` is the job as JSON."""
    job: dict[str, Any] = json.loads(argument)
    collection, *fields = job["header"]
    header = TableHeader(bytes.fromhex(collection), *fields)
    files, door = CollectionFiles(Path(job["root"])), door_of(secret_of_helper())
    chain = Chain(door, files, header.collection)
    if job["tables"]:
        os.nice(MERGE_NICENESS)
        paths = [files.table(number) for number in job["tables"]]
        rows = rows_of_tables([Table(door.map_read(path), str(path), chain) for path in paths])
    else:
        rows = rows_of_chain(chain, header.first_place, header.end_place)
    door.create(Path(job["target"]), build(header, *rows))
