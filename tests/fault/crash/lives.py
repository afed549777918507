"""Scripted lives of small databases, recorded."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import blockdb
from blockdb.masterkey import MasterKeySource, Secret
from blockdb.storage import log as log_module
from blockdb.storage import marked_log
from tests.fault.crash.disk import Disk
from tests.fault.crash.judge import NAME, boot_id_of
from tests.fault.crash.recorder import Commit, RecordingDoor
from tests.fault.support import key_of, value_of
from tests.storage.doors import open_through

NEVER_MS = 3_600_000
SMALL: dict[str, Any] = {"blockchain_batch_size": 4, "wal_sync_interval": NEVER_MS, "compaction_threshold": 1000}
"""Blocks of four records; nothing is forced or merged but when it is asked for."""

MOST_VALUE_BYTES = 40
RESERVED_BYTES = 200
"""So few that writes reach beyond them, now and then."""


@contextmanager
def small_files(segment_bytes: int) -> Iterator[None]:
    """Chain files of this size; and no processes beside the writer, whose operations would not be recorded.

    Where the system gives no process, the engine does the work itself.
    """
    with (
        patch.object(log_module, "SEGMENT_SOFT_BYTES", segment_bytes),
        patch.object(log_module, "PACKED_SEGMENT_BYTES", segment_bytes),
        patch.object(marked_log, "LEAST_RESERVED_BYTES", RESERVED_BYTES),
        patch.object(marked_log, "MOST_RESERVED_BYTES", RESERVED_BYTES),
        patch.object(subprocess, "Popen", _no_process),
        patch.object(MasterKeySource, "key", lambda _: Secret(bytes(32), "the test")),
    ):
        yield


def _no_process(*arguments: object, **settings: object) -> None:
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


class Life:
    """A database, what is written to it, and what of that is promised by whom."""

    def __init__(self, root: Path, kind: type[RecordingDoor], made: bool) -> None:
        """`root` stands for the file system; whether the directory of the database is `made` already, and empty."""
        root.mkdir()
        if made:
            (root / NAME).mkdir()
        self.door = kind(root, Disk({NAME: None} if made else {}), boot_id_of(1))
        self.settings = dict(SMALL)
        self.value_of: Callable[[int], bytes] = lambda number: value_of(number)[:MOST_VALUE_BYTES]
        self._path = root / NAME
        self._written = 0
        self._db: blockdb.Database | None = None

    @property
    def db(self) -> blockdb.Database:
        """The open handle."""
        assert self._db is not None
        return self._db

    def open(self) -> None:
        self._db = open_through(self.door, self._path, **self.settings)

    def close(self) -> None:
        self.db.close()
        self._promise_everything()

    def put(self, *, sync: bool = False) -> None:
        [item] = commit = self._next(1)
        self._issue(commit)
        self.db.put(*item, sync=sync)
        self._acknowledge(sync)

    def puts(self, count: int) -> None:
        for _ in range(count):
            self.put()

    def batch(self, count: int, *, sync: bool = False) -> None:
        commit = self._next(count)
        self._issue(commit)
        self.db.put_many(commit, sync=sync)
        self._acknowledge(sync)

    def flush(self) -> None:
        self.db.flush()
        self._promise_everything()

    def compact(self) -> None:
        self.db.compact()
        self._promise_everything()

    def _next(self, count: int) -> Commit:
        first, self._written = self._written, self._written + count
        return tuple((key_of(number), self.value_of(number)) for number in range(first, self._written))

    def _issue(self, commit: Commit) -> None:
        promise = self.door.promise
        self.door.promises(promise._replace(commits=(*promise.commits, commit)))

    def _acknowledge(self, sync: bool) -> None:
        count = len(self.door.promise.commits)
        self.door.promises(self.door.promise._replace(acknowledged=count))
        if sync or not self.settings["wal_sync_interval"]:
            self._promise_everything()

    def _promise_everything(self) -> None:
        commits = self.door.promise.commits
        self.door.promises(self.door.promise._replace(acknowledged=len(commits), forced=len(commits)))


def everything(life: Life) -> None:
    """A bit of all: blocks that close in batches, tables, merging, a snapshot that is read meanwhile, reopening."""
    life.open()
    life.puts(3)
    life.batch(7)
    life.flush()
    life.puts(2)
    life.batch(5)
    life.flush()
    life.put()
    snapshot = life.db.scan()
    some = [next(snapshot) for _ in range(3)]
    life.compact()
    life.put()
    assert len([*some, *snapshot]) == 18
    life.close()
    life.open()
    life.puts(3)
    life.close()


def unforced(life: Life) -> None:
    """Much that is not forced, with nothing between."""
    life.open()
    life.puts(3)
    life.batch(4)
    life.puts(2)
    life.batch(9)
    life.puts(2)
    life.close()


def forced(life: Life) -> None:
    """Each write forced, chain files that end soon."""
    life.settings["wal_sync_interval"] = 0
    life.open()
    life.puts(5)
    life.batch(9)
    life.puts(2)
    life.flush()
    life.puts(2)
    life.close()
    life.open()
    life.puts(2)
    life.batch(4)
    life.close()


def now_and_then(life: Life) -> None:
    """Some writes forced, some not, chain files that end soon."""
    life.open()
    for number in range(4):
        life.puts(2)
        life.put(sync=True)
        life.batch(3, sync=number == 2)
    life.close()


def merging_beside(life: Life) -> None:
    """Tables that are merged by the thread that does so, while more is written."""
    life.settings["compaction_threshold"] = 2
    life.open()
    for _ in range(3):
        life.batch(3)
        life.flush()
        life.puts(2)
    life.close()


def packing(life: Life) -> None:
    """Chain files that are packed once they are full."""
    life.settings["compression_enabled"] = True
    life.open()
    for _ in range(3):
        life.puts(3)
        life.batch(4)
    life.compact()
    life.puts(2)
    life.close()
    life.open()
    life.batch(3)
    life.close()


def encrypted(life: Life) -> None:
    """An encrypted database: some writes forced, chain files that end soon and are sealed in pages then."""
    life.settings["encryption_enabled"] = True
    life.open()
    for number in range(3):
        life.puts(3)
        life.batch(4, sync=number == 1)
    life.flush()
    life.puts(2)
    life.close()
    life.open()
    life.batch(3)
    life.compact()
    life.put()
    life.close()


def indexed(life: Life) -> None:
    """Documents with indexes: made of some, written with more, merged, dropped."""
    life.value_of = lambda number: b'{"n": %d, "m": %d}' % (number, number % 3)
    life.settings["compaction_threshold"] = 2
    life.open()
    life.batch(5)
    life.db.create_index("n", ["n"], unique=True, sparse=True)
    life.puts(3)
    life.db.create_index("m", ["m"])
    life.batch(4, sync=True)
    life.flush()
    life.puts(2)
    life.close()
    life.open()
    life.batch(3)
    life.compact()
    life.db.drop_index("m")
    life.put()
    life.close()


LIVES: dict[str, tuple[Callable[[Life], None], int]] = {
    "everything": (everything, 1 << 20),
    "unforced": (unforced, 1 << 20),
    "forced": (forced, 700),
    "now and then": (now_and_then, 500),
    "merging beside": (merging_beside, 600),
    "packing": (packing, 500),
    "encrypted": (encrypted, 500),
    "indexed": (indexed, 500),
}
"""Scripts, and how large chain files grow with them."""


@contextmanager
def lived(name: str, root: Path, kind: type[RecordingDoor] = RecordingDoor, *, made: bool = True) -> Iterator[Life]:
    """A life that was lived; what it left behind is opened within this context, with chain files of the same size."""
    script, segment_bytes = LIVES[name]
    with small_files(segment_bytes):
        life = Life(root, kind, made)
        with life.door.beside():
            script(life)
        yield life
