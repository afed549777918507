"""A model of a disk and of the system's memory before it: what was forced, and what may still be lost.

The rules are those of POSIX, not of one file system: forcing a file makes its bytes and its size last, but not its
name; forcing a directory makes the names in it last. Until then any of the changes may have reached the disk, in
any order; but a rename never half. Only the stores of words into a mapped page reach the disk in their order, since the
page is written as it was at some moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final, NamedTuple

DIRECTORY: Final = 0
"""What stands in the place of a file's number where a name is that of a directory."""


class Write(NamedTuple):
    """Bytes written to a file; where they lie beyond its end, zeros fill the gap."""

    offset: int
    data: bytes


class Fill(NamedTuple):
    """Bytes stored into a window of a file: who is killed meanwhile leaves any of them behind."""

    offset: int
    data: bytes


class Store(NamedTuple):
    """A word stored into a mapped file, which no system call tells of."""

    offset: int
    data: bytes


class Resize(NamedTuple):
    """A file cut off, or filled up with zeros."""

    size: int


class Reserve(NamedTuple):
    """Zeros after the end of a file, up to a size that it may have already."""

    size: int


Edit = Write | Fill | Store | Resize | Reserve


def edited(content: bytes, edits: Iterable[Edit]) -> bytes:
    """What these edits make of a file."""
    buffer = bytearray(content)
    for edit in edits:
        match edit:
            case Resize(size):
                del buffer[size:]
                buffer.extend(bytes(size - len(buffer)))
            case Reserve(size):
                buffer.extend(bytes(max(size - len(buffer), 0)))
            case Write(offset, data) | Fill(offset, data) | Store(offset, data):
                buffer.extend(bytes(max(offset - len(buffer), 0)))
                buffer[offset : offset + len(data)] = data
    return bytes(buffer)


class File(NamedTuple):
    """The bytes that are surely on the disk, and the edits since."""

    durable: bytes = b""
    edits: tuple[Edit, ...] = ()

    def content(self) -> bytes:
        """The file as the system shows it."""
        return edited(self.durable, self.edits)


class Change(NamedTuple):
    """A change of names that reaches the disk as a whole: the file or the directory of each, None where it goes."""

    entries: tuple[tuple[str, int | None], ...]

    @property
    def parents(self) -> set[str]:
        """The directories that have these names: forcing one of them makes the change last."""
        return {parent_of(path) for path, _ in self.entries}


def parent_of(path: str) -> str:
    """The directory that a name stands in; that of everything is `.`."""
    return path.rpartition("/")[0] or "."


# What a recorder writes down, beside what was promised to the caller.


class Edited(NamedTuple):
    """A file was edited."""

    file: int
    edit: Edit


class Forced(NamedTuple):
    """A file was forced to the disk."""

    file: int


class Renamed(NamedTuple):
    """Names were changed: a file created, renamed or removed, a directory made."""

    change: Change


class ForcedDirectory(NamedTuple):
    """A directory was forced to the disk."""

    path: str


Operation = Edited | Forced | Renamed | ForcedDirectory
Image = Mapping[str, bytes | None]
"""A tree of files by their path; None stands for a directory."""


class Disk:
    """The disk at one moment."""

    def __init__(self, image: Image | None = None) -> None:
        """A disk that holds these files, all of them forced."""
        self.durable: dict[str, int] = {}
        self.changes: list[Change] = []
        self.files: dict[int, File] = {}
        for path, content in (image or {}).items():
            self.durable[path] = DIRECTORY if content is None else self.new_file(content)

    def new_file(self, content: bytes = b"") -> int:
        """The number of a new file, which has no name yet."""
        number = len(self.files) + 1
        self.files[number] = File(content)
        return number

    def copy(self) -> Disk:
        """The same disk, to go on from in another way."""
        twin = Disk()
        twin.durable, twin.changes, twin.files = dict(self.durable), list(self.changes), dict(self.files)
        return twin

    def apply(self, operation: Operation) -> None:
        """Do what was recorded."""
        match operation:
            case Edited(number, edit):
                file = self.files[number]
                self.files[number] = file._replace(edits=(*file.edits, edit))
            case Forced(number):
                self.files[number] = File(self.files[number].content())
            case Renamed(change):
                for _, created in change.entries:
                    if created:
                        self.files.setdefault(created, File())
                self.changes.append(change)
            case ForcedDirectory(path):
                self._force_directory(path)

    def _force_directory(self, path: str) -> None:
        waiting = []
        for change in self.changes:
            if path in change.parents:
                _rename(self.durable, change)
            else:
                waiting.append(change)
        self.changes = waiting

    def names(self, changes: Iterable[Change] | None = None) -> dict[str, int]:
        """What stands under each name once these changes reached the disk; those without a directory are lost."""
        names = dict(self.durable)
        for change in self.changes if changes is None else changes:
            _rename(names, change)
        reachable: dict[str, int] = {}
        for path in sorted(names):
            if (parent := parent_of(path)) == "." or parent in reachable:
                reachable[path] = names[path]
        return reachable

    def number_of(self, path: str) -> int | None:
        """The file under a name, as the system shows it; None where there is none."""
        for change in reversed(self.changes):
            for name, latest in change.entries:
                if name == path:
                    return latest
        return self.durable.get(path)

    def image(self) -> dict[str, bytes | None]:
        """The tree as the system shows it."""
        return {path: self.files[file].content() if file else None for path, file in self.names().items()}


def _rename(names: dict[str, int], change: Change) -> None:
    for path, number in change.entries:
        if number is None:
            names.pop(path, None)
        else:
            names[path] = number


def digest_of(image: Image) -> bytes:
    """What two trees have in common only if they are the same."""
    digest = sha256()
    for path in sorted(image):
        content = image[path]
        digest.update(f"{path}\0{-1 if content is None else len(content)}\0".encode())
        digest.update(content or b"")
    return digest.digest()
