"""A backup as a stream: see blockdb.format.archive for what it consists of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from time import time_ns
from typing import Final
from uuid import uuid4
from weakref import finalize

from zstandard import ZstdCompressor

from blockdb.database.backup import increments
from blockdb.database.backup.increments import Increment, check_goes_on, log_files, redaction_digests
from blockdb.database.backup.pieces import CHUNK_BYTES, Piece
from blockdb.database.backup.snapshot import Pausing, Snapshot, take
from blockdb.database.creation import DEFAULT_COLLECTION
from blockdb.database.proofs.journal import JOURNAL_COLLECTION
from blockdb.errors import InvalidData
from blockdb.format import archive
from blockdb.format.archive import Entry
from blockdb.format.backup_header import FULL, INCREMENT, Header
from blockdb.layout import DatabaseFiles
from blockdb.storage.door import guarded

LEVEL: Final = 3


class Backup(Iterator[bytes]):
    """A copy of all collections as of the moment at which it was made, in chunks of some 100 KiB. O(chunk) of memory.

    A context manager: where it is not read to its end, `close` lets go of the files.
    """

    def __init__(
        self,
        files: DatabaseFiles,
        pausing: Pausing = nullcontext,
        *,
        signing_key: bool = False,
        since: Header | None = None,
    ) -> None:
        """Find the moment. With `signing_key` the secret key is in it; `since` is the backup that it goes on from.

        Raises DatabaseNotFound, Corruption, StorageError, and InvalidData where the key is not beside the data, or the
        database is not one that goes on from that backup.
        """
        self._time_ms = time_ns() // 1_000_000  # all that was stored by then is in it
        self._snapshot = snapshot = take(files, pausing)
        finalize(self, snapshot.close)
        try:
            self.header = self._begun(files, snapshot, signing_key, since)
        except BaseException:
            snapshot.close()
            raise
        self.done_bytes = 0
        """How many bytes of files were read."""
        self._root = files.root
        self._chunks = self._compressed()

    def _begun(self, files: DatabaseFiles, snapshot: Snapshot, signing_key: bool, since: Header | None) -> Header:
        """The header; what of the files is to be in it is left in the snapshot."""
        with guarded("making a backup"):
            logs = log_files(files.root, snapshot.pieces)
            redactions = redaction_digests(files, snapshot)
            found = Increment(snapshot.pieces)
            database = snapshot.collections[DEFAULT_COLLECTION]
            if since is not None:
                check_goes_on(since, snapshot, database)
                found = increments.since(since, snapshot, logs, redactions)
            if signing_key:
                own = DatabaseFiles(files.root).signing_key
                if not own.exists():
                    raise InvalidData("The signing key is kept apart from the data: copy it yourself, or leave it out.")
                found.pieces.insert(0, Piece((own,)))
            snapshot.pieces = found.pieces
            return Header(
                id=str(uuid4()),
                time_ms=self._time_ms,
                database=database,
                encrypted=snapshot.is_encrypted,
                signing_key=signing_key,
                most_bytes=sum(map(_most_bytes, found.pieces)),
                collections=snapshot.collections,
                ends=snapshot.ends,
                checkpoint=_checkpoint(files, snapshot.collections.get(JOURNAL_COLLECTION)),
                kind=FULL if since is None else INCREMENT,
                parent=None if since is None else since.id,
                parent_digest=None if since is None else since.digest(),
                logs=logs,
                redactions=redactions,
                parts=found.parts,
                kept=found.kept,
            )

    def __next__(self) -> bytes:
        """The next chunk. Raises StorageError where files were taken away, or values redacted meanwhile."""
        with guarded("making a backup"):
            return next(self._chunks)

    def _compressed(self) -> Iterator[bytes]:
        with self._snapshot:
            compressing = ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()
            waiting = bytearray()
            for part in self._parts():
                waiting += compressing.compress(part)
                if len(waiting) >= CHUNK_BYTES // 2:
                    yield bytes(waiting)
                    waiting.clear()
            yield bytes(waiting) + compressing.flush()

    def _parts(self) -> Iterator[bytes]:
        sums: dict[str, bytes] = {}
        head = self.header.encode()
        sums[archive.HEADER_PATH] = sha256(head).digest()
        yield from _file(archive.HEADER_PATH, head)
        for piece in self._snapshot.pieces:
            path, size, chunks = piece.read()
            name = path.relative_to(self._root).as_posix()
            digest = sha256()
            yield archive.encode_entry(Entry(name, size))
            for chunk in chunks:
                digest.update(chunk)
                self.done_bytes += len(chunk)
                yield chunk
            yield archive.padding(size)
            sums[name] = digest.digest()
        self._snapshot.check()
        yield from _file(archive.SUMS_PATH, archive.encode_sums(sums))
        yield archive.END

    def close(self) -> None:
        """Let go of the files. Idempotent."""
        self._snapshot.close()

    def __enter__(self) -> Backup:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _file(name: str, data: bytes) -> Iterator[bytes]:
    yield archive.encode_entry(Entry(name, len(data)))
    yield data + archive.padding(len(data))


def _most_bytes(piece: Piece) -> int:
    if piece.data is not None:
        return len(piece.data)
    if piece.size is not None:
        return piece.size - piece.start
    return -piece.start + max(path.stat().st_size for path in piece.paths if path.exists())


def _checkpoint(files: DatabaseFiles, journal_id: str | None) -> str:
    """The last checkpoint that was signed of the journal, and so of everything."""
    path = Path() if journal_id is None else files.collection(journal_id).checkpoint
    return path.read_text() if path.is_file() else ""
