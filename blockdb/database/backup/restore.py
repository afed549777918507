"""Making a database of a backup: whatever is in the stream, nothing gets anywhere but into a new directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from blockdb.audit.auditor import audit
from blockdb.audit.collection import Options
from blockdb.database.backup.deriving import rebuild_if_sound
from blockdb.database.backup.going_on import go_on
from blockdb.database.backup.holding import check_anchors
from blockdb.database.backup.linking import check_linked
from blockdb.database.backup.point import Reached, go_back
from blockdb.database.backup.unpacking import Unpacked, Unpacking
from blockdb.database.encryption import keys_for_audit, load_keys
from blockdb.database.proofs.keys import PUBLIC_KEYS
from blockdb.errors import BlockDBError, InvalidData, MasterKeyError
from blockdb.format.backup_header import Header
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.storage.door import Door, guarded
from blockdb.storage.manifest import load_checked, save_checked
from blockdb.storage.sealed_door import SealedDoor
from blockdb.types import Anchor, AsOf, Report

UNFINISHED_SUFFIX: Final = ".restoring"


@dataclass(frozen=True)
class Restored:
    """A database that was made of a backup."""

    path: Path
    header: Header
    """That of the last backup."""
    files: int
    size_bytes: int
    report: Report | None
    """What the audit of it says; None where it is encrypted and no master key was given."""
    point: Reached | None = None
    """Which moment it is of, where one was named."""
    notes: tuple[str, ...] = ()
    """What there is to tell of it."""

    @property
    def has_signing_key(self) -> bool:
        """Whether the secret key is in it."""
        return DatabaseFiles(self.path).signing_key.exists()


@dataclass(frozen=True)
class Wanted:
    """What a restored database is to be, beyond what the backup holds."""

    to: AsOf | None = None
    """The moment that it is to be of; None: that of the last backup."""
    collection: str | None = None
    """To which collection a block or a record belongs; None: the default one."""
    anchors: tuple[Anchor, ...] = ()
    """What it is held against, beside the files on its own list of anchors, where they can be read."""
    asks_anchors: bool = True
    """Whether it is held against anchors at all."""
    accept_older: bool = False
    """Whether it may be older than an anchor that it does not contradict."""


def restore(
    stream: BinaryIO,
    target: Path,
    source: MasterKeySource | None = None,
    increments: Sequence[BinaryIO] = (),
    wanted: Wanted | None = None,
) -> Restored:
    """Make a database of a backup in a directory that is not there yet, and audit it. O(all bytes).

    `increments` are the backups that go on from the first one, each from the one before. It gets its name when all of
    it is there and on the disk. `source` is where the master key of an encrypted one comes from. Raises InvalidData for
    a stream that is no backup, was cut or changed, or does not belong there, for a directory that is there, and a
    moment that the backup does not have; HistoryConflict where an anchor contradicts it, or is newer; MasterKeyError,
    StorageError; and nothing is left then.
    """
    wanted = wanted or Wanted()
    source = source or MasterKeySource()
    target = target.absolute()
    work = target.with_name(target.name + UNFINISHED_SUFFIX)
    for path in (target, work):
        if path.exists() or path.is_symlink():
            raise InvalidData(f"{path} is there already: restore to a directory that is not, or remove it.")
    with guarded(f"restoring to {target}"):
        if not target.parent.is_dir():
            raise InvalidData(f"{target.parent} is no directory: make it first.")
        opened = _opened([stream, *increments])
        work.mkdir(mode=0o700)
        try:
            made = _make(opened, work, source, wanted)
            _force_names(work)
            Door().rename(work, target)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    return replace(made, path=target, report=_audited(target, made.header, source))


def check(streams: Sequence[BinaryIO]) -> list[tuple[str, Unpacked]]:
    """Read backups, each of which goes on from the one before, and see that they are whole. O(all bytes).

    Nothing is written. What each was called, and what is in it; that is recomputed only where it is restored. Raises
    InvalidData, which names the first thing that is wrong.
    """
    sizes: dict[str, int] = {}
    return [(each.name, each.look(sizes)) for each in _opened(streams)]


def _opened(streams: Sequence[BinaryIO]) -> list[Unpacking]:
    """The streams, once it is known that each goes on from the one before. Raises InvalidData."""
    names = [getattr(stream, "name", None) for stream in streams]
    called = [
        name if isinstance(name, str) else "This" if len(streams) == 1 else f"Backup {number}"
        for number, name in enumerate(names, 1)
    ]
    opened = [Unpacking(stream, name) for stream, name in zip(streams, called, strict=True)]
    check_linked([(each.name, each.header) for each in opened])
    return opened


def _make(opened: Sequence[Unpacking], work: Path, source: MasterKeySource, wanted: Wanted) -> Restored:
    """Write the files, and make of them what is wanted."""
    files, header = DatabaseFiles(work), opened[-1].header
    base = opened[0].run(work)
    _settle(files, base.header)
    size, count, touched = base.size_bytes, len(base.new), set[str]()
    for each in opened[1:]:
        more = go_on(each, files)
        size, count = size + more.unpacked.size_bytes, count + len(more.unpacked.new)
        touched = (touched | more.touched) & set(each.header.collections.values())
        _settle(files, each.header)
    door = _door(files, source) if touched or wanted.to is not None else None
    if door is not None:
        for collection_id in sorted(touched):
            rebuild_if_sound(door, files.collection(collection_id))
    notes: tuple[str, ...] = ()
    if wanted.asks_anchors:
        notes = check_anchors(work, source, wanted.anchors, accept_older=wanted.accept_older)
    point = None
    if wanted.to is not None and door is not None:
        point = go_back(door, files, header, wanted.to, wanted.collection)
        notes += point.notes
        _note_key(files)
    return Restored(work, header, count, size, None, point, notes)


def _door(files: DatabaseFiles, source: MasterKeySource) -> Door:
    keys = load_keys(Door(), files, source)
    return Door() if keys is None else SealedDoor(Door(), keys)


def _settle(files: DatabaseFiles, header: Header) -> None:
    """Make what a backup does not have: the lock, directories, and the note of where the signing key is."""
    for collection_id in header.collections.values():
        collection = files.collection(collection_id)
        for directory in (collection.chain, collection.tables):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.lock.touch(0o600)
    _note_key(files)


def _note_key(files: DatabaseFiles) -> None:
    """Note whether the signing key is there."""
    with suppress(BlockDBError):  # the audit says what is wrong with it
        values: dict[str, Any] = load_checked(Door(), files.public_keys, PUBLIC_KEYS)
        values.pop("apart", None)
        apart = {} if files.signing_key.exists() else {"apart": True}
        save_checked(Door(), files.public_keys, PUBLIC_KEYS, {**values, **apart})


def _force_names(root: Path) -> None:
    for directory, _, _ in os.walk(root):
        Door().force_directory(Path(directory))


def _audited(path: Path, header: Header, source: MasterKeySource) -> Report | None:
    try:
        keys = keys_for_audit(path, source)
    except MasterKeyError:
        return None
    return None if header.encrypted and keys is None else audit(path, None, None, Options(data_keys=keys))
