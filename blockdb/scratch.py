"""Temporary directories that do not stay behind, whatever ends the process that works in them."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

__all__ = ["OWNER", "Scratch"]

OWNER: Final = ".owner"
"""The file in such a directory that its owner holds a kernel lock on. The number of the process in it is for people."""


class Scratch:
    """A temporary directory that is removed when it is closed, or with its process.

    What a process left that was killed, the next one removes that makes a directory with the same prefix: the lock on
    `OWNER` goes with its process, so a directory whose lock is free is nobody's. One without that file is not ours.
    """

    def __init__(self, prefix: str) -> None:
        """Makes one, below the directory that `TMPDIR` names. Raises OSError."""
        _sweep(Path(tempfile.gettempdir()), prefix)
        self.path: Final = Path(tempfile.mkdtemp(prefix=prefix))
        self._held: int | None = None
        with suppress(OSError):  # where there are no locks, it is as any temporary directory
            self._held = _own(self.path)
        self._is_closed = False
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove it, and all that is in it. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        atexit.unregister(self.close)
        shutil.rmtree(self.path, ignore_errors=True)
        if self._held is not None:
            os.close(self._held)


def _own(directory: Path) -> int:
    """Lock a directory's `OWNER`, which is there only once it is locked. Returns the descriptor. Raises OSError."""
    new = directory / f"{OWNER}.new"
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, b"%d\n" % os.getpid())
        new.rename(directory / OWNER)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(directory: Path, prefix: str) -> None:
    """Remove what killed processes of this user left behind."""
    for path in directory.glob(f"{prefix}*"):
        with suppress(OSError):
            if path.lstat().st_uid == os.getuid() and not path.is_symlink():
                _remove_unless_held(path)


def _remove_unless_held(path: Path) -> None:
    """Remove a directory whose owner is gone. Raises OSError where it is not, or there is no such file."""
    descriptor = os.open(path / OWNER, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)
