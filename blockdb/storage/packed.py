"""Packed chain files: made when a chain file is full, and read a chunk at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from os import getpid
from pathlib import Path
from typing import Final

from blockdb.errors import Corruption
from blockdb.format import packed, segment
from blockdb.format.buffer import Slices
from blockdb.format.frame import BadFrame, TornFrame
from blockdb.format.walk import DamagedChain, walk
from blockdb.layout import ZSTD, CollectionFiles
from blockdb.process import run_python, secret_of_helper
from blockdb.storage.cache import Cache
from blockdb.storage.door import Door, guarded
from blockdb.storage.helper_door import door_of

WORTHWHILE_BYTES: Final = 4 * 1024 * 1024
"""Starting a process takes as long as packing a chain file of about this size."""


_OPENINGS: Final = count()
"""Chunks are cached by the opening of their file: another file may stand in its place one day, with other bytes."""


class PackedFile:
    """The bytes of a chain file that was packed. Safe for threads. Methods raise Corruption."""

    def __init__(self, buffer: Slices, path: Path, collection: bytes, number: int, cache: Cache) -> None:
        self._buffer = buffer
        self._path = path
        self._opening = next(_OPENINGS)
        self._cache = cache
        try:
            self._index = packed.decode(buffer)
        except BadFrame as error:
            raise Corruption(str(path), 0, str(error)) from None
        if self._index.header[:2] != (collection, number):
            raise Corruption(str(path), 0, "the packed chain file belongs elsewhere")
        self.size = self._index.size
        """How many bytes the chain file has."""

    def at(self, offset: int) -> tuple[bytes, int]:
        """The chunk in which a frame begins, and where in it. O(log chunks), and unpacking unless it is cached.

        Raises TornFrame behind the end.
        """
        if offset >= self.size:
            raise TornFrame("the file ends before this place")
        number = self._index.chunk_of(offset)
        return self._chunk(number), offset - self._index.starts[number]

    def stretches(self, first: int, last: int) -> Iterator[tuple[int, bytes, int, int]]:
        """What chunks hold between two offsets: where the chunk begins in the chain file, its bytes, two offsets."""
        index = self._index
        for number in range(index.chunk_of(first), index.chunks):
            start, stop = index.starts[number], index.starts[number + 1]
            if start >= last:
                return
            yield start, self._chunk(number), max(first - start, 0), min(last, stop) - start

    def _chunk(self, number: int) -> bytes:
        name = self._opening, number
        epoch = self._cache.epoch
        data = self._cache.get(name)
        if data is None:
            try:
                data = packed.chunk(self._buffer, self._index, number)
            except BadFrame as error:
                raise Corruption(str(self._path), self._index.offsets[number], str(error)) from None
            self._cache.put(name, data, epoch)
        return data


class Packer:
    """Packs chain files that are full. A chain file goes once its packed form is on the disk."""

    def __init__(self, door: Door, files: CollectionFiles, collection: bytes, compressed: bool = True) -> None:
        """Without `compressed`, chunks hold the bytes as they are: what is encrypted is to be opened in small parts."""
        self._door = door
        self._files = files
        self._collection = collection
        self._compressed = compressed
        self.written_bytes = 0
        """How many bytes of packed files were written."""

    def remove_unused(self) -> None:
        """Remove what a writer left behind that was killed while it packed.

        Raises Corruption where a chain file and its packed form are not of the same size.
        """
        names = set(self._door.names(self._files.chain))
        for name in sorted(names):
            path = self._files.chain / name
            if name.removesuffix(ZSTD) in names - {name}:
                self._check_same(path.with_suffix(""), path)
                self._door.remove(path)
            elif name.endswith(".tmp"):
                self._door.remove(path)

    def _check_same(self, path: Path, packed_path: Path) -> None:
        try:
            size = packed.decode_header(self._door.read(packed_path)).size
        except BadFrame:
            return  # there is the chain file
        if self._door.size(path) != size:
            raise Corruption(str(path), None, f"it should have {size} bytes, as many as were packed from it")

    def pack(self, stop: int) -> Iterator[int]:
        """Pack the chain files below number `stop` that are not packed, and give the number of each that is now.

        O(bytes), in a process beside this one where that works. Raises Corruption where one of them is damaged,
        StorageError.
        """
        with guarded("packing the chain"):
            names = set(self._door.names(self._files.chain))
        for number in range(stop):
            path = self._files.segment(number)
            if path.name in names:
                with guarded("packing a chain file"):
                    self._pack(number)
                    yield number
                    self._door.remove(path)

    def _pack(self, number: int) -> None:
        target = self._files.packed(number)
        temporary = target.with_name(f"{target.name}.{getpid()}.tmp")
        is_large = self._door.size(self._files.segment(number)) >= WORTHWHILE_BYTES
        if not (is_large and self._pack_in_process(number, temporary)):
            write_packed(self._door, self._files, self._collection, number, temporary, self._compressed)
        self._door.rename(temporary, target)
        self.written_bytes += self._door.disk_size(target)

    def _pack_in_process(self, number: int, target: Path) -> bool:
        root, collection = str(self._files.root.absolute()), self._collection.hex()
        job = {"root": root, "collection": collection, "number": number, "target": str(target.absolute())}
        job["compressed"] = self._compressed
        return run_python("blockdb.storage.packed", json.dumps(job), self._door.secret)


def write_packed(
    door: Door, files: CollectionFiles, collection: bytes, number: int, target: Path, compressed: bool = True
) -> None:
    """Write the packed form of a chain file, every frame of which is checked on the way. Raises Corruption."""
    path = files.segment(number)
    with door.map_read(path) as buffer:
        cuts = [0]
        try:
            for _, end, _ in walk(buffer, segment.HEADER_BYTES, len(buffer)):
                if end - cuts[-1] >= packed.CHUNK_BYTES and end < len(buffer):
                    cuts.append(end)
        except DamagedChain as error:
            raise Corruption(str(path), error.offset, str(error)) from None
        door.create(target, packed.encode(collection, number, buffer, cuts, compressed=compressed))


def main(argument: str) -> None:
    """What the process does: `argument` is the job as JSON."""
    job = json.loads(argument)
    files, collection = CollectionFiles(Path(job["root"])), bytes.fromhex(job["collection"])
    door, target = door_of(secret_of_helper()), Path(job["target"])
    write_packed(door, files, collection, job["number"], target, job["compressed"])
