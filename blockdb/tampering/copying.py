"""Taking a copy of a database that somebody may be writing, and temporary directories that do not stay behind."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from blockdb.errors import DatabaseNotFound, InvalidData, StorageError
from blockdb.format import checked_toml, packed, transaction
from blockdb.layout import CollectionFiles, DatabaseFiles, segment_numbers
from blockdb.storage.door import guarded

PREFIX: Final = "blockdb-lab-"
MOST_BYTES: Final = 1 << 30
COPIES: Final = 2
"""One that stays as it was, and one that is tampered with."""
ATTEMPTS: Final = 5
"""A live writer may take a file away while it is copied; then the copy is begun again."""


class Workshop:
    """A temporary directory that is removed when it is closed, or with its process.

    Its kernel lock says that somebody works there: what a process left that was killed, the next workshop removes.
    """

    def __init__(self) -> None:
        _sweep(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._held: int | None = _hold(self.path, fcntl.LOCK_EX)
        atexit.register(self.close)

    def close(self) -> None:
        """Remove it, and all that is in it."""
        held, self._held = self._held, None
        if held is not None:
            atexit.unregister(self.close)
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(held)


def _hold(path: Path, how: int) -> int:
    """Lock a directory. Returns the descriptor that holds the lock. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(directory: Path) -> None:
    """Remove what killed processes of this user left behind."""
    for path in directory.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if path.lstat().st_uid == os.getuid():
                held = _hold(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
                os.close(held)


def copy_database(source: Path, target: Path, most_bytes: int = MOST_BYTES, key_file: Path | None = None) -> None:
    """Copy a database, also beside its writer; packed chain files are unpacked in the copy. O(all bytes).

    What is copied opens as it would after the writer was killed, and has its signing key with it. Raises
    DatabaseNotFound, StorageError, and InvalidData where the database is encrypted, has more than `most_bytes`, or its
    key is kept apart and is not at `key_file`.
    """
    files = DatabaseFiles(source, key_file)
    if not files.registry.exists():
        raise DatabaseNotFound(f"There is no database at {source}. Check the path.")
    if files.keyring.exists():
        raise InvalidData(
            f"The database at {source} is encrypted: who tampers with it without the key gets no further than changing "
            "bytes, which `verify` finds. To see more, export a part of it into a database that is not."
        )
    with guarded(f"copying {source}"):
        _check_room(source, target, most_bytes)
        for attempt in range(ATTEMPTS):
            try:
                _copy(files, target)
                return
            except FileNotFoundError:
                shutil.rmtree(target, ignore_errors=True)
                if attempt == ATTEMPTS - 1:
                    raise


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


def _copy(files: DatabaseFiles, target: Path) -> None:
    """Small files and tables first, then the mark, then the chain: so the mark tells of nothing that is not there.

    Raises FileNotFoundError where the writer took something away meanwhile.
    """
    target.mkdir(mode=0o700)
    to = DatabaseFiles(target)
    for directory in (to.keys, to.registry.parent, to.collections):
        directory.mkdir()
    for path in (files.public_keys, files.registry):
        shutil.copy(path, target / path.relative_to(files.root))
    _copy_key(files, to)
    base = _base_of(files)
    for collection_id in checked_toml.decode(to.registry.read_bytes())["collections"].values():
        _copy_collection(files.collection(collection_id), to.collection(collection_id))
    if _base_of(files) != base:  # it was emptied: collections that were copied before may lack what was decided
        raise FileNotFoundError(files.transactions)
    if files.transactions.exists():  # last: so it has the decision of every batch
        shutil.copy(files.transactions, to.transactions)
    to.lock.touch(0o600)


def _base_of(files: DatabaseFiles) -> bytes:
    """What changes when the log of transactions is emptied."""
    try:
        with files.transactions.open("rb") as file:
            return file.read(transaction.HEADER_BYTES)
    except FileNotFoundError:
        return b""


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


def _copy_collection(files: CollectionFiles, to: CollectionFiles) -> None:
    for directory in (to.root, to.chain, to.tables):
        directory.mkdir()
    for path in (files.metadata, files.manifest, *files.tables.iterdir(), files.mark, files.checkpoint):
        if path != files.checkpoint or path.exists():
            shutil.copy(path, to.root / path.relative_to(files.root))
    _copy_indexes(files, to)
    for number in segment_numbers(path.name for path in files.chain.iterdir()):
        try:
            shutil.copy(files.segment(number), to.segment(number))
        except FileNotFoundError:
            to.segment(number).write_bytes(packed.unpack(files.packed(number).read_bytes()))


def _copy_indexes(files: CollectionFiles, to: CollectionFiles) -> None:
    """Copy the files of indexes with the list that counts them. Raises FileNotFoundError where that was replaced."""
    if files.index_list.exists():
        shutil.copy(files.index_list, to.index_list)
        shutil.copytree(files.indexes, to.indexes, ignore=shutil.ignore_patterns("*.tmp"))
        if files.index_list.read_bytes() != to.index_list.read_bytes():
            raise FileNotFoundError(files.index_list)
