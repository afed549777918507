"""Copies of a node's database for another node: taken between two commands, checked, and put in place of what is there.

A copy is a mark with the outcomes, then a backup with the signing key. It is unpacked beside the database and audited;
then a file says that it is to be taken over, and from there on whoever opens the directory finishes that. So a crash at
any moment leaves the old database or the new one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import strftime
from typing import BinaryIO, Final

import msgspec

from blockdb.cluster.machine.holding import Holding, key_of
from blockdb.cluster.replicated_log import Snapshot
from blockdb.database import encryption
from blockdb.database.backup.pausing import writes_paused
from blockdb.database.backup.restore import Restored, Wanted, restore
from blockdb.database.backup.stream import Backup
from blockdb.database.backup.unpacking import reading
from blockdb.database.creation import DEFAULT_COLLECTION, make_root
from blockdb.errors import InvalidData, MasterKeyError, Unavailable
from blockdb.format.applied import (
    Applied,
    Outcome,
    Unfinished,
    decode_head,
    encode_applied,
    encode_head,
    encode_outcomes,
    encode_unfinished,
)
from blockdb.format.frame import BadFrame
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.storage.door import Door, guarded
from blockdb.storage.manifest import load_checked, save_checked
from blockdb.storage.metadata import load_registry
from blockdb.storage.sealed_door import SealedDoor

__all__ = ["prepare", "set_aside", "settle", "take", "take_over"]

Head = tuple[Applied, list[Outcome], Unfinished]
"""What a copy has beside the backup."""

READY: Final = "taking over"
"""What the file is called that says so."""


class Places:
    """Where a copy waits, and where goes what it takes the place of."""

    def __init__(self, files: DatabaseFiles) -> None:
        self.files = files
        self.incoming = files.raft.incoming
        self.database = self.incoming / "database"
        self.ready = self.incoming / "ready.toml"
        self.replaced = files.raft.replaced

    def present(self) -> list[str]:
        """What there is of the database now, by its path in the directory: the registry, which makes it one, first."""
        files = self.files
        found = [files.registry.parent, files.collections, files.keys, files.transactions, files.transactions_mark]
        found += [files.scrub_state, files.raft.applied, *sorted(files.raft.root.glob("*.outcomes"))]
        found += sorted(files.raft.root.glob("*.pending"))
        return [path.relative_to(files.root).as_posix() for path in found if path.exists()]


def take(holding: Holding) -> Snapshot:
    """What a node holds now, between two commands. Raises Unavailable where there is nothing, StorageError."""
    if holding.database is None:
        raise Unavailable("The node has no database yet that could be copied.")
    head = encode_head(holding.applied(holding.counts()), holding.outcomes.all(), holding.pending.all())
    backup = Backup(holding.files, partial(writes_paused, holding.core.catalog), signing_key=True)
    return Snapshot(holding.index, _chunks(head, backup))


def _chunks(head: bytes, backup: Backup) -> Iterator[bytes]:
    with backup:
        yield head
        yield from backup


def prepare(door: Door, snapshot: Snapshot, files: DatabaseFiles, source: MasterKeySource) -> Applied:
    """Unpack a copy beside the database, and see that it is sound. Nothing changes yet.

    Raises InvalidData for what is no whole copy, or of another database; MasterKeyError, StorageError.
    """
    places = Places(files)
    stream = reading(snapshot.chunks)
    with guarded("receiving a copy of the database"):
        make_root(door, files.raft.root)
        door.remove_tree(places.incoming)
        door.make_directory(places.incoming)
    try:
        applied, outcomes, unfinished = _head(stream)
        restored = restore(stream, places.database, source, wanted=Wanted(asks_anchors=False))
        _check(restored, applied, snapshot.index, files)
        with guarded("preparing a copy of the database"):
            _complete(door, places, (applied, outcomes, unfinished), source)
    except BaseException:
        shutil.rmtree(places.incoming, ignore_errors=True)
        raise
    return applied


def _head(stream: BinaryIO) -> Head:
    try:
        return decode_head(partial(_exactly, stream))
    except BadFrame as error:
        raise InvalidData(f"What was received is no copy of a node's database: {error}.") from None


def _exactly(stream: BinaryIO, size: int) -> bytes:
    parts = []
    while size:
        part = stream.read(size)
        if not part:
            raise InvalidData("What was received is no copy of a node's database: it was cut.")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _check(restored: Restored, applied: Applied, index: int, files: DatabaseFiles) -> None:
    if restored.report is None:
        raise MasterKeyError("The copy is encrypted, and its master key is missing: all nodes of a cluster have one.")
    if not restored.report.valid:
        problem = restored.report.problems[0]
        raise InvalidData(f"The copy that was received is damaged, and was not used. {problem.path}: {problem.what}.")
    ids = restored.header.collections
    if applied.index != index or not applied.counts.keys() <= {key_of(id_) for id_ in ids.values()}:
        raise InvalidData("The copy that was received does not fit what was said of it. It was not used.")
    if files.registry.exists():
        own = load_registry(Door(), files.registry).get(DEFAULT_COLLECTION)
        if own != ids[DEFAULT_COLLECTION]:
            raise InvalidData(
                f"The copy is of another database than the one at {files.root}. It was not used; choose an empty "
                "directory for this node."
            )


def _complete(door: Door, places: Places, head: Head, source: MasterKeySource) -> None:
    """What belongs to this node alone stays its own; the mark goes along. The last file says that all is there."""
    own, copy = places.files, DatabaseFiles(places.database)
    applied, outcomes, unfinished = head
    door.remove_tree(copy.audit_log.root)
    door.remove(copy.lock)
    if own.anchors.exists():
        door.replace(copy.anchors, own.anchors.read_bytes())
    else:
        door.remove(copy.anchors)
    door.make_directory(copy.raft.root)
    keys = encryption.load_keys(door, copy, source)
    sealing = door if keys is None else SealedDoor(door, keys)
    sealing.replace(copy.raft.outcomes(1), encode_outcomes(outcomes))
    pending = 0 if unfinished == Unfinished() else 1
    if pending:
        sealing.replace(copy.raft.pending(pending), encode_unfinished(unfinished))
    mark = msgspec.structs.replace(applied, outcomes=(1,), pending=pending)
    door.replace(copy.raft.applied, encode_applied(mark))
    names = Places(copy).present()
    save_checked(door, places.ready, READY, {"names": names})


def take_over(door: Door, files: DatabaseFiles, *, keep_old: bool) -> None:
    """Put a copy that was prepared in the place of the database, which nobody has open. Once more after a crash.

    With `keep_old`, what was there stays in `quarantine/`. Raises StorageError.
    """
    places = Places(files)
    with guarded("taking over a copy of the database"):
        names: list[str] = load_checked(door, places.ready, READY)["names"]
        make_root(door, places.replaced)
        for name in places.present():
            if name not in names or (places.database / name).exists():
                _move(door, files.root / name, places.replaced / name)
        for name in reversed(names):  # the registry, with which it is a database, comes last
            if (places.database / name).exists():
                _move(door, places.database / name, files.root / name)
        door.remove(places.ready)
        door.force_directory(places.incoming)
        if keep_old:
            make_root(door, files.quarantine)
            door.rename(places.replaced, files.quarantine / strftime("replaced-%Y%m%d-%H%M%S"))
        _clear(door, places)


def set_aside(door: Door, files: DatabaseFiles) -> Path:
    """Move a database, which nobody has open, to `quarantine/`, and say where it is; what is left is an empty node.

    After a crash it is to be done once more. Raises StorageError.
    """
    with guarded("setting the database aside"):
        target = files.quarantine / strftime("replaced-%Y%m%d-%H%M%S")
        make_root(door, target)
        for name in Places(files).present():
            _move(door, files.root / name, target / name)
    return target


def _move(door: Door, old: Path, new: Path) -> None:
    make_root(door, new.parent)
    door.rename(old, new)
    door.force_directory(old.parent)


def _clear(door: Door, places: Places) -> None:
    door.remove_tree(places.incoming)
    door.remove_tree(places.replaced)


def settle(door: Door, files: DatabaseFiles) -> None:
    """Before a node opens its database: finish taking over, or forget a copy that was not complete."""
    places = Places(files)
    if places.ready.exists():
        take_over(door, files, keep_old=False)
    elif places.incoming.exists() or places.replaced.exists():
        with guarded("removing what is left of a copy of the database"):
            _clear(door, places)
