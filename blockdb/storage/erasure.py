"""Erasing values from a chain file that takes no more commits: it is written anew, and the old one overwritten.

The new file has the same bytes at the same places, but zeros for each salt and value that is erased, and so another
check before those records. It takes the place of the old one at once. Who has the old one mapped meets the same
zeros there a moment later.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from blockdb.errors import Corruption
from blockdb.format import packed, record
from blockdb.format.buffer import Buffer
from blockdb.format.frame import CHECK_BYTES, BadFrame, with_check
from blockdb.layout import OLD_SUFFIX, ZSTD, CollectionFiles
from blockdb.storage.door import Door, guarded

PIECE_BYTES: Final = 8 * 1024 * 1024
"""How much is copied at a time, so that no large chain file is in memory as a whole."""

_NO_LINKS: Final = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK))
"""What a system answers whose files have one name alone."""

Piece = tuple[int, bytes]
"""An offset in a file, and the bytes to be there."""


def erase(
    door: Door, files: CollectionFiles, number: int, offsets: Sequence[int], replaced: Callable[[int], object]
) -> None:
    """Erase the values of the redactable records at these offsets of a closed chain file, packed or not. O(bytes).

    `replaced` hears its number when the new file has its place, before the old one is overwritten. Doing it again, also
    after it was cut short anywhere, does what is left to do. Raises Corruption, StorageError.
    """
    with guarded("erasing values from a chain file"):
        path, packed_path = files.segment(number), files.packed(number)
        if door.inode(path) is None:
            path = packed_path
        elif door.inode(packed_path) is not None:  # a writer was killed between packing and removing what it packed
            destroy(door, packed_path, [(0, bytes(door.disk_size(packed_path)))])
        if rewrite(door, path, path.with_name(path.name + ".tmp"), offsets):
            keep_as(door, path, old_name(path))
            door.rename(path.with_name(path.name + ".tmp"), path)
        replaced(number)
        for form in (files.segment(number), packed_path):  # it may have been packed since a process was killed here
            if door.inode(old_name(form)) is not None:
                destroy(door, old_name(form), _pieces(door, form, offsets))
        door.force_directory(files.chain)


def old_name(path: Path) -> Path:
    """Under which name the old file stands until it is overwritten."""
    return path.with_name(path.name + OLD_SUFFIX)


def keep_as(door: Door, path: Path, old: Path) -> None:
    """Give the old file a name of its own, under which it is overwritten also by whoever comes after a crash."""
    door.remove(old)
    try:
        door.link(path, old)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise


def destroy(door: Door, path: Path, pieces: Sequence[Piece]) -> None:
    """Overwrite parts of a file, and remove it. Raises OSError."""
    door.overwrite(path, pieces)
    door.remove(path)


def rewrite(door: Door, source: Path, target: Path, offsets: Sequence[int]) -> bool:
    """Write `target`: the chain file `source` without the values at these offsets. Says no where there are none.

    Raises Corruption where one of the records is not intact.
    """
    with door.map_read(source) as buffer:
        if source.suffix == ZSTD:
            return _rewrite_packed(door, buffer, source, target, offsets)
        patches = [(offset, _erased(buffer, offset, source)) for offset in sorted(offsets)]
        if all(buffer[offset : offset + len(frame)] == frame for offset, frame in patches):
            return False
        door.remove(target)
        descriptor = door.open_append(target)
        try:
            for piece in _patched(buffer, patches):
                door.write_all(descriptor, piece)
            door.force(descriptor)
        finally:
            door.close(descriptor)
    return True


def _rewrite_packed(door: Door, buffer: Buffer, source: Path, target: Path, offsets: Sequence[int]) -> bool:
    try:
        index, data = packed.decode(buffer), packed.unpack(buffer)
    except BadFrame as error:
        raise Corruption(str(source), None, str(error)) from None
    patches = [(offset, _erased(data, offset, source)) for offset in sorted(offsets)]
    patched = b"".join(_patched(data, patches))
    if patched == data:
        return False
    collection, number, *_ = index.header
    door.create(target, packed.encode(collection, number, patched, index.starts[:-1]))
    return True


def _patched(data: Buffer, patches: Sequence[Piece]) -> Iterator[bytes]:
    """The data in pieces, with each patch in its place."""
    at = 0
    for offset, patch in [*patches, (len(data), b"")]:
        for start in range(at, offset, PIECE_BYTES):
            yield data[start : min(start + PIECE_BYTES, offset)]
        yield patch
        at = offset + len(patch)


def _erased(data: Buffer, offset: int, path: Path) -> bytes:
    """The frame of an intact redactable record, without its value."""
    try:
        frame = record.decode(data, offset)
        if frame.kind != record.REDACTABLE:
            raise BadFrame("the record is not redactable")
    except BadFrame as error:
        raise Corruption(str(path), None if path.suffix == ZSTD else offset, str(error)) from None
    return with_check(record.redacted(frame.body))


def _pieces(door: Door, path: Path, offsets: Sequence[int]) -> list[Piece]:
    """What to overwrite in an old chain file; all of an encrypted one, which shows no records where they are."""
    if door.is_sealing:
        return [(0, bytes(door.disk_size(old_name(path))))]
    with door.map_read(old_name(path)) as buffer:
        return _pieces_of(buffer, path, offsets)


def _pieces_of(old: Buffer, path: Path, offsets: Sequence[int]) -> list[Piece]:
    """What to overwrite in an old chain file; of a packed one, whole chunks. It may have been begun already."""
    if path.suffix != ZSTD:
        bodies = ((offset, old[offset + CHECK_BYTES : record.end_of(old, offset)]) for offset in offsets)
        return [(offset, with_check(record.redacted(body))) for offset, body in bodies]
    index = packed.decode(old)
    chunks = sorted(set(map(index.chunk_of, offsets)))
    return [(index.offsets[number], bytes(index.offsets[number + 1] - index.offsets[number])) for number in chunks]
