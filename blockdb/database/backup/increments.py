"""What is new since an older backup: what logs got since then, files that took the place of others, and small files.

Logs only grow, so of a file that is still the same as it was in the older backup the rest is enough. Which files are
the same is told by inode and time, and where they grow by their last bytes then: whoever erases values puts another
file in the place of the old one. Where there is a doubt the whole file is taken. Tables and indexes are left out,
because they follow from the chain.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from blockdb.database.backup.pieces import Piece
from blockdb.database.backup.snapshot import Snapshot
from blockdb.errors import InvalidData
from blockdb.format.backup_header import TAIL_BYTES, Header, LogFile
from blockdb.layout import ACTS_SUFFIX, PACKED_SUFFIX, SEGMENT_SUFFIX, DatabaseFiles

LOG_SUFFIXES: Final = (ACTS_SUFFIX, SEGMENT_SUFFIX, PACKED_SUFFIX)
DERIVED: Final = ("tables", "indexes")
"""The directories of what follows from a chain,"""
MANIFEST: Final = "manifest.toml"
"""and the list of it."""


@dataclass
class Increment:
    """What of a copy is new."""

    pieces: list[Piece] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)


def log_files(root: Path, pieces: Iterable[Piece]) -> dict[str, LogFile]:
    """What the files of logs are now, by their paths. O(files)."""
    found = {}
    for piece in pieces:
        if piece.data is None and piece.paths[0].name.endswith(LOG_SUFFIXES):
            path = next((path for path in piece.paths if path.exists()), piece.paths[0])
            status = path.stat() if piece.held is None else os.fstat(piece.held)
            size = status.st_size if piece.size is None else piece.size
            name = path.relative_to(root).as_posix()
            if piece.grows:
                found[name] = LogFile(size, status.st_ino, 0, _tail(piece, path, size))
            else:
                found[name] = LogFile(size, status.st_ino, status.st_mtime_ns)
    return found


def _tail(piece: Piece, path: Path, size: int) -> str:
    """The SHA-256 of the last bytes of the first `size` ones."""
    if piece.held is not None:
        return _tail_at(piece.held, size)
    with path.open("rb") as file:
        return _tail_at(file.fileno(), size)


def _tail_at(descriptor: int, size: int) -> str:
    start = max(0, size - TAIL_BYTES)
    return sha256(os.pread(descriptor, size - start, start)).hexdigest()


def redaction_digests(files: DatabaseFiles, snapshot: Snapshot) -> dict[str, str]:
    """What is noted of redactions, by the ids of collections that have had one."""
    noted = {piece.paths[0]: piece.data for piece in snapshot.pieces if piece.data is not None}
    own = {id_: noted.get(files.collection(id_).redactions) for id_ in snapshot.collections.values()}
    return {id_: sha256(data).hexdigest() for id_, data in own.items() if data is not None}


def check_goes_on(older: Header, snapshot: Snapshot, database: str) -> None:
    """Whether a backup of now can go on from an older one. Raises InvalidData."""
    if older.database != database:
        raise InvalidData(f"The backup to go on from ({older.id}) is one of another database. Name one of this one.")
    if not older.logs:
        raise InvalidData(
            f"The backup to go on from ({older.id}) was made by a version of BlockDB whose backups do not tell what an "
            "increment needs to know. Make a full one, and go on from that."
        )
    if older.encrypted != snapshot.is_encrypted:
        raise InvalidData(
            f"The backup to go on from ({older.id}) is not encrypted as the database is. Make a full one."
        )
    for collection_id, end in snapshot.ends.items():
        if end < older.ends.get(collection_id, 0):
            raise InvalidData(
                f"The collection {collection_id} ends before the place where it ended in the backup to go on from "
                f"({older.id}): an older copy was put back, or it was repaired. Make a full one."
            )


def since(older: Header, snapshot: Snapshot, logs: Mapping[str, LogFile], redactions: Mapping[str, str]) -> Increment:
    """What of a copy is new since an older backup of the same database. O(files)."""
    found, root = Increment(), snapshot.files.root

    def is_same(name: str, piece: Piece, path: Path) -> bool:
        before, now = older.logs[name], logs.get(name)
        if now is None or before.inode != now.inode or now.size < before.size:
            return False
        if not before.tail:
            return before == now
        directory = name.split("/")[1]
        return older.redactions.get(directory) == redactions.get(directory) and _tail(piece, path, before.size) == (
            before.tail
        )

    for piece in snapshot.pieces:
        if not _is_derived(piece.paths[0]):
            _take(found, piece, older, root, is_same)
    return found


def _is_derived(path: Path) -> bool:
    return path.name == MANIFEST or path.parent.name in DERIVED


def _take(
    found: Increment, piece: Piece, older: Header, root: Path, is_same: Callable[[str, Piece, Path], bool]
) -> None:
    """Enter a piece: what is new of it, or that it stays."""
    for path in piece.paths if piece.data is None else ():
        name = path.relative_to(root).as_posix()
        if name in older.logs and path.exists() and is_same(name, piece, path):
            piece.paths, piece.start = (path,), older.logs[name].size
            size = path.stat().st_size if piece.size is None else piece.size
            if size == piece.start:
                found.kept.append(name)
                return
            found.parts[name] = piece.start
            break
    found.pieces.append(piece)
