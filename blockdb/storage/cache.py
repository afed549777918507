"""Caches with a limit in bytes, for what does not change: records by their key, chunks of packed chain files."""

from __future__ import annotations

from threading import Lock
from typing import Final
from weakref import WeakSet

ENTRY_BYTES: Final = 150
"""About what an entry takes beside key and value: two objects' headers and a place in a dictionary."""

Key = bytes | tuple[int, int]


class CacheRoom:
    """The memory that the caches of several collections share: one limit, and one change of generations for all."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.changing = Lock()
        """Held by whoever changes one of the caches."""
        self.young_bytes = 0
        """Of all caches; under `changing`."""
        self.used: WeakSet[Cache] = WeakSet()
        """The caches that have something in them."""

    def turn(self) -> None:
        """Begin a new generation: what was not used in the last one is forgotten. Under `changing`. O(caches)."""
        self.young_bytes = 0
        for cache in list(self.used):
            if not cache.turn():
                self.used.discard(cache)


class Cache:
    """Keeps what was used last of one collection. Safe for threads; a lost count between them is harmless.

    Two generations stand for the order of use: once the young one has half of the limit it becomes the old one, whose
    rest is forgotten; before, when half of its share is taken, what is found in the old one begins to move. So a hit
    costs one or two dictionary lookups, no list is kept, and nothing moves at all while what is read fits into the
    room. All caches in one room change generations together, so what nobody reads gives way to what is read, in
    whichever collection that is. Nothing goes stale, since nothing that was stored changes; but where a value is
    redacted, all is forgotten, and a new epoch begins, into which nothing comes that was read before.
    """

    def __init__(self, room: CacheRoom) -> None:
        self.room = room
        self.hits = 0
        self.misses = 0
        self.young: dict[Key, bytes] = {}
        """What was put here since the generation began. To be read alone: a hit is to be counted."""
        self._old: dict[Key, bytes] = {}
        self._young_bytes = 0
        self._old_bytes = 0
        self.epoch = 0
        """To be noted before something is read that is to be put here."""

    @property
    def limit_bytes(self) -> int:
        """What all caches in the room may take together."""
        return self.room.limit_bytes

    @property
    def size_bytes(self) -> int:
        """About what this one takes of memory."""
        return self._young_bytes + self._old_bytes

    def get(self, key: Key) -> bytes | None:
        """What was put under `key`, unless it is forgotten. O(1)."""
        value = self.young.get(key)
        if value is None:
            return self.get_old(key)
        self.hits += 1
        return value

    def get_old(self, key: Key) -> bytes | None:
        """The same for a key that is not among the young ones."""
        epoch = self.epoch
        value = self._old.get(key)
        if value is None:
            self.misses += 1
            return None
        self.hits += 1
        room = self.room
        if room.young_bytes << 2 > room.limit_bytes:
            self.put(key, value, epoch)
        return value

    def put(self, key: Key, value: bytes, epoch: int) -> None:
        """Keep `value`, if it was read in this epoch and would not fill half of the room alone. O(1) amortised."""
        size = len(key) + len(value) + ENTRY_BYTES
        room = self.room
        half = room.limit_bytes >> 1
        if size > half:
            return
        with room.changing:
            if epoch != self.epoch:
                return
            if room.young_bytes + size > half:
                room.turn()
            if not self.young:
                room.used.add(self)
            self.young[key] = value
            self._young_bytes += size
            room.young_bytes += size

    def turn(self) -> bool:
        """Make the young generation the old one, and say whether there is anything in it. Under the room's lock."""
        self._old, self._old_bytes = self.young, self._young_bytes
        self.young, self._young_bytes = {}, 0
        return bool(self._old)

    def clear(self) -> None:
        """Forget everything, and what is being read at this moment."""
        with self.room.changing:
            self.epoch += 1
            self.room.young_bytes -= self._young_bytes
            self.young, self._young_bytes = {}, 0
            self._old, self._old_bytes = {}, 0
            self.room.used.discard(self)
