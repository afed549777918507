"""Building large tables in a process of their own: in a thread it would cost the writers a third of their speed.

The process reads the chain and the tables itself, so that nothing is handed over but what to do. It is an
optimisation and no more: where it does not succeed, for whatever reason, the caller does the work itself and meets
the reason there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from blockdb.format.record import RecordFrame
from blockdb.format.table import TableHeader
from blockdb.layout import CollectionFiles
from blockdb.lsm.builder import build
from blockdb.lsm.merge import PositionCursor, merge
from blockdb.lsm.table import Table
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door
from blockdb.storage.process import run_python

WORTHWHILE_RECORDS: Final = 20_000
"""Starting a process takes as long as building a table of about so many records."""

Rows = tuple[Sequence[bytes], Sequence[int], Sequence[int]]
"""Keys in order, their places, and the places of the seals: what a table is built from."""


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
    placed: list[tuple[bytes, int]] = []
    seals: list[int] = []
    for place, _, frame in chain.walk(first_place, end_place):
        if isinstance(frame, RecordFrame):
            placed.append((frame.key, place))
        else:
            seals.append(place)
    placed.sort()
    return [key for key, _ in placed], [place for _, place in placed], seals


def rows_of_tables(tables: Sequence[Table]) -> Rows:
    """The rows of the table that several neighbouring ones make. O(n log k)."""
    keys: list[bytes] = []
    places: list[int] = []
    for run in merge([PositionCursor(Entries(table), 0, reverse=False) for table in tables]):
        keys.extend([key for key, _ in run])
        places.extend([place for _, place in run])
    return keys, places, [seal for table in tables for seal in table.seals()]


def build_in_process(files: CollectionFiles, header: TableHeader, tables: Sequence[int], target: Path) -> bool:
    """Write the table that merging `tables` gives, or, without any, that of the header's stretch of the chain.

    Waits for it. Says whether `target` is written and forced to disk.
    """
    described = [field.hex() if isinstance(field, bytes) else field for field in header]
    root, output = str(files.root.absolute()), str(target.absolute())
    job = {"root": root, "header": described, "tables": list(tables), "target": output}
    return run_python("blockdb.storage.table_process", json.dumps(job))


def main(argument: str) -> None:
    """What the process does: `argument` is the job as JSON."""
    job: dict[str, Any] = json.loads(argument)
    collection, *fields = job["header"]
    header = TableHeader(bytes.fromhex(collection), *fields)
    files, door = CollectionFiles(Path(job["root"])), Door()
    chain = Chain(door, files, header.collection)
    if job["tables"]:
        paths = [files.table(number) for number in job["tables"]]
        rows = rows_of_tables([Table(door.map_read(path), str(path), chain) for path in paths])
    else:
        rows = rows_of_chain(chain, header.first_place, header.end_place)
    door.create(Path(job["target"]), build(header, *rows))
