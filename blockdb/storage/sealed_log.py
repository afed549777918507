"""A sealed file that grows: what it holds, opened into memory, and the sealing of what is appended."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from mmap import ACCESS_READ, mmap
from pathlib import Path
from threading import Lock
from typing import Final
from weakref import finalize

from blockdb.errors import Corruption, UnsupportedFormat
from blockdb.format.frame import BadFrame
from blockdb.format.keyring import DataKeys
from blockdb.format.sealed import NONCE_BYTES, Binding, Pieces, filled
from blockdb.storage.door import Door

_COUNTER_BYTES: Final = 8

Opening = Callable[[Path, Callable[[DataKeys], Pieces]], Pieces]
"""Calls with the data keys, anew where they have changed; raises Corruption, naming the path, where that is in vain."""


class Nonces:
    """Numbers that were never used: chance, other for each writer, and a counter."""

    def __init__(self) -> None:
        self._chance = os.urandom(NONCE_BYTES - _COUNTER_BYTES)
        self._counter = count()

    def next(self) -> bytes:
        """The next one."""
        return self._chance + next(self._counter).to_bytes(_COUNTER_BYTES, "little")


class SealedLog:
    """What a growing sealed file holds, in memory that has no name on any disk. Safe for threads.

    `map` gives it as `Door.map_read` gives a plain file. Where the file ends within a piece, a zero stands for what is
    there of it: too little to be a frame, as it is after a write that was cut short.
    """

    def __init__(self, inner: Door, path: Path, binding: Binding, opening: Opening) -> None:
        """Open all that is there now. Raises Corruption, OSError."""
        self._inner = inner
        self._path = path
        self._binding = binding
        self._opening = opening
        self._following = Lock()
        self._identity: object = None
        self._is_written_here = False
        self._torn = 0
        self.damage: dict[int, str] = {}
        """What is wrong, by where in what the file holds."""
        if not hasattr(os, "memfd_create"):
            raise UnsupportedFormat("Encrypted databases need memory files (memfd_create), which Linux has.")
        self._memory = os.memfd_create("blockdb")
        finalize(self, os.close, self._memory)
        self._pieces: Pieces
        self.follow()

    @property
    def size(self) -> int:
        """How many bytes it holds."""
        return self._pieces.offset + self._torn

    def map(self) -> mmap:
        """All that it holds, mapped. Raises ValueError where that is nothing."""
        size = self.size
        if not size:
            raise ValueError("it is empty")
        return mmap(self._memory, size, access=ACCESS_READ)

    def follow(self) -> None:
        """Open what was appended to the file, by another process, since the last time. Raises Corruption, OSError."""
        if self._is_written_here:
            return
        with self._following:
            identity, size = self._inner.identity(self._path), self._inner.size(self._path)
            if identity is None or identity[0] != self._identity or size < self._pieces.at:
                self._begin()
                self._identity = identity and identity[0]
            if size > self._pieces.at:
                self._open_more()

    def _begin(self) -> None:
        try:
            with self._inner.map_read(self._path) as buffer:
                self._pieces = self._opening(self._path, lambda keys: Pieces(buffer, self._binding, keys))
        except ValueError:
            raise Corruption(str(self._path), 0, "the sealed file is empty") from None
        self.damage, self._torn = {}, 0

    def _open_more(self) -> None:
        pieces = self._pieces
        with self._inner.map_read(self._path) as buffer:
            at = pieces.offset
            for found in pieces.open(buffer):
                if isinstance(found, int):
                    self.damage[at] = "what is sealed there was changed, or belongs elsewhere"
                self._keep(filled(found), at)
                at += len(found) if isinstance(found, bytes) else found
            self._torn = int(pieces.at < len(buffer))
            self._keep(bytes(self._torn), pieces.offset)

    def _keep(self, data: bytes, at: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._memory, view, at)
            view, at = view[written:], at + written

    # Writing: by one process, under its write lock.

    def begin_writing(self) -> None:
        """From now on nobody else appends to the file."""
        self.follow()
        self._is_written_here = True

    def end_writing(self) -> None:
        """Others may append again."""
        self._is_written_here = False

    def append(self, descriptor: int, data: bytes, nonce: bytes) -> int:
        """Seal and write, all of it. Raises OSError; what was written by then is for `truncate` to take back."""
        pieces = self._pieces
        piece = pieces.seal(data, nonce)
        written = self._inner.write(descriptor, piece)
        if written != len(piece):
            self._inner.write_all(descriptor, piece[written:])
        self._keep(data, pieces.offset)
        pieces.went_on(piece)
        return len(data)

    def truncate(self, descriptor: int, size: int, nonce: bytes) -> None:
        """Cut off all but the first `size` bytes of what it holds. Raises OSError.

        Where no piece ends there, the beginning of the one that is cut is appended anew.
        """
        pieces = self._pieces
        if size != pieces.offset:
            with self._inner.map_read(self._path) as buffer:
                self._begin()
                pieces = self._pieces
                pieces.skip(buffer, size)
        rest = os.pread(self._memory, size - pieces.offset, pieces.offset)
        self._inner.truncate(descriptor, pieces.at)
        self._torn = 0
        if rest:
            self.append(descriptor, rest, nonce)


def not_opened(path: Path, error: BadFrame) -> Corruption:
    """The error for a sealed file that is not what was sealed."""
    return Corruption(str(path), 0, str(error))
