"""Files that a server follows while it runs."""

from __future__ import annotations

from pathlib import Path

__all__ = ["Identity", "identity_of"]

Identity = tuple[int, ...]
"""Inode, size, and times of change: what changes when a file is replaced or written to."""


def identity_of(path: Path) -> Identity | None:
    """What tells whether a file is still the one that was read; None where there is none to be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
