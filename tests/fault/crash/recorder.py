"""A door that writes down everything that changes files, and what was promised to the caller meanwhile."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import F_GETFL, fcntl
from functools import partial
from mmap import mmap
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from blockdb.database.repairing import repair
from blockdb.storage.door import Door
from tests.fault.crash.disk import (
    DIRECTORY,
    Change,
    Disk,
    Edit,
    Edited,
    Fill,
    Forced,
    ForcedDirectory,
    Operation,
    Renamed,
    Reserve,
    Resize,
    Store,
    Write,
)
from tests.storage.doors import StillDoor, UnforcedMap

WORD_BYTES = 8

Commit = tuple[tuple[bytes, bytes], ...]
"""The records that are there all or not at all."""


class Promise(NamedTuple):
    """What the caller had begun to write, and how much of it had been acknowledged."""

    commits: tuple[Commit, ...] = ()
    acknowledged: int = 0
    """So many commits survive a killed process."""
    forced: int = 0
    """So many survive a power cut."""


class Entry(NamedTuple):
    """A line of the journal: what was done, and what was promised by then; no operation where only that changed."""

    operation: Operation | None
    promise: Promise


class Mapped(UnforcedMap):
    """A mapping whose stores are looked for at each other operation, and noted one by one where Python sees them."""

    recorder: RecordingDoor
    number: int
    seen: bytes

    def look(self) -> None:
        """Note what was stored since the last look, word by word: one word is stored at once."""
        found = self[:]
        if found == self.seen:
            return
        for at in range(0, len(found), WORD_BYTES):
            word = found[at : at + WORD_BYTES]
            if word != self.seen[at : at + WORD_BYTES]:
                self.recorder.note(Edited(self.number, Store(at, word)))
        self.seen = found

    def flush(self, offset: int = 0, size: int = 0) -> None:
        with self.recorder.noting():
            self.recorder.note(Forced(self.number))

    def close(self) -> None:
        if not self.closed:
            with self.recorder.noting():
                self.recorder.mapped.remove(self)
        super().close()


class RecordedWindow(mmap):
    """A window whose stores are noted."""

    recorder: RecordingDoor
    number: int
    offset: int

    def __setitem__(self, part: Any, data: Any) -> None:
        with self.recorder.noting():
            super().__setitem__(part, data)
            self.recorder.note(Edited(self.number, Fill(self.offset + part.start, data)))


class RecordingDoor(StillDoor):
    """Notes each operation in the order in which it is done. It does what the real door does, except forcing."""

    def __init__(self, root: Path, disk: Disk | None = None, boot_id: bytes = bytes(15) + b"1") -> None:
        """`root` stands for the whole file system; `disk` is what it holds already."""
        super().__init__()
        self.root = root
        self.start = (disk or Disk()).copy()
        self.disk = self.start.copy()
        self.journal: list[Entry] = []
        self.mapped: list[Mapped] = []
        self.promise = Promise()
        self._boot_id = boot_id

    @contextmanager
    def noting(self) -> Iterator[None]:
        """While one operation is done and noted, nobody else's is; stores that came before it are noted before."""
        with self.still:
            for mapping in self.mapped:
                mapping.look()
            yield

    def note(self, operation: Operation) -> None:
        """Write down what is being done."""
        self.disk.apply(operation)
        self.journal.append(Entry(operation, self.promise))

    def promises(self, promise: Promise) -> None:
        """From now on the caller may count on this."""
        with self.noting():
            self.promise = promise
            self.journal.append(Entry(None, promise))

    def boot_id(self) -> bytes:
        return self._boot_id

    # What a file is called, and what number it has.

    def _name(self, path: Path) -> str:
        root, name = f"{self.root}/", str(path)
        if path == self.root:
            return "."
        assert name.startswith(root), f"{path} is outside {root}"
        return name.removeprefix(root)

    def _number(self, path: Path) -> int:
        number = self.disk.number_of(self._name(path))
        assert number is not None, f"{path} was never noted"
        return number

    def _number_of(self, descriptor: int) -> int:
        return self._number(Path(os.readlink(f"/proc/self/fd/{descriptor}")))

    def _edit(self, number: int, edit: Edit) -> None:
        self.note(Edited(number, edit))

    def _rename(self, *entries: tuple[Path, int | None]) -> None:
        self.note(Renamed(Change(tuple((self._name(path), number) for path, number in entries))))

    def _appear(self, path: Path) -> None:
        """Note that a file is created where there is none."""
        if not path.exists():
            self._rename((path, self.disk.new_file()))

    # Operations on files.

    def write(self, descriptor: int, data: Any) -> int:
        with self.noting():
            appending = fcntl(descriptor, F_GETFL) & os.O_APPEND
            offset = os.fstat(descriptor).st_size if appending else os.lseek(descriptor, 0, os.SEEK_CUR)
            written = super().write(descriptor, data)
            self._edit(self._number_of(descriptor), Write(offset, bytes(data[:written])))
            return written

    def truncate(self, descriptor: int, size: int) -> None:
        with self.noting():
            super().truncate(descriptor, size)
            self._edit(self._number_of(descriptor), Resize(size))

    def reserve(self, descriptor: int, offset: int, size: int) -> None:
        with self.noting():
            super().reserve(descriptor, offset, size)
            self._edit(self._number_of(descriptor), Reserve(offset + size))

    def force(self, descriptor: Any) -> None:
        with self.noting():
            self.note(Forced(self._number_of(descriptor)))

    def map_write(self, path: Path) -> mmap:
        with self.noting(), path.open("r+b") as file:
            mapping = Mapped(file.fileno(), 0)
            mapping.recorder, mapping.number, mapping.seen = self, self._number(path), mapping[:]
            self.mapped.append(mapping)
            return mapping

    def can_map_ahead(self, descriptor: int) -> bool:
        return True

    def map_part(self, descriptor: int, offset: int, size: int) -> mmap:
        window = RecordedWindow(descriptor, size, offset=offset)
        window.recorder, window.number, window.offset = self, self._number_of(descriptor), offset
        return window

    # Operations on names.

    def open_append(self, path: Path) -> int:
        with self.noting():
            self._appear(path)
            return super().open_append(path)

    def lock(self, path: Path) -> int:
        with self.noting():
            self._appear(path)
            return super().lock(path)

    def create(self, path: Path, data: bytes) -> None:
        with self.noting():
            if path.exists():
                self._edit(self._number(path), Resize(0))
            self._appear(path)
            super().create(path, data)

    def rename(self, old: Path, new: Path) -> None:
        with self.noting():
            self._rename((new, self._number(old)), (old, None))
            super().rename(old, new)

    def link(self, old: Path, new: Path) -> None:
        with self.noting():
            self._rename((new, self._number(old)))
            super().link(old, new)

    def remove(self, path: Path) -> None:
        with self.noting():
            if path.exists():
                self._rename((path, None))
            super().remove(path)

    def remove_directory(self, path: Path) -> None:
        with self.noting():
            self._rename((path, None))
            super().remove_directory(path)

    def make_directory(self, path: Path) -> None:
        with self.noting():
            if not path.exists():
                self._rename((path, DIRECTORY))
            super().make_directory(path)

    def force_directory(self, path: Path) -> None:
        with self.noting():
            self.note(ForcedDirectory(self._name(path)))

    # What the engine does beside the door.

    def copy_beside(self, source: Path, target: Path) -> None:
        """`shutil.copy2`: a new file that nobody forces."""
        with self.noting():
            self._appear(target)
            data = source.read_bytes()
            target.write_bytes(data)
            self._edit(self._number(target), Write(0, data))

    def move_beside(self, source: Path, target: Path) -> None:
        """`shutil.move` within a file system: a rename that nobody forces."""
        with self.noting():
            self._rename((target, self._number(source)), (source, None))
            os.rename(source, target)

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Note also what bypasses the door: directories made with `mkdir`, and the files that a repair sets aside."""
        with (
            patch.object(os, "mkdir", partial(self._make_beside, os.mkdir)),
            patch.object(repair, "Door", lambda: self),
            patch.object(shutil, "copy2", lambda source, target: self.copy_beside(source, target)),
            patch.object(shutil, "move", lambda source, target: self.move_beside(source, target)),
        ):
            yield

    def _make_beside(self, really_make: Any, path: Any, mode: int = 0o777) -> None:
        with self.noting():
            really_make(path, mode)
            if self.disk.number_of(self._name(path)) is None:
                self._rename((Path(path), DIRECTORY))


MADE_OF_OTHERS = {"cut", "force_file", "open_at", "overwrite", "remove_tree", "replace", "write_all"}
CHANGES_NOTHING = {
    *("boot_id", "close", "commits_before_windows", "damage", "disk_bytes", "disk_size", "filled", "forget"),
    *("identity", "inode", "is_sealing", "keys", "map_read", "names", "read", "sealing_bytes", "secret", "seek"),
    *("size", "slices", "unload", "unlock"),
}


def unknown_calls() -> set[str]:
    """The calls of the real door that this one knows nothing of: what they do would be missed."""
    public = {name for name in dir(Door) if not name.startswith("_")}
    return public - set(vars(RecordingDoor)) - MADE_OF_OTHERS - CHANGES_NOTHING
