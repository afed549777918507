"""A cache with a limit in bytes, for what does not change: records by their key, chunks of packed chain files."""

from __future__ import annotations

from threading import Lock
from typing import Final

ENTRY_BYTES: Final = 150
"""About what an entry takes beside key and value: two objects' headers and a place in a dictionary."""

Key = bytes | tuple[int, int]


class Cache:
    """Keeps what was used last, about `limit_bytes` of it. Safe for threads; a lost count between them is harmless.

    Two generations stand for the order of use: what is found in the old one moves to the young one, and once the
    young one has half of the limit it becomes the old one, whose rest is forgotten. So a hit costs one or two
    dictionary lookups, and no list is kept. Nothing goes stale, since nothing that was stored changes; but where a
    value is redacted, all is forgotten, and a new epoch begins, into which nothing comes that was read before.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.hits = 0
        self.misses = 0
        self._young: dict[Key, bytes] = {}
        self._old: dict[Key, bytes] = {}
        self._young_bytes = 0
        self._old_bytes = 0
        self.epoch = 0
        """To be noted before something is read that is to be put here."""
        self._changing = Lock()

    @property
    def size_bytes(self) -> int:
        """About what it takes of memory."""
        return self._young_bytes + self._old_bytes

    def get(self, key: Key) -> bytes | None:
        """What was put under `key`, unless it is forgotten. O(1)."""
        value = self._young.get(key)
        if value is None:
            epoch = self.epoch
            value = self._old.get(key)
            if value is None:
                self.misses += 1
                return None
            self.put(key, value, epoch)
        self.hits += 1
        return value

    def put(self, key: Key, value: bytes, epoch: int) -> None:
        """Keep `value`, if it was read in this epoch and would not fill half of the cache alone. O(1) amortised."""
        size = len(key) + len(value) + ENTRY_BYTES
        half = self.limit_bytes >> 1
        if size > half:
            return
        with self._changing:
            if epoch != self.epoch:
                return
            if self._young_bytes + size > half:
                self._old, self._old_bytes = self._young, self._young_bytes
                self._young, self._young_bytes = {}, 0
            self._young[key] = value
            self._young_bytes += size

    def clear(self) -> None:
        """Forget everything, and what is being read at this moment."""
        with self._changing:
            self.epoch += 1
            self._young, self._young_bytes = {}, 0
            self._old, self._old_bytes = {}, 0
