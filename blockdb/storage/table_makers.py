"""Processes that build large tables, as writers see them: in a thread it would cost them a third of their speed.

They are an optimisation and no more: where one does not succeed, for whatever reason, the caller does the work itself
and meets the reason there. Starting one takes as long as building a table of 60,000 records, and keeps the
interpreter's lock for a while, so it waits for the next table.
"""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from struct import Struct
from threading import Lock
from typing import Final, NamedTuple

from blockdb.format.table import TableHeader
from blockdb.layout import CollectionFiles
from blockdb.process import NICENESS, start_python, widen_pipe
from blockdb.storage.door import Door

SIZE: Final = Struct("<I")
"""What stands before a job: how long it is; 0 asks the process to end. And before what is said once it is done."""

IDLE_S: Final = 10
"""How long a process waits for more to do: it takes 40 MB of memory, and its writer may have been killed."""

MERGE_NICENESS: Final = 10
"""Merging can wait where the cores are busy, longer than memtables can, since writers wait for those."""

Kind = tuple[bytes, int]
"""The secret of a door, and how nice a process is: neither changes."""

Job = tuple[bytes, "array[int]", "array[int]"]
"""A job as it is told: a description, and two columns of places."""


class Source(NamedTuple):
    """What a table is made from: the places of records and of seals, in order, or neighbouring tables, by numbers."""

    places: array[int] = array("Q")
    seals: array[int] = array("Q")
    tables: Sequence[int] = ()


class TableMakers:
    """The processes that collections share. Safe for threads; each process has one table to build at a time."""

    def __init__(self) -> None:
        self._users: set[object] = set()
        self._idle: dict[Kind, list[_TableMaker]] = defaultdict(list)
        self._changing = Lock()

    def enter(self, user: object) -> None:
        """Keep processes from now on, for it and for others."""
        with self._changing:
            self._users.add(user)

    def leave(self, user: object) -> None:
        """It needs none any more: with the last user, the processes end."""
        with self._changing:
            self._users.discard(user)
            left = [] if self._users else [maker for makers in self._idle.values() for maker in makers]
            if left:
                self._idle.clear()
        for maker in left:
            maker.dismiss()

    def count_idle(self) -> int:
        """How many processes wait for a table. Lets go of those that have waited too long, and ended."""
        with self._changing:
            ended = [maker for makers in self._idle.values() for maker in makers if maker.has_ended]
            for makers in self._idle.values():
                makers[:] = [maker for maker in makers if maker not in ended]
            idle = sum(map(len, self._idle.values()))
        for maker in ended:
            maker.dismiss()
        return idle

    def make(
        self, door: Door, files: CollectionFiles, header: TableHeader, target: Path, source: Source
    ) -> bytes | None:
        """Write the table over a header's stretch of the chain, and wait for it.

        Gives the marks of its keys (`key_filter`), or no bytes where the process does not tell them, once `target` is
        written and forced to disk; None where it is not.
        """
        job = _encode_job(files, header, target, source)
        kind = door.secret, MERGE_NICENESS if header.tier else NICENESS
        said = self._do(kind, job, is_new=False)
        return self._do(kind, job, is_new=True) if said is None else said

    def _do(self, kind: Kind, job: Job, is_new: bool) -> bytes | None:
        try:
            maker = _TableMaker(*kind) if is_new else self._take(kind)
        except OSError:
            return None
        said = None if maker is None else maker.do(job)
        if maker is not None and (said is None or not self._keep(kind, maker)):
            maker.dismiss()
        return said

    def _take(self, kind: Kind) -> _TableMaker | None:
        with self._changing:
            return self._idle[kind].pop() if self._idle[kind] else None

    def _keep(self, kind: Kind, maker: _TableMaker) -> bool:
        with self._changing:
            if self._users:
                self._idle[kind].append(maker)
            return bool(self._users)


def _encode_job(files: CollectionFiles, header: TableHeader, target: Path, source: Source) -> Job:
    job = json.dumps(
        {
            "root": str(files.root.absolute()),
            "header": [field.hex() if isinstance(field, bytes) else field for field in header],
            "target": str(target.absolute()),
            "tables": source.tables,
            "places": SIZE.size * 2 * len(source.places),
            "seals": SIZE.size * 2 * len(source.seals),
        }
    ).encode()
    return SIZE.pack(len(job)) + job, source.places, source.seals


class _TableMaker:
    """One of them. Belongs to one thread at a time."""

    def __init__(self, secret: bytes, niceness: int) -> None:
        """Start it. Raises OSError where the system gives no process."""
        self._process = start_python("blockdb.storage.table_process", str(niceness), secret)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        widen_pipe(self._requests)
        widen_pipe(self._answers)

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None

    def do(self, job: Job) -> bytes | None:
        """What it says once it did the job. None where it is gone: without work it ends after a while."""
        with suppress(OSError):
            for part in job:
                self._requests.write(part)
            self._requests.flush()
            size = self._answers.read(SIZE.size)
            said = self._answers.read(*SIZE.unpack(size)) if len(size) == SIZE.size else b""
            if len(size) == SIZE.size and len(said) == SIZE.unpack(size)[0]:
                return said
        return None

    def dismiss(self) -> None:
        """Have it end, and wait for that."""
        with suppress(OSError):
            self._requests.write(SIZE.pack(0))
        for stream in (self._requests, self._answers):
            with suppress(OSError):
                stream.close()
        self._process.wait()
