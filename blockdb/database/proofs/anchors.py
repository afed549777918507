"""Anchors: files and witnesses outside the database that remember its checkpoints. Which there are, and the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from blockdb.errors import AnchorFailed, Corruption, DatabaseLocked, HistoryConflict, InvalidData
from blockdb.format import note_file
from blockdb.format.frame import BadFrame
from blockdb.layout import DatabaseFiles
from blockdb.ledger.checkpoint import Checkpoint, open_checkpoint
from blockdb.ledger.note import BadNote, Note, VerifierKey
from blockdb.storage.door import Door, guarded
from blockdb.storage.manifest import load_checked, save_checked
from blockdb.types import Anchor
from blockdb.witness.protocol import read_checkpoint

if TYPE_CHECKING:
    from blockdb.witness.client import WitnessClient

ANCHORS: Final = "list of anchors"

Fault = Callable[[Checkpoint], str | None]
"""What is wrong with a checkpoint that was kept, seen from the database; None where the database has its history."""


def load_anchors(door: Door, files: DatabaseFiles) -> tuple[Anchor, ...]:
    """The anchors of a database. Raises Corruption."""
    if not files.anchors.exists():
        return ()
    try:
        return tuple(Anchor(**values) for values in load_checked(door, files.anchors, ANCHORS)["anchors"])
    except (KeyError, TypeError) as error:
        raise Corruption(str(files.anchors), None, f"it holds no anchors: {error}") from None


def save_anchors(door: Door, files: DatabaseFiles, anchors: Sequence[Anchor]) -> None:
    """Write the list of anchors."""
    values = [{"where": anchor.where, **({"key": anchor.key} if anchor.key else {})} for anchor in anchors]
    save_checked(door, files.anchors, ANCHORS, {"anchors": values})


def is_witness(anchor: Anchor) -> bool:
    """Whether it is a witness; else it is a file."""
    return "://" in anchor.where


def checked(anchor: Anchor, root: Path) -> Anchor:
    """The anchor as it is kept: the whole path of a file. Raises InvalidData for one that cannot be an anchor."""
    if is_witness(anchor):
        if anchor.key is None:
            raise InvalidData(f"{anchor.where}: a witness needs its key, which `witness init` printed.")
        return Anchor(client_of(anchor).url, anchor.key)
    if anchor.key is not None:
        raise InvalidData(f"{anchor.where} is no URL, and only a witness has a key.")
    path = file_path(anchor.where)
    if path.is_relative_to(root.resolve()):
        raise InvalidData(
            f"{path} lies inside the database directory, and whoever rewrites that would rewrite it as well. "
            "Choose a file elsewhere, best on another disk or machine."
        )
    return Anchor(str(path))


def file_path(where: str) -> Path:
    """The whole path of a file that may be an anchor. Raises InvalidData."""
    try:
        path = Path(where).expanduser().resolve()
        str(path).encode()
    except (ValueError, RuntimeError) as error:
        raise InvalidData(f"{where!r} cannot be the path of a file: {error}.") from None
    if path.exists() and not path.is_file():
        raise InvalidData(f"{path} is no file.")
    return path


def client_of(anchor: Anchor) -> WitnessClient:
    """The client of a witness. Raises InvalidData."""
    from blockdb.witness.client import WitnessClient  # it takes long to load, and few need it

    try:
        return WitnessClient(anchor.where, VerifierKey.parse(anchor.key or ""))
    except BadNote as error:
        raise InvalidData(f"{anchor.where}: {error}.") from None


class FileAnchor:
    """A file to which the checkpoints of a database are appended; it may hold those of others too."""

    def __init__(self, door: Door, path: Path, origin: str, keys: Sequence[VerifierKey]) -> None:
        """`keys` are those that may have signed for the origin."""
        self._door = door
        self._path = path
        self._origin = origin
        self._keys = keys

    def kept(self) -> list[Checkpoint]:
        """The checkpoints of the origin, the oldest first. O(bytes).

        Raises AnchorFailed where the file is missing or damaged, HistoryConflict where others signed for the origin.
        """
        with guarded(f"reading {self._path}"):
            return self._checkpoints(self._read().notes)

    def kept_up_to(self, size: int) -> tuple[list[Checkpoint], int]:
        """Those of `size` entries at most, and of how many the newest is, whoever signed that. O(bytes).

        Raises AnchorFailed and HistoryConflict as `kept`.
        """
        with guarded(f"reading {self._path}"):
            notes = self._read().notes
        sizes = [self._size(number, note) for number, note in enumerate(notes, 1)]
        early = [note for note, own in zip(notes, sizes, strict=True) if 0 <= own <= size]
        return self._checkpoints(early), max(sizes, default=-1)

    def _size(self, number: int, note: str) -> int:
        """Of how many entries a checkpoint is; -1 where it is of another origin."""
        try:
            checkpoint = Checkpoint.parse(Note.parse(note).text)
        except BadNote as error:
            raise AnchorFailed(f"note {number} in it is damaged: {error}") from None
        return checkpoint.size if checkpoint.origin == self._origin else -1

    def append(self, note: str, fault: Fault, *, may_make: bool = False) -> None:
        """Append a signed checkpoint, on the disk when this returns, unless it says nothing new. O(bytes).

        Raises HistoryConflict where it does not extend the last one (and so those before), AnchorFailed, StorageError.
        """
        with guarded(f"writing to {self._path}"):
            if not may_make and not self._path.exists():
                raise AnchorFailed("the file is not there any more; find it, or remove the anchor and add it again")
            with self._alone():
                found = self._read()
                newest_first = reversed(list(enumerate(found.notes, 1)))
                last = next(filter(None, (self._checkpoint(*numbered) for numbered in newest_first)), None)
                what = None if last is None else fault(last)
                if what is not None:
                    raise HistoryConflict(f"{what}; nothing was appended")
                if last is None or Checkpoint.parse(Note.parse(note).text).size > last.size:
                    self._write(note, found.good_bytes)

    def _write(self, note: str, good_bytes: int) -> None:
        descriptor = self._door.open_append(self._path)
        try:
            if self._door.size(self._path) > good_bytes:  # what was never written to its end
                self._door.truncate(descriptor, good_bytes)
            self._door.write_all(descriptor, note_file.encode_next(note, good_bytes))
            self._door.force(descriptor)
        finally:
            self._door.close(descriptor)
        self._door.force_directory(self._path.parent)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            lock = self._door.lock(self._path)
        except DatabaseLocked:
            raise AnchorFailed("another process is writing to it; try again") from None
        try:
            yield
        finally:
            self._door.unlock(lock)

    def _read(self) -> note_file.NoteFile:
        try:
            return note_file.decode(self._door.read(self._path))
        except FileNotFoundError:
            raise AnchorFailed("the file is not there") from None
        except BadFrame as error:
            raise AnchorFailed(f"it is no file of signed notes: {error}") from None

    def _checkpoints(self, notes: Sequence[str]) -> list[Checkpoint]:
        found: list[Checkpoint] = []
        for number, note in enumerate(notes, 1):
            checkpoint = self._checkpoint(number, note)
            if checkpoint is not None:
                if found and checkpoint.size <= found[-1].size:
                    raise AnchorFailed(f"note {number} in it does not come after the one before: it was rearranged")
                found.append(checkpoint)
        return found

    def _checkpoint(self, number: int, note: str) -> Checkpoint | None:
        """The checkpoint in a note; None where it is of another origin."""
        return None if self._size(number, note) < 0 else signed_checkpoint(note, self._keys)


def signed_checkpoint(note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    """The checkpoint in a note of this database's origin. Raises HistoryConflict where no key of it signed, BadNote."""
    try:
        return open_checkpoint(note, keys).checkpoint
    except BadNote:
        size = read_checkpoint(Note.parse(note).text).size
        raise HistoryConflict(
            f"no key of this database signed the checkpoint of {size} entries that is kept: keys were replaced here, "
            "or the anchor was forged"
        ) from None
