"""What the files of a database are at one moment, beside its writer: so they can be copied while it goes on.

What never changes is opened when its turn comes; what grows is cut where it was at the moment; what may be taken away,
tables above all, is held open; what is small is in memory. The moment is one at which the ends of all logs are read
twice and are the same (the double collect of Afek et al., "Atomic snapshots of shared memory", 1993); the writer itself
can have its writes pause for that. What the copy holds opens as after a power cut that took nothing.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from blockdb.database.creation import DEFAULT_COLLECTION
from blockdb.errors import Corruption, DatabaseNotFound, StorageError
from blockdb.format import checked_toml, transaction
from blockdb.format import mark as mark_format
from blockdb.format.frame import BadFrame
from blockdb.format.mark import Mark
from blockdb.format.place import split_place
from blockdb.layout import ACTS_SUFFIX, CollectionFiles, DatabaseFiles, segment_numbers
from blockdb.storage.door import Door, guarded
from blockdb.storage.metadata import PREFIX, load_registry

CHUNK_BYTES: Final = 256 * 1024
ATTEMPTS: Final = 8
COLLECTS: Final = 2_000
"""So often are the ends of the logs read in search of a moment, beside a writer that cannot be asked to pause."""

Pausing = Callable[[], AbstractContextManager[object]]
"""Has nobody write for the moment, if that can be had."""

_NO_BOOT: Final = bytes(16)


class Moved(Exception):
    """Something was replaced while it was looked at."""


@dataclass
class Piece:
    """A file of the copy: the first `size` bytes (None: all) of one of `paths`, which stand for the same."""

    paths: tuple[Path, ...]
    size: int | None = None
    data: bytes | None = None
    """What it holds, if that is known."""
    held: int | None = None
    """The descriptor of a file that may be taken away."""

    def hold(self, held: ExitStack) -> Piece:
        """Open it now. Raises FileNotFoundError."""
        self.held = os.open(self.paths[0], os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        held.callback(os.close, self.held)
        return self

    def read(self) -> tuple[Path, int, Iterator[bytes]]:
        """Which file it is, how many bytes it has, and these, in chunks; all is read before the next one begins.

        Raises StorageError where it is gone.
        """
        if self.data is not None:
            return self.paths[0], len(self.data), iter((self.data,))
        path, descriptor = self._opened()
        size = os.fstat(descriptor).st_size if self.size is None else self.size
        return path, size, self._chunks(descriptor, size)

    def _opened(self) -> tuple[Path, int]:
        if self.held is not None:
            return self.paths[0], self.held
        for path in self.paths:
            try:
                return path, os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                continue
        raise StorageError(
            f"{self.paths[0]} was taken away while the database was copied: a collection was dropped, or tables of one "
            "that came into use were merged. Copy it again."
        )

    def _chunks(self, descriptor: int, size: int) -> Iterator[bytes]:
        try:
            at = 0
            while at < size:
                data = os.pread(descriptor, min(CHUNK_BYTES, size - at), at)
                if not data:
                    raise StorageError(f"{self.paths[0]} has {at} bytes, and should have {size}. Run `blockdb audit`.")
                at += len(data)
                yield data
        finally:
            if self.held is None:
                os.close(descriptor)


@dataclass
class Found:
    """A collection, and what was read of it before the moment."""

    files: CollectionFiles
    uuid: bytes
    pieces: list[Piece]
    end: tuple[bytes, int]
    """Its mark, and the size of its newest file where that is to be known."""
    is_busy: bool
    """Whether somebody may be writing to it."""


@dataclass
class Snapshot:
    """The files of a database as of one moment. A context manager, which lets go of what is held open."""

    files: DatabaseFiles
    collections: dict[str, str]
    """The ids of the collections by their names."""
    pieces: list[Piece] = field(default_factory=list)
    ends: dict[str, int] = field(default_factory=dict)
    """The places at which the chains end, by the ids of their collections, as far as marks tell."""
    _watched: dict[Path, object] = field(default_factory=dict)
    _held: ExitStack = field(default_factory=ExitStack)

    @property
    def is_encrypted(self) -> bool:
        """Whether the files are sealed."""
        return self._watched[self.files.keyring] is not None

    def check(self) -> None:
        """At the end: raises StorageError where values were erased, or another data key made, since the moment."""
        for path, identity in self._watched.items():
            if path.name in ("redactions.toml", "encryption.toml") and Door().identity(path) != identity:
                what = "another data key was made" if path == self.files.keyring else "values were redacted"
                raise StorageError(f"{what} while the database was copied, so the copy is of no moment. Copy it again.")

    def close(self) -> None:
        """Let go of the files."""
        self._held.close()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def take(files: DatabaseFiles, pausing: Pausing = nullcontext) -> Snapshot:
    """What the files of a database are now. O(files); its writers wait for O(open collections) at the most.

    The signing key and what may be made anew (upper nodes of trees) are left out. Raises DatabaseNotFound, Corruption
    and StorageError.
    """
    if not files.registry.exists():
        raise DatabaseNotFound(f"There is no database at {files.root}. Check the path.")
    with guarded(f"copying {files.root}"):
        for _ in range(ATTEMPTS):
            with ExitStack() as held:
                try:
                    snapshot = _Attempt(files, held).make(pausing)
                    snapshot._held = held.pop_all()
                    return snapshot
                except (FileNotFoundError, Moved):
                    continue
    raise StorageError(
        f"The database at {files.root} is so busy that no moment was found at which nobody wrote. Try it again, or "
        "have the process that writes it make the backup."
    )


class _Attempt:
    """One attempt; raises Moved or FileNotFoundError where it has to be begun again."""

    def __init__(self, files: DatabaseFiles, held: ExitStack) -> None:
        self._door = Door()
        self._files = files
        self._held = held
        self._boot_id = self._door.boot_id()
        self._watched: dict[Path, object] = {}
        self._ends: dict[str, int] = {}
        self._is_sealing = files.keyring.exists()
        self._may_hold = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
        """How many more files may be held open."""

    def make(self, pausing: Pausing) -> Snapshot:
        files = self._files
        log = self._door.inode(files.transactions)  # which grows, but is another one once it was emptied
        for path in (files.keyring, files.registry, files.public_keys, files.anchors):
            self._watch(path)
        ids = load_registry(self._door, files.registry)
        found = [self._found(files.collection(collection_id), collection_id) for collection_id in ids.values()]
        busy = [one for one in found if one.is_busy]
        with pausing():
            ends = self._collect(busy)
        self._check_still(found)
        snapshot = Snapshot(files, ids, self._small(files.keyring, files.public_keys, files.registry, files.anchors))
        for one in found:
            snapshot.pieces += [*one.pieces, *self._chain(one, ends)]
        snapshot.pieces += self._transactions(ids, ends)
        snapshot.pieces += self._audit_log(ids)
        is_same = all(self._door.identity(path) == identity for path, identity in self._watched.items())
        if not is_same or self._door.inode(files.transactions) != log:
            raise Moved
        snapshot.ends, snapshot._watched = self._ends, self._watched
        return snapshot

    def _watch(self, path: Path) -> None:
        self._watched[path] = self._door.identity(path)

    def _small(self, *paths: Path) -> list[Piece]:
        """Those of these files that there are."""
        pieces = []
        for path in paths:
            try:
                pieces.append(Piece((path,), data=path.read_bytes()))
            except FileNotFoundError:
                continue
        return pieces

    def _found(self, files: CollectionFiles, collection_id: str) -> Found:
        for path in (files.metadata, files.pending, files.redactions):
            self._watch(path)
        uuid = UUID(collection_id.removeprefix(PREFIX)).bytes
        end = self._end(files.mark)
        mark = _decoded(end[0], uuid)
        is_busy = isinstance(mark, str) or not mark.clean
        small = self._small(files.metadata, files.pending, files.redactions, files.checkpoint)
        for attempt in range(ATTEMPTS):
            try:
                lists = self._small(files.manifest, files.index_list)
                return Found(files, uuid, [*small, *self._listed(files, lists, is_busy), *lists], end, is_busy)
            except FileNotFoundError:  # merged since: the list is another one now
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _listed(self, files: CollectionFiles, lists: list[Piece], is_busy: bool) -> list[Piece]:
        """The tables and the files of indexes that count."""
        pieces = []
        for of_list in lists:
            path, data = of_list.paths[0], of_list.data
            assert data is not None
            try:
                values = checked_toml.decode(data)
            except BadFrame as error:
                raise Corruption(str(path), None, str(error)) from None
            if path == files.manifest:
                paths = [files.table(number) for number in values["tables"]]
            else:
                paths = [files.index_file(number) for index in values["indexes"] for number in index["files"]]
            pieces += [Piece((path,)) for path in paths]
        for piece in pieces:
            if is_busy and self._may_hold > 0:
                self._may_hold -= 1
                piece.hold(self._held)
            elif not piece.paths[0].exists():
                raise FileNotFoundError(piece.paths[0])
        return pieces

    # The moment.

    def _collect(self, busy: list[Found]) -> dict[Path, tuple[bytes, int]]:
        """The marks of those that may be written to, and the sizes of their newest files, all at one moment."""
        paths = [(one.files.mark, one.uuid) for one in busy]
        if self._files.transactions.exists():
            paths.append((self._files.transactions_mark, _NO_BOOT))
        for _ in range(COLLECTS):
            ends = {path: self._end(path) for path, _ in paths}
            if all(self._end(path) == ends[path] for path, _ in paths):
                return ends
        raise Moved

    def _end(self, path: Path) -> tuple[bytes, int]:
        """A mark, and how large the file is that it tells of, where that is to be known."""
        data = path.read_bytes() if path.exists() else b""
        if path == self._files.transactions_mark:
            return data, self._files.transactions.stat().st_size
        if not self._is_sealing:
            return data, 0
        try:
            newest = split_place(mark_format.read_written(data))[0]
        except BadFrame:
            return data, 0
        return data, CollectionFiles(path.parent).segment(newest).stat().st_size

    def _check_still(self, found: list[Found]) -> None:
        """See that those to which nobody wrote stayed as they were."""
        for one in found:
            if not one.is_busy and self._end(one.files.mark) != one.end:
                raise Moved

    # What follows from it.

    def _chain(self, one: Found, ends: dict[Path, tuple[bytes, int]]) -> list[Piece]:
        """The chain files of a collection, and its mark."""
        files = one.files
        data, size = ends.get(files.mark, one.end)
        mark = _decoded(data, one.uuid)
        if isinstance(mark, str) or not (mark.clean or mark.is_of(self._boot_id)):
            numbers = segment_numbers(path.name for path in files.chain.iterdir())  # nobody writes it
            return [*self._segments(files, numbers), *self._small(files.mark)]
        newest, offset = split_place(mark.written)
        self._ends[one.files.root.name] = mark.written
        last = Piece((files.segment(newest),), size if self._is_sealing else offset)
        if one.is_busy:
            last.hold(self._held)
            assert last.held is not None
            Door.force(last.held)
            mark = mark._replace(boot_id=_NO_BOOT, forced=mark.written)
        pieces = self._segments(files, list(range(newest)))
        return [*pieces, last, Piece((files.mark,), data=mark_format.encode(mark))]

    @staticmethod
    def _segments(files: CollectionFiles, numbers: list[int]) -> list[Piece]:
        return [Piece((files.segment(number), files.packed(number))) for number in numbers]

    def _transactions(self, ids: dict[str, str], ends: dict[Path, tuple[bytes, int]]) -> list[Piece]:
        """The log of transactions over several collections, and its mark."""
        files = self._files
        if files.transactions_mark not in ends:
            return []
        data, size = ends[files.transactions_mark]
        log = Piece((files.transactions,), size).hold(self._held)
        owner = UUID(ids[DEFAULT_COLLECTION].removeprefix(PREFIX)).bytes
        mark = _decoded(data, owner)
        if isinstance(mark, str) or not (mark.clean or mark.is_of(self._boot_id)):
            return [log, *self._small(files.transactions_mark)]
        if not mark.clean:
            mark = mark._replace(boot_id=_NO_BOOT, forced=mark.written)
            log.size = self._transactions_size(log, mark, size)
        return [log, Piece((files.transactions_mark,), data=mark_format.encode(mark))]

    def _audit_log(self, ids: dict[str, str]) -> list[Piece]:
        """The audit log as it is after the moment: nothing is taken from it, so it has what the journal tells of."""
        files = self._files.audit_log
        head = self._small(files.head)  # before the mark, since it is signed of what was written
        data = files.mark.read_bytes() if files.mark.exists() else b""
        mark = _decoded(data, UUID(ids[DEFAULT_COLLECTION].removeprefix(PREFIX)).bytes)
        if isinstance(mark, str) or not (mark.clean or mark.is_of(self._boot_id)):
            names = sorted(files.root.glob(f"*{ACTS_SUFFIX}"))  # nobody writes it
            return [*(Piece((path,)) for path in names), *self._small(files.mark), *head]
        newest, offset = split_place(mark.written)
        last = Piece((files.file(newest),), offset).hold(self._held)
        assert last.held is not None
        if self._is_sealing:
            last.size = os.fstat(last.held).st_size
        if not mark.clean:
            Door.force(last.held)
            mark = mark._replace(boot_id=_NO_BOOT, forced=mark.written)
        elif files.mark.read_bytes() != data:
            raise Moved  # somebody has begun to write to it
        older = [Piece((files.file(number),)) for number in range(newest)]
        return [*older, last, Piece((files.mark,), data=mark_format.encode(mark)), *head]

    def _transactions_size(self, log: Piece, mark: Mark, size: int) -> int:
        """Where the log ended: by its mark, unless that is of the log before, or the log is sealed."""
        if self._is_sealing:
            return size
        assert log.held is not None
        try:
            base = transaction.decode_header(os.pread(log.held, transaction.HEADER_BYTES, 0)).base
        except BadFrame:
            return size
        end = mark.written - base
        return end if transaction.HEADER_BYTES <= end <= size else size


def _decoded(data: bytes, owner: bytes) -> Mark | str:
    """A mark, or what is wrong with it."""
    try:
        mark = mark_format.decode(data)
    except BadFrame as error:
        return str(error)
    return mark if mark.collection == owner else "the mark belongs to another collection"
