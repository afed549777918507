"""The log of intents on the disk: what was about to be stored when the process ended. It is never more than a hint."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Final

from blockdb.errors import StorageError
from blockdb.format import intent as intents
from blockdb.format.frame import BadFrame
from blockdb.format.intent import CHANCE_BYTES, Digests, Intent

__all__ = ["FILE", "IntentLog"]

FILE: Final = "idempotency.log"
OLD_SUFFIX: Final = ".old"
MAX_BYTES: Final = 8 * 1024 * 1024
"""Then another file is begun, and the one before the last is forgotten: some 80,000 intents stay in each."""


class IntentLog:
    """Two files, of which the newer one grows. Safe for threads.

    What is written survives a killed process, not a power cut. Damage takes away what stands behind it, no more.
    """

    def __init__(self, directory: Path, secret: bytes = b"", max_bytes: int = MAX_BYTES) -> None:
        """`secret` is what the digests are keyed with besides chance. Raises StorageError."""
        self._path = directory / FILE
        self._old = self._path.with_name(FILE + OLD_SUFFIX)
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._descriptor: int | None = None
        chance, self._found, self._size = _read(self._path)
        old_chance, old, _ = _read(self._old)
        if chance is None or old_chance == chance:
            self._found = old + self._found
        self._chance = chance or old_chance or os.urandom(CHANCE_BYTES)
        self.digests = Digests(sha256(self._chance + secret).digest())

    def take_earlier(self) -> list[Intent]:
        """What earlier processes have written, oldest first, as far as it can be read; once."""
        found, self._found = self._found, []
        return found

    def append(self, *given: Intent) -> None:
        """Write intents, with one write. Raises StorageError, and nothing of theirs should be stored then."""
        data = b"".join(map(intents.encode, given))
        with self._lock:
            try:
                descriptor = self._opened(len(data))
                written = os.write(descriptor, data)
                if written != len(data):
                    os.ftruncate(descriptor, self._size)
                    raise OSError("the write was cut short")
                self._size += written
            except OSError as error:
                raise StorageError(
                    f"{self._path} cannot be written ({error.strerror or error}), so nothing was stored. Free some "
                    "space, or leave the Idempotency-Key out."
                ) from error

    def _opened(self, more_bytes: int) -> int:
        """The file that takes so many more bytes: what an earlier process left torn in it is cut off."""
        if self._size + more_bytes > self._max_bytes:
            self._close()
            os.replace(self._path, self._old)
            self._size = 0
        if self._descriptor is None:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self._path, flags, 0o600)
            os.ftruncate(self._descriptor, self._size)
            if not self._size:
                self._size = os.write(self._descriptor, intents.encode_header(self._chance))
        return self._descriptor

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._lock:
            self._close()


def _read(path: Path) -> tuple[bytes | None, list[Intent], int]:
    """The chance of a file, its intents, and how many of its bytes are good; nothing where that is none."""
    try:
        data = path.read_bytes()
        chance, found, size = intents.decode_header(data), [], intents.HEADER_BYTES
        for each, size in intents.walk(data):  # noqa: B007 - the last one counts
            found.append(each)
    except (OSError, BadFrame):
        return None, [], 0
    return chance, found, size
