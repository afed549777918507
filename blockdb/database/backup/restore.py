"""Making a database of a backup: whatever is in the stream, nothing gets anywhere but into a new directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from zstandard import ZstdDecompressor, ZstdError

from blockdb.audit.auditor import audit
from blockdb.audit.collection import Options
from blockdb.database.encryption import keys_for_audit
from blockdb.database.proofs.keys import PUBLIC_KEYS
from blockdb.errors import BlockDBError, InvalidData, MasterKeyError, StorageError
from blockdb.format import archive
from blockdb.format.archive import BLOCK_BYTES, Entry, Header
from blockdb.format.frame import BadFrame
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.storage.door import Door, guarded
from blockdb.storage.manifest import load_checked, save_checked
from blockdb.types import Report

CHUNK_BYTES: Final = 256 * 1024
MAX_WINDOW_BYTES: Final = 8 * 1024 * 1024
"""What unpacking may take of memory; a backup takes a quarter of it."""

UNFINISHED_SUFFIX: Final = ".restoring"


@dataclass(frozen=True)
class Restored:
    """A database that was made of a backup."""

    path: Path
    header: Header
    files: int
    size_bytes: int
    report: Report | None
    """What the audit of it says; None where it is encrypted and no master key was given."""


def restore(stream: BinaryIO, target: Path, source: MasterKeySource | None = None) -> Restored:
    """Make a database of a backup in a directory that is not there yet, and audit it. O(all bytes).

    It gets its name when all of it is there and on the disk. `source` is where the master key of an encrypted one comes
    from. Raises InvalidData for a stream that is no backup, was cut or changed, and for a directory that is there;
    StorageError; and nothing is left then.
    """
    target = target.absolute()
    work = target.with_name(target.name + UNFINISHED_SUFFIX)
    for path in (target, work):
        if path.exists() or path.is_symlink():
            raise InvalidData(f"{path} is there already: restore to a directory that is not, or remove it.")
    with guarded(f"restoring to {target}"):
        if not target.parent.is_dir():
            raise InvalidData(f"{target.parent} is no directory: make it first.")
        work.mkdir(mode=0o700)
        try:
            header, files, size = _Unpacking(stream, work).run()
            _settle(DatabaseFiles(work), header)
            _force_names(work)
            Door().rename(work, target)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    return Restored(target, header, files, size, _audited(target, header, source))


class _Unpacking:
    """Reads the stream once, file by file."""

    def __init__(self, stream: BinaryIO, root: Path) -> None:
        unpacking = ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        self._stream = unpacking.stream_reader(stream, read_size=CHUNK_BYTES, closefd=False)
        self._root = root
        self._digests: dict[str, bytes] = {}
        self._left = 0
        """How many more bytes the header allows."""

    def run(self) -> tuple[Header, int, int]:
        """Write all files; gives the header, how many files there were, and with how many bytes."""
        try:
            return self._run()
        except ZstdError as error:
            _refuse(f"it cannot be unpacked ({error})")
        except BadFrame as error:
            _refuse(str(error))

    def _run(self) -> tuple[Header, int, int]:
        header = archive.decode_header(self._list(archive.HEADER_PATH, self._entry()))
        free = shutil.disk_usage(self._root).free
        if header.most_bytes > free:
            raise StorageError(
                f"The files take {header.most_bytes:,} bytes, and {self._root.parent} has {free:,} free."
            )
        self._left = header.most_bytes
        while (entry := self._entry()) is not None and entry.path != archive.SUMS_PATH:
            if entry.path in self._digests:
                _refuse(f"{entry.path} is in it twice")
            self._keep(entry)
        digests = archive.encode_sums(self._digests)
        if self._list(archive.SUMS_PATH, entry) != digests:
            _refuse("its files are not those of which it has the digests")
        if self._exactly(BLOCK_BYTES) != bytes(BLOCK_BYTES) or self._entry() is not None or self._stream.read(1):
            _refuse("there is something after its end")
        return header, len(self._digests) - 1, header.most_bytes - self._left

    def _entry(self) -> Entry | None:
        return archive.decode_entry(self._exactly(BLOCK_BYTES))

    def _list(self, path: str, entry: Entry | None) -> bytes:
        """The first or the last file, which is kept in memory alone."""
        if entry is None or entry.path != path or entry.size > archive.MAX_LIST_BYTES:
            _refuse(f"{path} should stand there")
        data = b"".join(self._contents(entry))
        self._digests[path] = sha256(data).digest()
        return data

    def _keep(self, entry: Entry) -> None:
        if entry.size > self._left:
            _refuse("it has more bytes than it announces")
        self._left -= entry.size
        path = self._root / entry.path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest = sha256()
        with open(path, "xb", opener=_private) as file:
            for chunk in self._contents(entry):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            Door.force(file.fileno())
        self._digests[entry.path] = digest.digest()

    def _contents(self, entry: Entry) -> Iterator[bytes]:
        left = entry.size
        while left:
            chunk = self._exactly(min(left, CHUNK_BYTES))
            left -= len(chunk)
            yield chunk
        pad = archive.padding(entry.size)
        if self._exactly(len(pad)) != pad:
            _refuse("something stands between its files")

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._stream.read(size - len(data))
            if not more:
                _refuse("it was cut: the rest of it is missing")
            data += more
        return data


def _refuse(what: str) -> NoReturn:
    raise InvalidData(f"This is no whole backup: {what}. Nothing was restored; take another copy of it.")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _settle(files: DatabaseFiles, header: Header) -> None:
    """Make what a backup does not have: the lock, directories, and the note of where the signing key is."""
    for collection_id in header.collections.values():
        collection = files.collection(collection_id)
        for directory in (collection.chain, collection.tables):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.lock.touch(0o600)
    with suppress(BlockDBError):  # the audit says what is wrong with it
        values: dict[str, Any] = load_checked(Door(), files.public_keys, PUBLIC_KEYS)
        values.pop("apart", None)
        apart = {} if files.signing_key.exists() else {"apart": True}
        save_checked(Door(), files.public_keys, PUBLIC_KEYS, {**values, **apart})


def _force_names(root: Path) -> None:
    for directory, _, _ in os.walk(root):
        Door().force_directory(Path(directory))


def _audited(path: Path, header: Header, source: MasterKeySource | None) -> Report | None:
    try:
        keys = keys_for_audit(path, source or MasterKeySource())
    except MasterKeyError:
        return None
    return None if header.encrypted and keys is None else audit(path, None, None, Options(data_keys=keys))


def reading(chunks: BinaryIO | Iterable[bytes]) -> BinaryIO:
    """Chunks, as a file that can be read; a file as it is."""
    return chunks if hasattr(chunks, "read") else _Chunks(iter(chunks))  # type: ignore[return-value]


class _Chunks:
    """No more of a file than unpacking asks for."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        """The next bytes, `size` at most; none at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = chunk
        data, self._rest = self._rest[:size], self._rest[size:]
        return data
