"""What a process does that builds tables: see `table_makers`. It reads the chain itself, and is handed places alone."""

from __future__ import annotations

import json
import os
import signal
import sys
from array import array
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from blockdb.format.buffer import Buffer
from blockdb.format.place import split_place
from blockdb.format.record import RecordFrame
from blockdb.format.table import TableHeader
from blockdb.format.walk import Run
from blockdb.layout import CollectionFiles
from blockdb.lsm import builder
from blockdb.lsm.columns import Columns, TooManyKeys, build
from blockdb.lsm.gather import Mapped, gather, gather_table
from blockdb.lsm.table import Table
from blockdb.process import secret_of_helper
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door
from blockdb.storage.helper_door import door_of
from blockdb.storage.table_makers import IDLE_S, SIZE, Source

PIECE_RECORDS: Final = 1000
"""So many records, or a few more, become columns together."""


def main(argument: str) -> None:
    """Build tables until there is nothing to do for a while. Ends with an error where one cannot be built.

    `argument` is how nice it is to others. Jobs come by stdin, and what is said about them goes to stdout.
    """
    os.nice(int(argument))
    secret = secret_of_helper()
    while job := _next_job():
        said = _do(*job, door_of(secret))
        sys.stdout.buffer.write(SIZE.pack(len(said)) + said)
        sys.stdout.buffer.flush()


def _do(job: dict[str, Any], source: Source, door: Door) -> bytes:
    """Build one, and give what is to be said about it: the marks of its keys, or nothing.

    Nothing of a chain file is kept: another may take its place, and what was redacted shall be gone.
    """
    collection, *fields = job["header"]
    header = TableHeader(bytes.fromhex(collection), *fields)
    files = CollectionFiles(Path(job["root"]))
    if source.tables:
        made = Made(table_of_tables(door, files, header, source.tables))
    else:
        made = table_of_places(door, files, header, source)
    door.create(Path(job["target"]), made.data)
    return made.marks


def _next_job() -> tuple[dict[str, Any], Source] | None:
    """What is to be done next; nothing where the writer says so, or is gone. Waiting in vain ends the process."""
    stream = sys.stdin.buffer
    signal.alarm(IDLE_S)
    size = stream.read(SIZE.size)
    signal.alarm(0)
    data = stream.read(*SIZE.unpack(size)) if len(size) == SIZE.size else b""
    if not data:
        return None
    job = json.loads(data)
    places, seals = array("Q"), array("Q")
    for column, bytes_ in ((places, job["places"]), (seals, job["seals"])):
        column.frombytes(stream.read(bytes_))
    return job, Source(places, seals, job["tables"])


class Made(NamedTuple):
    """The file of a table, and the marks of its keys where they are wanted."""

    data: bytes
    marks: bytes = b""


def table_of_places(door: Door, files: CollectionFiles, header: TableHeader, source: Source) -> Made:
    """The table of the records and seals at these places, each of which is checked. O(n log n).

    Raises ValueError where there is none, or `columns.build` does.
    """
    chain = Chain(door, files, header.collection)
    columns = Columns()
    try:
        gather(columns, np.frombuffer(source.places, np.uint64), _mapped(chain, header.end_place), is_checked=False)
    except IsPacked:
        return Made(table_of_chain(door, files, header))
    _check_count(len(columns.hashes), header)
    marks = columns.marks()
    return Made(build(header, columns, source.seals), marks)


def table_of_tables(door: Door, files: CollectionFiles, header: TableHeader, numbers: Sequence[int]) -> bytes:
    """The table that these neighbouring ones make; every page of them is checked, and every key. O(n log n).

    Raises ValueError or Corruption where something is damaged.
    """
    chain = Chain(door, files, header.collection)
    tables = [Table(door.map_read(path), str(path), chain) for path in map(files.table, numbers)]
    with suppress(TooManyKeys):
        try:
            return _merged(chain, header, tables)
        except IsPacked:
            return table_of_chain(door, files, header)
    from blockdb.storage.maintenance import rows_of_tables  # with all that a writer needs: rare, and not for nothing

    return builder.build(header, *rows_of_tables(tables))


def _merged(chain: Chain, header: TableHeader, tables: Sequence[Table]) -> bytes:
    columns = Columns()
    for table in tables:
        gather_table(columns, table, _mapped(chain, header.end_place))
    _check_count(len(columns.hashes), header)
    return build(header, columns, [seal for table in tables for seal in table.seals()])


class IsPacked(Exception):
    """A chain file is packed, and cannot be gathered from."""


def _mapped(chain: Chain, end_place: int) -> Mapped:
    """The files of a chain, as far as they reach before a place."""
    end_number, end_offset = split_place(end_place)

    def mapped(number: int) -> tuple[Buffer, int]:
        stop = end_offset if number == end_number else chain.size(number)
        buffer = chain.segment(number, stop)
        if not buffer:
            raise IsPacked
        return buffer, stop

    return mapped


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
    _check_count(len(columns.hashes), header)
    return build(header, columns, seals)


def _check_count(records: int, header: TableHeader) -> None:
    if records != header.records:
        raise ValueError(f"there are {records} records, and should be {header.records}")
