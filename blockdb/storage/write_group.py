"""Writers that wait for the disk at the same time: one of them writes for all, and they share one force.

The queue of LevelDB's `DBImpl::Write`: who comes first leads; who comes while the leader is at work waits in line, and
the first of those leads next. A writer sleeps once and is woken once, whatever the others do: with many threads, waking
is what a forced write costs.
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

    __slots__ = ("error", "following", "is_done", "key", "sequence", "turn", "value")

    def __init__(self, key: bytes, value: bytes) -> None:
        self.key = key
        self.value = value
        self.sequence = -1
        self.error: BlockDBError | Held | Unprepared | None = None
        self.is_done = False
        self.following: Write | None = None
        """Who is to be woken next: one after the other, since only one at a time can run."""
        self.turn = Lock()
        """Held until it is this writer's turn to return, or to lead."""


class WriteGroup:
    """Hands writes to `commit`, as many at a time as are waiting. Safe for threads."""

    def __init__(self, commit: Callable[[list[Write]], None]) -> None:
        """`commit` stores the records, forces them to disk, and notes in each write what became of it."""
        self._commit = commit
        self._queueing = Lock()
        self._waiting: list[Write] = []
        self._is_led = False

    def put(self, key: bytes, value: bytes) -> int:
        """Store a record and return its sequence number, once it is on the disk. Raises what became of it."""
        write = Write(key, value)
        write.turn.acquire()
        with self._queueing:
            self._waiting.append(write)
            leads, self._is_led = not self._is_led, True
        if not leads:
            write.turn.acquire()
        try:
            if not write.is_done:
                self._lead()
        finally:
            if write.following is not None:
                write.following.turn.release()
        if write.error is not None:
            raise write.error
        return write.sequence

    def _lead(self) -> None:
        with self._queueing:
            count = count_of_group(self._waiting)
            group, self._waiting = self._waiting[:count], self._waiting[count:]
        try:
            self._commit(group)
        except BaseException:  # an interrupt, say: it is the leader's, but the others must not believe in success
            for write in group:
                write.error = write.error or StorageError(
                    "the thread that wrote for this one was interrupted; look the key up before you try again."
                )
            raise
        finally:
            with self._queueing:
                successor = self._waiting[0] if self._waiting else None
                self._is_led = successor is not None
            if successor is not None:
                successor.turn.release()
            for write, write.following in zip(group, [*group[1:], None], strict=True):
                write.is_done = True


def count_of_group(waiting: Sequence[Write]) -> int:
    """How many of those that wait go together: one at least, and no more than the limit allows."""
    sizes = accumulate(len(write.key) + len(write.value) for write in waiting)
    return max(1, sum(size <= GROUP_BYTES for size in sizes))
