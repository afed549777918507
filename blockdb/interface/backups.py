"""What a backup says of itself, read from it or from a file that has no more than that."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from zstandard import ZstdDecompressor, ZstdError

from blockdb.errors import InvalidData, StorageError
from blockdb.format import archive, backup_header
from blockdb.format.archive import BLOCK_BYTES
from blockdb.format.backup_header import Header
from blockdb.format.frame import BadFrame

__all__ = ["Older", "read_header", "read_older"]

Older = str | Path | bytes
"""An older backup: its file, a file that has its `backup.json`, or the bytes of that."""


def read_older(older: Older | None) -> Header | None:
    """The header of an older backup; None where there is none. O(header). Raises InvalidData, StorageError."""
    if isinstance(older, bytes):
        return _header(BytesIO(older), "What was given as the older backup")
    return None if older is None else read_header(Path(older))


def read_header(path: Path) -> Header:
    """What the backup in a file says of itself. O(header). Raises InvalidData, StorageError."""
    path = path.expanduser()
    try:
        with path.open("rb") as file:
            return _header(file, str(path))
    except OSError as error:
        raise StorageError(f"reading {path} failed: {error.strerror or error}; name the file of a backup.") from error


def _header(stream: BinaryIO, name: str) -> Header:
    try:
        return backup_header.decode_header(_contents(stream))
    except (BadFrame, ZstdError) as error:
        raise InvalidData(f"{name} is no backup: {error}.") from None


def _contents(stream: BinaryIO) -> bytes:
    """The bytes of `backup.json`. Raises BadFrame, ZstdError."""
    first = stream.read(1)
    stream.seek(0)
    if first == b"{":
        return stream.read(archive.MAX_LIST_BYTES)
    with ZstdDecompressor(max_window_size=archive.MAX_WINDOW_BYTES).stream_reader(stream, closefd=False) as reader:
        entry = archive.decode_entry(reader.read(BLOCK_BYTES).ljust(BLOCK_BYTES, b"\0"))
        if entry is None or entry.path != archive.HEADER_PATH or entry.size > archive.MAX_LIST_BYTES:
            raise BadFrame("its header is missing")
        return reader.read(entry.size)
