"""Reading the streams of backups, file by file: what is in them gets nowhere but into one directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, NoReturn

from zstandard import ZstdDecompressionReader, ZstdDecompressor, ZstdError

from blockdb.errors import InvalidData, StorageError
from blockdb.format import archive, backup_header
from blockdb.format.archive import BLOCK_BYTES, Entry
from blockdb.format.backup_header import INCREMENT, Header
from blockdb.format.frame import BadFrame
from blockdb.storage.door import Door

CHUNK_BYTES: Final = 256 * 1024


class Unpacked(NamedTuple):
    """What became of one stream."""

    header: Header
    new: frozenset[str]
    """The paths of the files that it brought, or brought a part of,"""
    left: frozenset[str]
    """and of those that were there before and are none of its."""
    size_bytes: int


class Unpacking:
    """Reads one stream, once, file by file. `name` is what it is called where something is wrong with it."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        """Read its header. Raises InvalidData."""
        self.name = name
        self._source = stream
        self._digests: dict[str, bytes] = {}
        self._left = 0
        """How many more bytes the header allows."""
        self._at = ""
        """The file that is read."""
        self._start = stream.tell() if _is_seekable(stream) else None
        self._stream = self._opened()
        with self._told():
            self.header = self._header()
        if self._start is not None:  # until its turn comes it takes no memory
            self._stream.close()  # type: ignore[no-untyped-call]

    def run(self, root: Path) -> Unpacked:
        """Write all files to a directory, onto those that the backup has which this one goes on from.

        Raises InvalidData, StorageError.
        """
        free = shutil.disk_usage(root).free
        if self.header.most_bytes > free:
            raise StorageError(f"The files take {self.header.most_bytes:,} bytes, and {root.parent} has {free:,} free.")
        return self._read(_files_in(root), partial(self._keep, root))

    def look(self, sizes: dict[str, int]) -> Unpacked:
        """Read all of it, and write nothing. `sizes` of the files by their paths are those of the backup that this one
        goes on from, and then those of this one. Raises InvalidData.
        """

        def passing(entry: Entry) -> None:
            self._digests[entry.path] = _digest_of(self._contents(entry))
            sizes[entry.path] = entry.size + (sizes[entry.path] if entry.path in self.header.parts else 0)

        found = self._read(dict(sizes), passing)
        for path in found.left:
            del sizes[path]
        return found

    def _read(self, before: Mapping[str, int], keep: Callable[[Entry], None]) -> Unpacked:
        if self._start is not None:
            self._source.seek(self._start)
            self._stream = self._opened()
        with self._told():
            if self._start is not None and self._header() != self.header:
                self._refuse("it was changed while it was read")
            return self._files(before, keep)

    def _opened(self) -> ZstdDecompressionReader:
        unpacking = ZstdDecompressor(max_window_size=archive.MAX_WINDOW_BYTES)
        return unpacking.stream_reader(self._source, read_size=CHUNK_BYTES, closefd=False)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except ZstdError as error:
            self._refuse(f"it cannot be unpacked{self._where} ({error})")
        except BadFrame as error:
            self._refuse(str(error))

    def _header(self) -> Header:
        return backup_header.decode_header(self._list(archive.HEADER_PATH, self._entry()))

    @property
    def _where(self) -> str:
        return f" in {self._at}" if self._at else ""

    def _files(self, before: Mapping[str, int], keep: Callable[[Entry], None]) -> Unpacked:
        """Read what comes after the header; `keep` takes what is in a file."""
        header = self.header
        self._left = header.most_bytes
        self._check_base(header, before)
        while (entry := self._entry()) is not None and entry.path != archive.SUMS_PATH:
            if entry.path in self._digests:
                self._refuse(f"{entry.path} is in it twice")
            if entry.size > self._left:
                self._refuse("it has more bytes than it announces")
            self._left -= entry.size
            keep(entry)
        digests = archive.encode_sums(self._digests)
        if (sums := self._list(archive.SUMS_PATH, entry)) != digests:
            self._refuse(f"its files are not those of which it has the digests{_first_other(digests, sums)}")
        if self._exactly(BLOCK_BYTES) != bytes(BLOCK_BYTES) or self._entry() is not None or self._stream.read(1):
            self._refuse("there is something after its end")
        new = frozenset(self._digests) - {archive.HEADER_PATH, archive.SUMS_PATH}
        if not header.parts.keys() <= new:
            self._refuse("a part of a file is missing that it announces")
        return Unpacked(header, new, frozenset(before) - new - set(header.kept), header.most_bytes - self._left)

    def _check_base(self, header: Header, before: Mapping[str, int]) -> None:
        """See that all is there that the backup goes on from."""
        missing = [path for path in (*header.kept, *header.parts) if path not in before]
        missing += [path for path, size in header.parts.items() if before.get(path, size) != size]
        if missing:
            self._refuse(f"what it goes on from does not have {missing[0]} as it should be")

    def _entry(self) -> Entry | None:
        return archive.decode_entry(self._exactly(BLOCK_BYTES))

    def _list(self, path: str, entry: Entry | None) -> bytes:
        """The first or the last file, which is kept in memory alone."""
        if entry is None or entry.path != path or entry.size > archive.MAX_LIST_BYTES:
            self._refuse(f"{path} should stand there")
        data = b"".join(self._contents(entry))
        self._digests[path] = sha256(data).digest()
        return data

    def _keep(self, root: Path, entry: Entry) -> None:
        path = root / entry.path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest, is_part = sha256(), entry.path in self.header.parts
        if not is_part and self.header.kind == INCREMENT:
            path.unlink(missing_ok=True)
        with open(path, "ab" if is_part else "xb", opener=_private) as file:
            for chunk in self._contents(entry):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            Door.force(file.fileno())
        self._digests[entry.path] = digest.digest()

    def _contents(self, entry: Entry) -> Iterator[bytes]:
        left, self._at = entry.size, entry.path
        while left:
            chunk = self._exactly(min(left, CHUNK_BYTES))
            left -= len(chunk)
            yield chunk
        pad = archive.padding(entry.size)
        if self._exactly(len(pad)) != pad:
            self._refuse("something stands between its files")

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._stream.read(size - len(data))
            if not more:
                self._refuse(f"it was cut{self._where}: the rest of it is missing")
            data += more
        return data

    def _refuse(self, what: str) -> NoReturn:
        raise InvalidData(f"{self.name} is no whole backup: {what}. Nothing was restored; take another copy of it.")


def _digest_of(chunks: Iterable[bytes]) -> bytes:
    digest = sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()


def _first_other(digests: bytes, sums: bytes) -> str:
    """Which file it is first of which a digest is another one than it should be; where that is known."""
    for mine, given in zip(digests.splitlines(), sums.splitlines(), strict=False):
        if mine != given:
            return f": {mine.partition(b'  ')[2].decode()} is another one"
    return ""


def _is_seekable(stream: BinaryIO) -> bool:
    return hasattr(stream, "seekable") and stream.seekable()


def _files_in(root: Path) -> dict[str, int]:
    """The sizes of all files below a directory, by their paths."""
    return {path.relative_to(root).as_posix(): path.lstat().st_size for path in root.rglob("*") if path.is_file()}


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def reading(chunks: BinaryIO | Iterable[bytes]) -> BinaryIO:
    """Chunks, as a file that can be read; a file as it is."""
    return chunks if hasattr(chunks, "read") else _Chunks(iter(chunks))  # type: ignore[return-value]


class _Chunks:
    """No more of a file than unpacking asks for."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        """The next bytes, `size` at most; none at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = chunk
        data, self._rest = self._rest[:size], self._rest[size:]
        return data
