"""A door in which one stands: counts the system calls of each kind, and lets some of them fail."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable
from mmap import mmap
from pathlib import Path
from threading import Lock

from blockdb.storage.door import Door

KINDS = (
    *("write", "force", "open", "read", "size", "list", "map", "create", "rename", "remove", "directory"),
    *("reserve", "window", "truncate"),
)


class FaultyDoor(Door):
    """Fails calls of one `kind`: the one with number `at` (from 0), and, if it is `lasting`, all that come after it."""

    commits_before_windows = 2

    def __init__(self, kind: str = "", at: int = 0, error: int = 0, *, lasting: bool = False) -> None:
        self.calls: Counter[str] = Counter()
        self.failed = 0
        self.has_windows = kind != "write"
        """Whether what is appended to logs is stored, which cannot fail, and not written."""
        self.kind = kind
        self.at = at
        self.error = error
        self.lasting = lasting
        self._counting = Lock()

    def fail_from_now(self, kind: str, error: int, *, lasting: bool = True) -> None:
        """Fail the next call of this kind, and all that follow."""
        self.kind, self.at, self.error, self.lasting = kind, self.calls[kind], error, lasting

    def heal(self) -> None:
        """Fail nothing any more."""
        self.kind = ""

    def _enter(self, kind: str) -> None:
        with self._counting:
            number = self.calls[kind]
            self.calls[kind] += 1
            if kind != self.kind or number < self.at or (number > self.at and not self.lasting):
                return
            self.failed += 1
        raise OSError(self.error, os.strerror(self.error))

    def write(self, descriptor: int, data: object) -> int:  # type: ignore[override]
        self._enter("write")
        return os.write(descriptor, data)  # type: ignore[arg-type]

    def force(self, descriptor: int) -> None:  # type: ignore[override]
        self._enter("force")
        os.fdatasync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:  # type: ignore[override]
        self._enter("truncate")
        os.ftruncate(descriptor, size)

    def reserve(self, descriptor: int, offset: int, size: int) -> None:
        self._enter("reserve")
        super().reserve(descriptor, offset, size)

    def can_map_ahead(self, descriptor: int) -> bool:
        return self.has_windows

    def map_part(self, descriptor: int, offset: int, size: int) -> mmap:
        self._enter("window")
        return super().map_part(descriptor, offset, size)

    def open_append(self, path: Path) -> int:
        self._enter("open")
        return super().open_append(path)

    def read(self, path: Path) -> bytes:
        self._enter("read")
        return super().read(path)

    def size(self, path: Path) -> int:
        self._enter("size")
        return super().size(path)

    def names(self, directory: Path) -> list[str]:
        self._enter("list")
        return super().names(directory)

    def map_read(self, path: Path) -> mmap:
        self._enter("map")
        return super().map_read(path)

    def map_write(self, path: Path) -> mmap:
        self._enter("map")
        return super().map_write(path)

    def create(self, path: Path, data: bytes) -> None:
        self._enter("create")
        super().create(path, data)

    def rename(self, old: Path, new: Path) -> None:
        self._enter("rename")
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self._enter("remove")
        super().remove(path)

    def force_directory(self, path: Path) -> None:
        self._enter("directory")
        super().force_directory(path)


class ShortDoor(FaultyDoor):
    """Writes only a part of what it is given, as `shorten` says; and perhaps the disk is full after so many bytes."""

    def __init__(self, shorten: Callable[[int], int]) -> None:
        super().__init__()
        self.has_windows = False
        self._shorten = shorten
        self.room: int | None = None
        """Bytes until the disk is full."""

    def write(self, descriptor: int, data: object) -> int:  # type: ignore[override]
        view = memoryview(data)  # type: ignore[arg-type]
        size = max(min(self._shorten(len(view)), len(view)), 1)
        if self.room is not None:
            if not self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            size = min(size, self.room)
            self.room -= size
        return os.write(descriptor, view[:size])
