"""What a process does that builds tables: see `table_makers`. It reads the chain itself, and is handed no records."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from blockdb.format.record import RecordFrame
from blockdb.format.table import TableHeader
from blockdb.format.walk import Run
from blockdb.layout import CollectionFiles
from blockdb.lsm.columns import Columns, build
from blockdb.process import secret_of_helper
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door
from blockdb.storage.helper_door import door_of
from blockdb.storage.table_makers import DONE, SIZE

IDLE_S: Final = 10
"""How long a process waits for more to do: it takes 40 MB of memory, and its writer may have been killed."""

PIECE_RECORDS: Final = 1000
"""So many records, or a few more, become columns together."""


def main(argument: str) -> None:
    """Build tables until there is nothing to do for a while. Ends with an error where one cannot be built.

    `argument` is how nice it is to others. Jobs come by stdin, and what is said about them goes to stdout.
    """
    os.nice(int(argument))
    secret = secret_of_helper()
    while job := _next_job():
        _do(job, door_of(secret))
        sys.stdout.buffer.write(DONE)
        sys.stdout.buffer.flush()


def _do(job: dict[str, Any], door: Door) -> None:
    """Build one. Nothing of a chain file is kept: another may take its place, and what was redacted shall be gone."""
    collection, *fields = job["header"]
    header = TableHeader(bytes.fromhex(collection), *fields)
    door.create(Path(job["target"]), table_of_chain(door, CollectionFiles(Path(job["root"])), header))


def _next_job() -> dict[str, Any]:
    """What is to be done next; nothing where the writer says so, or is gone. Waiting in vain ends the process."""
    signal.alarm(IDLE_S)
    size = sys.stdin.buffer.read(SIZE.size)
    signal.alarm(0)
    job = sys.stdin.buffer.read(*SIZE.unpack(size)) if len(size) == SIZE.size else b""
    return dict(json.loads(job)) if job else {}


def table_of_chain(door: Door, files: CollectionFiles, header: TableHeader) -> bytes:
    """The table over all records of a header's stretch of the chain, each of which is checked. O(n log n).

    Raises ValueError where there are not as many as the header says, or `columns.build` does; else what `Chain.walk`
    finds, in other words.
    """
    chain = Chain(door, files, header.collection)
    columns, seals = Columns(), list[int]()
    for stretch in chain.stretches(header.first_place, header.end_place):
        keys, offsets = list[bytes](), list[int]()
        for part in stretch.runs():
            if isinstance(part, Run):
                keys += part.keys
                offsets += part.offsets
            elif isinstance(part[2], RecordFrame):
                keys.append(part[2].key)
                offsets.append(part[0])
            else:
                seals.append(stretch.base + part[0])
            if len(keys) >= PIECE_RECORDS:
                columns.extend(keys, offsets, stretch.base)
                keys, offsets = [], []
        columns.extend(keys, offsets, stretch.base)
    if len(columns.hashes) != header.records:
        raise ValueError(f"the chain has {len(columns.hashes)} records there, and should have {header.records}")
    return build(header, columns, seals)
