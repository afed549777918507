"""What a copy of a database consists of: files, or parts of them, that are read when their turn comes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blockdb.errors import StorageError

CHUNK_BYTES: Final = 256 * 1024


@dataclass
class Piece:
    """A file of the copy: the first `size` bytes (None: all) of one of `paths`, which stand for the same."""

    paths: tuple[Path, ...]
    size: int | None = None
    data: bytes | None = None
    """What it holds, if that is known."""
    held: int | None = None
    """The descriptor of a file that may be taken away."""
    grows: bool = False
    """Whether it is the newest file of a log."""
    start: int = 0
    """Of an increment: so many bytes are left out, because they are in the backup that it goes on from."""

    def hold(self, held: ExitStack) -> Piece:
        """Open it now. Raises FileNotFoundError."""
        self.held = os.open(self.paths[0], os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        held.callback(os.close, self.held)
        return self

    def read(self) -> tuple[Path, int, Iterator[bytes]]:
        """Which file it is, how many bytes there are of it, and these, in chunks; all is read before the next begins.

        Raises StorageError where it is gone.
        """
        if self.data is not None:
            return self.paths[0], len(self.data), iter((self.data,))
        path, descriptor = self._opened()
        size = os.fstat(descriptor).st_size if self.size is None else self.size
        return path, size - self.start, self._chunks(descriptor, size)

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
            at = self.start
            while at < size:
                data = os.pread(descriptor, min(CHUNK_BYTES, size - at), at)
                if not data:
                    raise StorageError(f"{self.paths[0]} has {at} bytes, and should have {size}. Run `blockdb audit`.")
                at += len(data)
                yield data
        finally:
            if self.held is None:
                os.close(descriptor)
