"""What a collection holds in figures: known of it also while it is not open."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from blockdb.layout import CollectionFiles
from blockdb.storage.door import Door


class Figures(NamedTuple):
    """What the chain of a collection had at one moment."""

    records: int
    data_bytes: int
    """Keys and values of all records."""
    last_time_ms: int | None
    """When the newest record was written; None where there is none."""
    end: int
    """Where the chain ends."""


def index_bytes(door: Door, files: CollectionFiles) -> int:
    """What the files of indexes take on the disk."""
    size = 0
    if door.inode(files.indexes) is not None:
        for name in door.names(files.indexes):
            with suppress(FileNotFoundError):
                size += door.disk_size(files.indexes / name)
    return size
