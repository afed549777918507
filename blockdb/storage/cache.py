"""A cache with a limit in bytes, for what never changes: records by their key, chunks of packed chain files."""

from __future__ import annotations

from typing import Final

ENTRY_BYTES: Final = 150
"""About what an entry takes beside key and value: two objects' headers and a place in a dictionary."""

Key = bytes | tuple[int, int]


class Cache:
    """Keeps what was used last, about `limit_bytes` of it. Safe for threads; a lost count between them is harmless.

    Two generations stand for the order of use: what is found in the old one moves to the young one, and once the
    young one has half of the limit it becomes the old one, whose rest is forgotten. So a hit costs one or two
    dictionary lookups, and no list is kept. Nothing goes stale, since nothing that was stored changes.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.hits = 0
        self.misses = 0
        self._young: dict[Key, bytes] = {}
        self._old: dict[Key, bytes] = {}
        self._young_bytes = 0
        self._old_bytes = 0

    @property
    def size_bytes(self) -> int:
        """About what it takes of memory."""
        return self._young_bytes + self._old_bytes

    def get(self, key: Key) -> bytes | None:
        """What was put under `key`, unless it is forgotten. O(1)."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is None:
                self.misses += 1
                return None
            self.put(key, value)
        self.hits += 1
        return value

    def put(self, key: Key, value: bytes) -> None:
        """Keep `value`; where it alone would fill half of the cache, not even that. O(1) amortised."""
        size = len(key) + len(value) + ENTRY_BYTES
        half = self.limit_bytes >> 1
        if size > half:
            return
        if self._young_bytes + size > half:
            self._old, self._old_bytes = self._young, self._young_bytes
            self._young, self._young_bytes = {}, 0
        self._young[key] = value
        self._young_bytes += size
