"""Writers that wait for the disk at the same time: one of them writes for all, and they share one force.

Who comes first leads; who comes while the leaders before are at work joins, and sleeps on the one lock of the group,
which each who gets it lets the next one have: only one at a time can run anyway. With many threads, putting them to
sleep and waking them is what a forced write costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from threading import Lock
from typing import Final

from blockdb.errors import BlockDBError, StorageError
from blockdb.storage.commit import Held, Unprepared

GROUP_BYTES: Final = 1024 * 1024
"""A group takes no further write beyond this: large values gain nothing, and all of them are in memory at once."""


class Write:
    """A record that wants to be stored, and what became of it."""

    __slots__ = ("error", "key", "sequence", "value")

    def __init__(self, key: bytes, value: bytes) -> None:
        self.key = key
        self.value = value
        self.sequence = -1
        self.error: BlockDBError | Held | Unprepared | None = None

    @property
    def size_bytes(self) -> int:
        """Key and value."""
        return len(self.key) + len(self.value)


class _Group:
    """Writes that are committed together, by whoever came first."""

    __slots__ = ("ending", "is_committed", "size_bytes", "writes")

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.size_bytes = 0
        self.is_committed = False
        self.ending = Lock()
        """Held until it was committed, or its leader broke down."""
        self.ending.acquire()

    def takes(self, write: Write) -> bool:
        """Whether there is room for one more, and time."""
        has_room = not self.writes or self.size_bytes + write.size_bytes <= GROUP_BYTES
        return has_room and self.ending.locked()


class WriteGroup:
    """Hands writes to `commit`, as many at a time as are waiting. Safe for threads."""

    def __init__(self, commit: Callable[[list[Write]], None]) -> None:
        """`commit` stores the records, forces them to disk, and notes in each write what became of it."""
        self._commit = commit
        self._joining = Lock()
        self._leading = Lock()
        self._gathering = _Group()

    def put(self, key: bytes, value: bytes) -> int:
        """Store a record and return its sequence number, once it is on the disk. Raises what became of it."""
        write = Write(key, value)
        with self._joining:
            if not self._gathering.takes(write):
                self._gathering = _Group()
            group = self._gathering
            group.writes.append(write)
            group.size_bytes += write.size_bytes
        if group.writes[0] is write:
            self._lead(group)
        else:
            with group.ending:
                pass
        if write.error is not None:
            raise write.error
        if not group.is_committed:  # an interrupt, say: it is the leader's, but the others must not believe in success
            raise StorageError(
                "the thread that wrote for this one was interrupted; look the key up before you try again."
            )
        return write.sequence

    def _lead(self, group: _Group) -> None:
        try:
            with self._leading:
                with self._joining:
                    if self._gathering is group:
                        self._gathering = _Group()
                self._commit(group.writes)
                group.is_committed = True
        finally:
            group.ending.release()


def count_of_group(waiting: Sequence[Write]) -> int:
    """How many of those that wait go together: one at least, and no more than the limit allows."""
    sizes = accumulate(write.size_bytes for write in waiting)
    return max(1, sum(size <= GROUP_BYTES for size in sizes))
