"""Processes that build large tables, as writers see them: in a thread it would cost them a third of their speed.

They are an optimisation and no more: where one does not succeed, for whatever reason, the caller does the work itself
and meets the reason there. Starting one takes as long as building a table of 60,000 records, and keeps the
interpreter's lock for a while, so it waits for the next table.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from struct import Struct
from threading import Lock
from typing import Final

from blockdb.format.table import TableHeader
from blockdb.layout import CollectionFiles
from blockdb.process import start_python
from blockdb.storage.door import Door

SIZE: Final = Struct("<I")
"""What stands before a job: how long it is; 0 asks the process to end."""

DONE: Final = b"\n"
"""What the process says once a table is written."""

MERGE_NICENESS: Final = 10
"""Merging can wait where the cores are busy; memtables cannot, since writers wait for them."""

Kind = tuple[bytes, int]
"""The secret of a door, and how nice a process is: neither changes."""


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

    def make(self, door: Door, files: CollectionFiles, header: TableHeader, target: Path) -> bool:
        """Write the table over a header's stretch of the chain, and wait for it.

        Says whether `target` is written and forced to disk.
        """
        described = [field.hex() if isinstance(field, bytes) else field for field in header]
        root, output = str(files.root.absolute()), str(target.absolute())
        job = json.dumps({"root": root, "header": described, "target": output}).encode()
        kind = door.secret, MERGE_NICENESS if header.tier else 0
        return self._do(kind, job, is_new=False) or self._do(kind, job, is_new=True)

    def _do(self, kind: Kind, job: bytes, is_new: bool) -> bool:
        try:
            maker = _TableMaker(*kind) if is_new else self._take(kind)
        except OSError:
            return False
        is_done = maker is not None and maker.do(job)
        if maker is not None and not (is_done and self._keep(kind, maker)):
            maker.dismiss()
        return is_done

    def _take(self, kind: Kind) -> _TableMaker | None:
        with self._changing:
            return self._idle[kind].pop() if self._idle[kind] else None

    def _keep(self, kind: Kind, maker: _TableMaker) -> bool:
        with self._changing:
            if self._users:
                self._idle[kind].append(maker)
            return bool(self._users)


class _TableMaker:
    """One of them. Belongs to one thread at a time."""

    def __init__(self, secret: bytes, niceness: int) -> None:
        """Start it. Raises OSError where the system gives no process."""
        self._process = start_python("blockdb.storage.table_process", str(niceness), secret)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout

    def do(self, job: bytes) -> bool:
        """Say whether it did the job. It did not where it is gone: without work it ends after a while."""
        with suppress(OSError):
            self._requests.write(SIZE.pack(len(job)) + job)
            self._requests.flush()
            return self._answers.read(len(DONE)) == DONE
        return False

    def dismiss(self) -> None:
        """Have it end, and wait for that."""
        with suppress(OSError):
            self._requests.write(SIZE.pack(0))
        for stream in (self._requests, self._answers):
            with suppress(OSError):
                stream.close()
        self._process.wait()
