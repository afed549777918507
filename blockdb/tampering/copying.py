"""Taking a copy of a database to tamper with, beside its writer."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from blockdb.database.backup.pieces import Piece
from blockdb.database.backup.snapshot import take
from blockdb.errors import InvalidData, StorageError
from blockdb.format import checked_toml, packed
from blockdb.layout import ZSTD, DatabaseFiles
from blockdb.storage.door import guarded

MOST_BYTES: Final = 1 << 30
COPIES: Final = 2
"""One that stays as it was, and one that is tampered with."""


def copy_database(source: Path, target: Path, most_bytes: int = MOST_BYTES, key_file: Path | None = None) -> None:
    """Copy a database, also beside its writer; packed chain files are unpacked in the copy. O(all bytes).

    What is copied opens as it would after the writer was killed, and has its signing key with it. Raises
    DatabaseNotFound, StorageError, and InvalidData where the database is encrypted, has more than `most_bytes`, or its
    key is kept apart and is not at `key_file`.
    """
    files = DatabaseFiles(source, key_file)
    if files.keyring.exists():
        raise InvalidData(
            f"The database at {source} is encrypted: who tampers with it without the key gets no further than changing "
            "bytes, which `verify` finds. To see more, export a part of it into a database that is not."
        )
    with take(files) as snapshot, guarded(f"copying {source}"):
        _check_room(source, target, most_bytes)
        to = DatabaseFiles(target)
        for directory in (target, to.keys, to.registry.parent, to.collections):
            directory.mkdir(mode=0o700)
        for piece in snapshot.pieces:
            if piece.paths[0] != files.anchors:
                _copy(piece, source, target)
        snapshot.check()
        for collection_id in snapshot.collections.values():
            to.collection(collection_id).tables.mkdir(exist_ok=True)
        _copy_key(files, to)
        to.lock.touch(0o600)


def _copy(piece: Piece, source: Path, target: Path) -> None:
    """Copy a file; a packed chain file is unpacked."""
    path, _, chunks = piece.read()
    to = target / path.relative_to(source)
    to.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ZSTD:
        to.with_suffix("").write_bytes(packed.unpack(b"".join(chunks)))
        return
    with to.open("xb") as file:
        file.writelines(chunks)


def _check_room(source: Path, target: Path, most_bytes: int) -> None:
    size = sum(_size(path) for path in source.rglob("*"))
    if size > most_bytes:
        raise InvalidData(
            f"The database takes {_mib(size)}; tampering works on copies of at most {_mib(most_bytes)}. Export a part "
            "of it into a smaller database, and tamper with that."
        )
    free = shutil.disk_usage(target.parent).free
    if free < COPIES * size:
        raise StorageError(
            f"The copies need {_mib(COPIES * size)}, and {target.parent} has {_mib(free)}. Set TMPDIR to a place with "
            "more."
        )


def _mib(size: int) -> str:
    return f"{-(-size // (1 << 20)):,} MiB"


def _size(path: Path) -> int:
    """What a chain file takes, unpacked, or any other file."""
    try:
        if path.suffix != ".zst":
            return path.lstat().st_size if path.is_file() else 0
        with path.open("rb") as file:
            return packed.decode_header(file.read(packed.HEADER_BYTES)).size
    except (OSError, ValueError):
        return 0


def _copy_key(files: DatabaseFiles, to: DatabaseFiles) -> None:
    """Copy the signing key to where it is when it is not kept apart from the data."""
    if not files.signing_key.exists():
        raise InvalidData(
            "The signing key is kept apart from the data, and the lab signs with it as a thief would. Name its file "
            "in the setting key_file."
        )
    shutil.copy(files.signing_key, to.signing_key)
    values = checked_toml.decode(to.public_keys.read_bytes())
    values.pop("apart", None)
    to.public_keys.write_bytes(checked_toml.encode(values))
