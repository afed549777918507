"""`blockdb.backup` and `blockdb.restore`: copies of databases that nobody here has open, and databases of copies."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from blockdb.database.backup.restore import Restored, Wanted
from blockdb.database.backup.restore import restore as make
from blockdb.database.backup.stream import Backup
from blockdb.database.backup.unpacking import reading
from blockdb.interface.backups import Older, read_older
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import source_of
from blockdb.types import Anchor, AsOf


def backup(path: str | Path, *, signing_key: bool = False, since: Older | None = None) -> Backup:
    """A copy of a database as a stream of bytes, without opening it, also beside its writer: see `Database.backup`.

    Raises DatabaseNotFound, Corruption, InvalidData; and StorageError, also where the writer is so busy with several
    collections that no moment is found: then have it make the backup itself.
    """
    return Backup(DatabaseFiles(Path(path)), signing_key=signing_key, since=read_older(since))


def restore(
    stream: BinaryIO | Iterable[bytes],
    path: str | Path,
    *,
    increments: Iterable[BinaryIO | Iterable[bytes]] = (),
    to: AsOf | None = None,
    collection: str | None = None,
    anchors: Iterable[Anchor] = (),
    accept_older: bool = False,
    **secrets: Any,
) -> Restored:
    """Make a database of a backup, in a directory that is not there yet, and audit it. O(all bytes), O(1) of memory.

    `increments` are the backups that go on from the first one, each from the one before. With `to`, the database is one
    of that moment: whole commits alone, in all collections; a block or a record is one of `collection`, or of the
    default one. It is held against `anchors`, and refused where one is newer, unless `accept_older` says otherwise.
    `secrets` are those of `open`. Raises InvalidData for what is no whole backup, does not belong there, does not have
    that moment, and for a directory that is there; HistoryConflict where an anchor says otherwise; StorageError,
    MasterKeyError. Nothing is left then. See docs/BACKUP.md.
    """
    wanted = Wanted(to, collection, tuple(anchors), accept_older=accept_older)
    return make(reading(stream), Path(path), source_of(**secrets), [reading(each) for each in increments], wanted)
