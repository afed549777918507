"""Making index files: from the chain, from what is in memory, from other files; large ones in a process of their own.

As with tables, the process is an optimisation and no more: where it does not succeed, for whatever reason, the caller
does the work itself and meets the reason there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain as chained
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from blockdb.documents.indexing import IndexDefinition
from blockdb.documents.values import parse
from blockdb.errors import InvalidData
from blockdb.format.index import MAX_ENTRY_BYTES, IndexHeader, place_bytes
from blockdb.format.record import RecordFrame
from blockdb.format.walk import Run
from blockdb.layout import CollectionFiles
from blockdb.lsm.index_file import Entry, IndexFile, build
from blockdb.lsm.merge import LAST_WINDOW, PositionCursor, merge
from blockdb.process import run_python, secret_of_helper
from blockdb.storage.chain import Chain
from blockdb.storage.door import Door
from blockdb.storage.helper_door import door_of
from blockdb.types import REDACTED

WORTHWHILE_ENTRIES: Final = 20_000
"""Starting a process takes as long as building a file of about so many entries."""

PART_ENTRIES: Final = 1 << 17
"""So many entries of a chain are sorted at a time."""

NICENESS: Final = 10
"""Building can wait where the cores are busy: nobody waits for it."""

Batch = tuple[Sequence[bytes], Sequence[bytes], Sequence[int]]
"""Keys, values and places of some records."""


class Doubled(Exception):
    """Two records have the same entry in a unique index: at `place`, and before it at `other`."""

    def __init__(self, entry: bytes, place: int, other: int) -> None:
        super().__init__("two records have the same entry")
        self.entry = entry
        self.place = place
        self.other = other


class Unfit(Exception):
    """The record at `place` cannot be indexed: `what` is wrong with it."""

    def __init__(self, place: int, what: str) -> None:
        super().__init__(what)
        self.place = place
        self.what = what


def records_between(chain: Chain, start: int, stop: int) -> Iterator[Batch]:
    """The records between two places of the chain, some at a time. O(bytes). Raises Corruption, DamagedChain."""
    for stretch in chain.stretches(start, stop):
        for part in stretch.runs():
            if isinstance(part, Run):
                yield part.keys, part.values, list(map(stretch.base.__add__, part.offsets))
            elif isinstance(part[2], RecordFrame):
                yield (part[2].key,), (part[2].value,), (stretch.base + part[0],)


def entries_between(
    chain: Chain, definition: IndexDefinition, start: int, stop: int, strict: bool = False
) -> Iterator[list[Entry]]:
    """The entries of the records between two places of the chain, in commit order. Raises Corruption.

    Where it is strict, a record that cannot be indexed raises Unfit; else it has no entries.
    """
    keyer, unique = definition.keyer(), definition.unique
    for _, values, places in records_between(chain, start, stop):
        entries: list[Entry] = []
        for value, place in zip(values, places, strict=True):
            if value is REDACTED:
                continue
            suffix = b"" if unique else place_bytes(place)
            try:
                entries += [(found + suffix, place) for found in keyer(parse(value))]
            except InvalidData as error:
                if strict:
                    raise Unfit(place, str(error)) from None
        yield entries


def build_from_chain(chain: Chain, definition: IndexDefinition, header: IndexHeader, strict: bool = False) -> bytes:
    """The index file of a header's stretch of the chain. O(n log n), and some 40 bytes of memory an entry.

    Raises Doubled and Unfit where it is strict, Corruption, and InvalidData where there is more than a file takes.
    """
    parts: list[IndexFile] = []
    waiting: list[Entry] = []
    stretch = entries_between(chain, definition, header.first_place, header.end_place, strict)
    for entries in chained(stretch, (None,)):
        waiting += entries or ()
        if len(waiting) >= PART_ENTRIES or entries is None:
            parts.append(IndexFile(build(header, _distinct([sorted(waiting)], header, strict)), "(memory)"))
            waiting = []
    return bytes(parts[0].buffer) if len(parts) == 1 else build_from_files(parts, header, strict=strict)


def build_from_entries(entries: Iterable[Entry], header: IndexHeader) -> bytes:
    """The index file of entries in any order, none of which is there twice. O(n log n)."""
    return build(header, [sorted(entries)])


def build_from_files(
    files: Sequence[IndexFile], header: IndexHeader, without: frozenset[int] = frozenset(), *, strict: bool = False
) -> bytes:
    """The index file of what several have, without the records at some places. O(n log k).

    Raises Doubled where it is strict, Corruption, and InvalidData where there is more than a file takes.
    """
    if sum(file.header.entry_bytes for file in files) > MAX_ENTRY_BYTES:
        raise InvalidData("The entries of the index take more than 4 GiB, which is more than one file of it holds.")
    runs = merge([PositionCursor(file, 0, reverse=False, window=LAST_WINDOW) for file in files])
    if without:
        runs = ([entry for entry in run if entry[1] not in without] for run in runs)
    return build(header, _distinct(runs, header, strict))


def _distinct(runs: Iterable[list[Entry]], header: IndexHeader, strict: bool = False) -> Iterator[list[Entry]]:
    """The runs of a unique index with each entry once, that of the earliest record; strict ones raise Doubled."""
    last: Entry = (b"", 0)
    for run in runs:
        if header.unique and run:
            repeated = [(one, other) for one, other in pairwise([last, *run]) if one[0] == other[0]]
            for one, other in repeated:
                if strict:
                    raise Doubled(one[0], max(one[1], other[1]), min(one[1], other[1]))
            again = {other for _, other in repeated}
            run = [entry for entry in run if entry not in again] if again else run
            last = run[-1] if run else last
        yield run


def build_in_process(
    door: Door,
    files: CollectionFiles,
    definition: IndexDefinition,
    header: IndexHeader,
    merged: Sequence[int],
    target: Path,
    strict: bool,
) -> bool:
    """Write the file that merging others gives, or, without any, that of the header's stretch of the chain.

    Waits for it. Says whether `target` is written and forced to disk.
    """
    described = [field.hex() if isinstance(field, bytes) else field for field in header]
    job = {
        "root": str(files.root.absolute()),
        "definition": asdict(definition),
        "header": described,
        "merged": list(merged),
        "strict": strict,
        "target": str(target.absolute()),
    }
    return run_python("blockdb.storage.index_build", json.dumps(job), door.secret)


def main(argument: str) -> None:
    """What the process does: `argument` is the job as JSON."""
    job: dict[str, Any] = json.loads(argument)
    collection, index_id, *numbers = job["header"]
    header = IndexHeader(bytes.fromhex(collection), bytes.fromhex(index_id), *numbers)
    definition = IndexDefinition(**{**job["definition"], "fields": tuple(job["definition"]["fields"])})
    files, door = CollectionFiles(Path(job["root"])), door_of(secret_of_helper())
    os.nice(NICENESS)
    if job["merged"]:
        paths = [files.index_file(number) for number in job["merged"]]
        data = build_from_files([IndexFile(door.map_read(path), str(path)) for path in paths], header)
    else:
        data = build_from_chain(Chain(door, files, header.collection), definition, header, job["strict"])
    door.create(Path(job["target"]), data)
