"""Doors to a system that behaves badly, and ways of opening a database through one."""

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from mmap import mmap
from pathlib import Path
from threading import Event, RLock
from time import monotonic
from typing import Any

from blockdb.config import from_settings
from blockdb.database.creation import DEFAULT_COLLECTION
from blockdb.database.database import Database
from blockdb.format import mark as mark_format
from blockdb.format.mark import Mark
from blockdb.format.place import split_place
from blockdb.layout import CollectionFiles, DatabaseFiles
from blockdb.storage.door import Door
from blockdb.storage.metadata import load_registry

PATIENCE_S = 60


def written(path: Path, number: int = 0) -> bytes:
    """What a chain file of the one collection holds, without the zeros that are reserved behind it."""
    files = collection_of(path)
    newest, offset = split_place(mark_format.decode(files.mark.read_bytes()).written)
    return files.segment(number).read_bytes()[: offset if newest == number else None]


class UnforcedMap(mmap):
    """A mapping that nobody waits for."""

    def flush(self, offset: int = 0, size: int = 0) -> None:
        """Nothing: what a killed process leaves behind does not depend on it."""


class StillWindow(mmap):
    """A mapping that can be made to stand still."""

    still: RLock

    def __setitem__(self, part: Any, data: Any) -> None:
        with self.still:
            super().__setitem__(part, data)


class StillDoor(Door):
    """The real system, which can be made to stand still: while somebody holds `still`, no file changes.

    Nothing is forced to the disk, since the tests that kill the machine say themselves what that leaves behind.
    """

    commits_before_windows = 2

    def __init__(self) -> None:
        self.still = RLock()

    def write(self, descriptor: int, data: Any) -> int:
        with self.still:
            return os.write(descriptor, data)

    def force(self, descriptor: Any) -> None:
        pass

    def force_directory(self, path: Path) -> None:
        pass

    def map_write(self, path: Path) -> mmap:
        with path.open("r+b") as file:
            return UnforcedMap(file.fileno(), 0)

    def map_part(self, descriptor: int, offset: int, size: int) -> mmap:
        window = StillWindow(descriptor, size, offset=offset)
        window.still = self.still
        return window

    def truncate(self, descriptor: int, size: int) -> None:
        with self.still:
            os.ftruncate(descriptor, size)

    def reserve(self, descriptor: int, offset: int, size: int) -> None:
        with self.still:
            super().reserve(descriptor, offset, size)

    def create(self, path: Path, data: bytes) -> None:
        with self.still:
            super().create(path, data)

    def rename(self, old: Path, new: Path) -> None:
        with self.still:
            super().rename(old, new)

    def remove(self, path: Path) -> None:
        with self.still:
            super().remove(path)

    def copy(self, source: Path, target: Path) -> Path:
        """A copy of a database directory: what its writer's death at this moment would leave behind."""
        with self.still:
            return copy_of(source, target)


class TroubledDoor(StillDoor):
    """The real system, but for the calls that stand in `failing`: those fail, with that error, while they stand there.

    Calls that have a path can be singled out by the end of its name: `failing["create", ".sst.tmp"]`. What is appended
    to the log is written: stores into a mapping do not fail.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failing: dict[str | tuple[str, str], int] = {}
        self.calls: list[str] = []

    def _pass(self, call: str, path: Path | None = None) -> None:
        self.calls.append(call)
        for trouble, code in list(self.failing.items()):
            name, suffix = (trouble, "") if isinstance(trouble, str) else trouble
            if name == call and str(path or "").endswith(suffix):
                raise OSError(code, os.strerror(code), str(path) if path else None)

    def can_map_ahead(self, descriptor: int) -> bool:
        return False

    def write(self, descriptor: int, data: Any) -> int:
        self._pass("write")
        return super().write(descriptor, data)

    def force(self, descriptor: Any) -> None:
        self._pass("force")

    def reserve(self, descriptor: int, offset: int, size: int) -> None:
        self._pass("reserve")
        super().reserve(descriptor, offset, size)

    def truncate(self, descriptor: int, size: int) -> None:
        self._pass("truncate")
        super().truncate(descriptor, size)

    def open_append(self, path: Path) -> int:
        self._pass("open_append", path)
        return super().open_append(path)

    def map_read(self, path: Path) -> mmap:
        self._pass("map_read", path)
        return super().map_read(path)

    def create(self, path: Path, data: bytes) -> None:
        self._pass("create", path)
        super().create(path, data)

    def rename(self, old: Path, new: Path) -> None:
        self._pass("rename", new)
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self._pass("remove", path)
        super().remove(path)


class ShortDoor(TroubledDoor):
    """A system that writes `most` bytes at a time, and fails after `left` of them if that is given."""

    def __init__(self, most: int, left: int | None = None) -> None:
        super().__init__()
        self.most = most
        self.left = left

    def write(self, descriptor: int, data: Any) -> int:
        size = min(self.most, len(data))
        if self.left is not None:
            size = min(size, self.left)
            self.left -= size
            if not size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(descriptor, data[:size])


class GateDoor(TroubledDoor):
    """A system that holds the creation of tables up until `gate` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Event()
        self.waiting = Event()

    def create(self, path: Path, data: bytes) -> None:
        if ".sst" in path.name:
            self.waiting.set()
            assert self.gate.wait(PATIENCE_S)
        super().create(path, data)


def open_through(door: Door, path: Path, *, read_only: bool = False, **settings: Any) -> Database:
    """`blockdb.open` with another system under it."""
    config = from_settings({"data_dir": str(path), **settings})
    return Database(config, read_only=read_only, create=True, door=door)


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; a test that waits in vain fails."""
    deadline, pause = monotonic() + PATIENCE_S, Event()
    while not condition():
        assert monotonic() < deadline, "waited in vain"
        pause.wait(0.001)


def collection_of(path: Path) -> CollectionFiles:
    """The files of the one collection of a database, beside which there may be a journal."""
    roots = list(DatabaseFiles(path).collections.iterdir())
    if len(roots) > 1:
        ours = load_registry(Door(), DatabaseFiles(path).registry)[DEFAULT_COLLECTION]
        roots = [root for root in roots if root.name == ours]
    [root] = roots
    return CollectionFiles(root)


def copy_of(source: Path, target: Path) -> Path:
    """A copy of a database directory that nobody changes meanwhile."""
    shutil.copytree(source, target)
    for collection in target.glob("collections/*"):
        (collection / "tables").mkdir(exist_ok=True)  # git keeps no empty directories
    return target


def change_mark(path: Path, **fields: Any) -> Mark:
    """Write the mark of a database anew with other fields."""
    file = collection_of(path).mark
    mark = mark_format.decode(file.read_bytes())._replace(**fields)
    file.write_bytes(mark_format.encode(mark))
    return mark


def pairs(numbers: Iterable[int]) -> list[tuple[bytes, bytes]]:
    """Some records."""
    return [(b"key%05d" % number, b"value%d" % number) for number in numbers]
