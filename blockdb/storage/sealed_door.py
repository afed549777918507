"""The door of an encrypted database: what goes through it is sealed on the disk, and nothing above it needs to know.

Which files are sealed, and what they are bound to, follows from their names (`format.sealed.binding_of`). Manifest,
metadata, registry, mark and public keys hold no data of users and stand there in plain.
"""

from __future__ import annotations

from collections.abc import Callable
from mmap import mmap
from os import urandom
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from blockdb.errors import Corruption
from blockdb.format import sealed
from blockdb.format.buffer import Buffer, Slices
from blockdb.format.frame import BadFrame
from blockdb.format.keyring import DataKeys
from blockdb.format.sealed import FILE_ID_BYTES, GROWING, PIECE_EXTRA_BYTES, Binding, Pages, Pieces
from blockdb.storage.door import Door
from blockdb.storage.sealed_log import Nonces, SealedLog, not_opened

T = TypeVar("T")
_UNCHANGED = (
    *("boot_id", "force", "force_directory", "force_file", "identity", "inode", "link", "lock", "make_directory"),
    *("map_write", "names", "overwrite", "unlock"),
)
"""What concerns no contents of sealed files, or their bytes on the disk."""


class SealedDoor(Door):
    """Seals what is written through another door, and opens what is read. Safe for threads.

    Sizes are those of what files hold; `disk_size` is what they take. What does not open raises Corruption.
    """

    keys: DataKeys

    def __init__(self, inner: Door, keys: DataKeys, renewed: Callable[[], DataKeys] | None = None) -> None:
        """`renewed` gives the data keys anew: a writer may have got another one since."""
        self._inner = inner
        self.keys = keys
        self._renewed = renewed
        self._logs: dict[Path, SealedLog] = {}
        self._written: dict[int, SealedLog] = {}
        self._finding = Lock()
        self._nonces = Nonces()
        self.secret = keys.encode()
        self.is_sealing = True
        for name in _UNCHANGED:
            setattr(self, name, getattr(inner, name))

    # Reading.

    def read(self, path: Path) -> bytes:
        """All that a file holds."""
        binding = _binding_of(path)
        if binding is None:
            return self._inner.read(path)
        data = self._inner.read(path)
        return self._opened(path, lambda keys: sealed.open_file(data, binding, keys))

    def can_map_ahead(self, descriptor: int) -> bool:
        """No: what is stored there would not be sealed."""
        return False

    def filled(self, path: Path) -> int:
        """How many bytes a file holds: none is reserved in one that is sealed."""
        return self.size(path)

    def size(self, path: Path) -> int:
        """How many bytes a file holds."""
        binding = _binding_of(path)
        if binding is None:
            return self._inner.size(path)
        return self._log(path, binding).size if binding.kind in GROWING else len(self.slices(path))

    def disk_size(self, path: Path) -> int:
        """How many bytes it takes on the disk."""
        return self._inner.disk_size(path)

    def disk_bytes(self, size: int) -> int:
        """How many bytes a file that is written once takes on the disk where it holds `size`."""
        return sealed.file_bytes(size)

    def map_read(self, path: Path) -> mmap:
        """What a file that is not empty holds, mapped; a table is opened as it is looked at."""
        binding = _binding_of(path)
        if binding is None:
            return self._inner.map_read(path)
        if binding.kind in GROWING:
            return self._log(path, binding).map()
        return _PagesInMemory(path, self._pages(path, binding))

    def unload(self, buffer: Buffer) -> None:
        """Nothing: what was opened is in memory alone, and no cache has it."""

    def slices(self, path: Path) -> Slices:
        """The same, by slices alone, none of which is kept."""
        binding = _binding_of(path)
        return self._inner.map_read(path) if binding is None else self._pages(path, binding)

    def damage(self, path: Path, offset: int) -> str | None:
        """What is wrong with the seal of what stands at `offset` of what a file holds; None where nothing is."""
        log = self._logs.get(path)
        return None if log is None else log.damage.get(offset)

    def _pages(self, path: Path, binding: Binding) -> Pages:
        buffer = self._inner.map_read(path)
        return self._opened(path, lambda keys: Pages(buffer, binding, keys))

    def _opened(self, path: Path, opening: Callable[[DataKeys], T]) -> T:
        """What `opening` makes of the data keys; once more where there are new ones. Raises Corruption."""
        try:
            return opening(self.keys)
        except BadFrame as error:
            keys = self._renewed() if self._renewed is not None else self.keys
            if keys.keys() == self.keys.keys():
                raise not_opened(path, error) from None
            self.keys = keys
        try:
            return opening(keys)
        except BadFrame as error:
            raise not_opened(path, error) from None

    def _log(self, path: Path, binding: Binding) -> SealedLog:
        with self._finding:
            log = self._logs.get(path)
            if log is None:
                log = self._logs[path] = SealedLog(self._inner, path, binding, self._opening)
        try:
            log.follow()
        except FileNotFoundError:  # it was packed meanwhile
            self.forget(path)
            raise
        return log

    def _opening(self, path: Path, opening: Callable[[DataKeys], Pieces]) -> Pieces:
        return self._opened(path, opening)

    # Writing.

    def create(self, path: Path, data: bytes) -> None:
        """Write a whole file, sealed, and force it to disk; its directory entry is not forced yet."""
        binding = _binding_of(path)
        if binding is None:
            self._inner.create(path, data)
        elif binding.kind in GROWING:
            head = sealed.new_header(binding, self.keys, 0, urandom(FILE_ID_BYTES))
            pieces = Pieces(head, binding, self.keys)
            self._inner.create(path, head + pieces.seal(bytes(data), self._nonces.next()))
        else:
            self._inner.create(path, sealed.seal(data, binding, self.keys, urandom(FILE_ID_BYTES)))

    def open_append(self, path: Path) -> int:
        """Open a file for appending. Returns the descriptor."""
        binding = _binding_of(path)
        descriptor = self._inner.open_append(path)
        if binding is not None and binding.kind in GROWING:
            if not self._inner.size(path):
                self._inner.write_all(descriptor, sealed.new_header(binding, self.keys, 0, urandom(FILE_ID_BYTES)))
            log = self._written[descriptor] = self._log(path, binding)
            log.begin_writing()
        return descriptor

    def open_at(self, path: Path, size: int) -> int:
        """Open a file that is written to where it ends. Returns the descriptor."""
        return self.open_append(path)

    def cut(self, descriptor: int, size: int) -> None:
        """Cut off all but the first `size` bytes of what a file holds."""
        self.truncate(descriptor, size)

    def write(self, descriptor: int, data: Any) -> int:
        """Append, sealed as one piece."""
        log = self._written.get(descriptor)
        if log is None:
            return self._inner.write(descriptor, data)
        self.sealing_bytes += PIECE_EXTRA_BYTES
        return log.append(descriptor, bytes(data), self._nonces.next())

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut off all but the first `size` bytes of what a file holds."""
        log = self._written.get(descriptor)
        if log is None:
            self._inner.truncate(descriptor, size)
        else:
            log.truncate(descriptor, size, self._nonces.next())

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        log = self._written.pop(descriptor, None)
        if log is not None:
            log.end_writing()
        self._inner.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file in its directory, and force the directory."""
        self._inner.rename(old, new)
        self.forget(old)
        self.forget(new)

    def remove(self, path: Path) -> None:
        """Remove a file; one that is not there is no error."""
        self._inner.remove(path)
        self.forget(path)

    def forget(self, path: Path) -> None:
        """Let go of what is kept of a file: nobody reads it any more."""
        with self._finding:
            self._logs.pop(path, None)


class _PagesInMemory(mmap):
    """What a sealed file holds, opened page by page into memory: slices open what they need, and it stays open.

    A view of the memory shows zeros where nobody has asked for a slice yet.
    """

    _path: Path
    _pages: Pages
    _is_open: bytearray

    def __new__(cls, path: Path, pages: Pages) -> _PagesInMemory:
        memory = super().__new__(cls, -1, max(len(pages), 1))
        memory._path, memory._pages = path, pages
        memory._is_open = bytearray(len(pages) // sealed.PAGE_BYTES + 1)
        return memory

    def __getitem__(self, part: Any) -> Any:
        if isinstance(part, slice):
            self._open(part)
        return super().__getitem__(part)

    def _open(self, part: slice) -> None:
        start, stop, _ = part.indices(len(self))
        for number in range(start // sealed.PAGE_BYTES, (max(stop, 1) - 1) // sealed.PAGE_BYTES + 1):
            if not self._is_open[number]:
                try:
                    data = self._pages.page(number)
                except BadFrame as error:
                    raise Corruption(str(self._path), number * sealed.PAGE_BYTES, str(error)) from None
                self[number * sealed.PAGE_BYTES : number * sealed.PAGE_BYTES + len(data)] = data
                self._is_open[number] = 1


def _binding_of(path: Path) -> Binding | None:
    return sealed.binding_of(*path.absolute().parts)
