"""What the files of a database are at one moment, beside its writer: so they can be copied while it goes on.

What never changes is opened when its turn comes; what grows is cut where it was at the moment; what may be taken away,
tables above all, is held open; what is small is in memory. The moment is one at which the ends of all logs are read
twice and are the same (the double collect of Afek et al., "Atomic snapshots of shared memory", 1993); the writer itself
can have its writes pause for that. What the copy holds opens as after a power cut that took nothing.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from blockdb.database.backup.pieces import Piece
from blockdb.database.creation import DEFAULT_COLLECTION
from blockdb.errors import Corruption, DatabaseNotFound, StorageError
from blockdb.format import checked_toml, transaction
from blockdb.format import mark as mark_format
from blockdb.format.frame import BadFrame
from blockdb.format.mark import Mark
from blockdb.format.place import split_place
from blockdb.layout import ACTS_SUFFIX, AuditLogFiles, CollectionFiles, DatabaseFiles, segment_numbers
from blockdb.storage.door import Door, guarded
from blockdb.storage.metadata import PREFIX, load_registry

ATTEMPTS: Final = 8
COLLECTS: Final = 2_000
"""So often are the ends of the logs read in search of a moment, beside a writer that cannot be asked to pause."""

Pausing = Callable[[], AbstractContextManager[object]]
"""Has nobody write for the moment, if that can be had."""

_NO_BOOT: Final = bytes(16)


class Moved(Exception):
    """Something was replaced while it was looked at."""


@dataclass(frozen=True)
class Log:
    """What grows file by file, with a mark: a chain, or the audit log."""

    mark: Path
    owner: bytes
    paths_of: Callable[[int], tuple[Path, ...]]
    """Where the file with a number may stand."""
    numbers: Callable[[], list[int]]
    """Those of all files."""
    collection: str | None = None
    """The id of the collection whose chain it is."""


@dataclass
class Found:
    """A log, and what was read before the moment of it and what belongs to it."""

    log: Log
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
        owner = UUID(ids[DEFAULT_COLLECTION].removeprefix(PREFIX)).bytes
        found = [self._found(files.collection(collection_id), collection_id) for collection_id in ids.values()]
        if files.audit_log.mark.exists():
            found.append(self._found_audit_log(files.audit_log, owner))
        busy = [one for one in found if one.is_busy]
        with pausing():
            ends = self._collect(busy)
        self._check_still(found)
        small = (files.keyring, files.public_keys, files.registry, files.anchors, files.restored)
        snapshot = Snapshot(files, ids, self._small(*small))
        for one in found:
            snapshot.pieces += [*one.pieces, *self._chain(one, ends)]
        snapshot.pieces += self._transactions(owner, ends)
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
        owner = UUID(collection_id.removeprefix(PREFIX)).bytes
        log = Log(
            files.mark,
            owner,
            lambda number: (files.segment(number), files.packed(number)),
            lambda: segment_numbers(path.name for path in files.chain.iterdir()),
            collection_id,
        )
        found = self._begun(log)
        small = self._small(files.metadata, files.pending, files.redactions, files.checkpoint)
        for attempt in range(ATTEMPTS):
            try:
                lists = self._small(files.manifest, files.index_list)
                found.pieces = [*small, *self._listed(files, lists, found.is_busy), *lists]
                return found
            except FileNotFoundError:  # merged since: the list is another one now
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _found_audit_log(self, files: AuditLogFiles, owner: bytes) -> Found:
        log = Log(
            files.mark,
            owner,
            lambda number: (files.file(number),),
            lambda: sorted(int(path.stem) for path in files.root.glob(f"*{ACTS_SUFFIX}")),
        )
        found = self._begun(log)
        found.pieces = self._small(files.head)
        return found

    def _begun(self, log: Log) -> Found:
        """A log as it is before the moment."""
        end = self._end(log)
        mark = _decoded(end[0], log.owner)
        return Found(log, [], end, isinstance(mark, str) or not mark.clean)

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
        has_transactions = self._files.transactions.exists()
        for _ in range(COLLECTS):
            ends = self._ends_of(busy, has_transactions)
            if self._ends_of(busy, has_transactions) == ends:
                return ends
        raise Moved

    def _ends_of(self, busy: list[Found], has_transactions: bool) -> dict[Path, tuple[bytes, int]]:
        ends = {one.log.mark: self._end(one.log) for one in busy}
        if has_transactions:
            size = self._files.transactions.stat().st_size
            ends[self._files.transactions_mark] = _bytes_of(self._files.transactions_mark), size
        return ends

    def _end(self, log: Log) -> tuple[bytes, int]:
        """The mark of a log, and how large its newest file is, where that is to be known."""
        data = _bytes_of(log.mark)
        if not self._is_sealing:
            return data, 0
        try:
            newest = split_place(mark_format.read_written(data))[0]
        except BadFrame:
            return data, 0
        return data, log.paths_of(newest)[0].stat().st_size

    def _check_still(self, found: list[Found]) -> None:
        """See that those to which nobody wrote stayed as they were."""
        for one in found:
            if not one.is_busy and self._end(one.log) != one.end:
                raise Moved

    # What follows from it.

    def _chain(self, one: Found, ends: dict[Path, tuple[bytes, int]]) -> list[Piece]:
        """The files of a log up to the moment, and its mark."""
        log = one.log
        data, size = ends.get(log.mark, one.end)
        mark = _decoded(data, log.owner)
        if isinstance(mark, str) or not (mark.clean or mark.is_of(self._boot_id)):  # nobody writes it
            return [*(Piece(log.paths_of(number)) for number in log.numbers()), *self._small(log.mark)]
        newest, offset = split_place(mark.written)
        if log.collection is not None:
            self._ends[log.collection] = mark.written
        last = Piece(log.paths_of(newest)[:1], size if self._is_sealing else offset, grows=True)
        if one.is_busy:
            last.hold(self._held)
            assert last.held is not None
            Door.force(last.held)
            mark = mark._replace(boot_id=_NO_BOOT, forced=mark.written)
        before = (Piece(log.paths_of(number)) for number in range(newest))
        return [*before, last, Piece((log.mark,), data=mark_format.encode(mark))]

    def _transactions(self, owner: bytes, ends: dict[Path, tuple[bytes, int]]) -> list[Piece]:
        """The log of transactions over several collections, and its mark.

        It is read now, since whoever empties it overwrites what was in it, also under those who hold it open.
        """
        files = self._files
        if files.transactions_mark not in ends:
            return []
        data, size = ends[files.transactions_mark]
        log = Piece((files.transactions,), data=files.transactions.read_bytes()[:size])
        mark = _decoded(data, owner)
        if isinstance(mark, str) or not (mark.clean or mark.is_of(self._boot_id)):
            return [log, *self._small(files.transactions_mark)]
        if not mark.clean:
            mark = mark._replace(boot_id=_NO_BOOT, forced=mark.written)
            log.data = _up_to_mark(log.data or b"", mark, is_sealing=self._is_sealing)
        return [log, Piece((files.transactions_mark,), data=mark_format.encode(mark))]


def _up_to_mark(log: bytes, mark: Mark, *, is_sealing: bool) -> bytes:
    """The log of transactions up to where it ended: by its mark, unless that is of the log before, or it is sealed."""
    if is_sealing:
        return log
    try:
        base = transaction.decode_header(log).base
    except BadFrame:
        return log
    end = mark.written - base
    return log[:end] if transaction.HEADER_BYTES <= end <= len(log) else log


def _bytes_of(path: Path) -> bytes:
    """What a small file has; nothing where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _decoded(data: bytes, owner: bytes) -> Mark | str:
    """A mark, or what is wrong with it."""
    try:
        mark = mark_format.decode(data)
    except BadFrame as error:
        return str(error)
    return mark if mark.collection == owner else "the mark belongs to another collection"
