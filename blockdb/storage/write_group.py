"""Writers that wait for the disk at the same time: one of them writes for all, and they share one force.

Who comes first leads; who comes while the leaders before are at work joins, and sleeps. Where there are many threads,
putting them to sleep and waking them is most of what a forced write costs. Python's locks are released with the
interpreter's lock held, so that who wakes finds that taken and sleeps once more; a `Latch` wakes a group without it.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from itertools import accumulate
from threading import Lock
from typing import Final, TypeAlias

from blockdb.errors import BlockDBError, StorageError
from blockdb.storage.commit import Held, Unprepared

GROUP_BYTES: Final = 1024 * 1024
"""A group takes no further write beyond this: large values gain nothing, and all of them are in memory at once."""

Item: TypeAlias = tuple[bytes, bytes]
Outcome: TypeAlias = int | BlockDBError | Held | Unprepared
"""What became of a record: its sequence number, or why it was not stored."""


class Latch:
    """Threads wait until it is opened, and from then on nobody does: a semaphore of the system's with room for all.

    One call wakes them, and the interpreter's lock is free meanwhile. A forked child that has it open does no harm, as
    it would where the end of a pipe was waited for.
    """

    __slots__ = ("_close", "_descriptor")

    _COUNT_BYTES: Final = 8
    _ROOM_FOR_ALL: Final = (1 << 62).to_bytes(_COUNT_BYTES, sys.byteorder)

    def __init__(self) -> None:
        """Raises OSError where the system has none, or none left."""
        self._close = os.close  # the interpreter may have taken `os` apart when the last latch goes
        self._descriptor = -1
        if not hasattr(os, "eventfd"):
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        self._descriptor = os.eventfd(0, os.EFD_SEMAPHORE | os.EFD_CLOEXEC)

    def wait(self) -> None:
        """Sleep until it is open."""
        os.read(self._descriptor, self._COUNT_BYTES)  # `os.eventfd_read` would fail where a signal comes

    def open(self) -> None:
        """Let all go on, and those who are still to come."""
        os.write(self._descriptor, self._ROOM_FOR_ALL)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            self._close(self._descriptor)


class _Group:
    """Records that are committed together, by whoever came first."""

    __slots__ = ("_latch", "_size_bytes", "items", "outcomes")

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.outcomes: Sequence[Outcome] = ()
        """What became of each; nothing where the leader broke down."""
        self._size_bytes = 0
        self._latch: Latch | None = None

    def takes(self, size_bytes: int) -> bool:
        """Whether there is room for a record of this size, and a latch to wait on where it is not the first."""
        self._size_bytes += size_bytes
        if not self.items:
            return True
        if self._size_bytes > GROUP_BYTES:
            return False
        if self._latch is None:
            try:
                self._latch = Latch()
            except OSError:  # each leads a group of its own then
                return False
        return True

    def wait(self) -> None:
        """Sleep until `wake` is called, or return at once if it was."""
        if self._latch is not None:
            self._latch.wait()

    def wake(self) -> None:
        """Once nobody joins any more: let all go on."""
        if self._latch is not None:
            self._latch.open()


class WriteGroup:
    """Hands records to `commit`, as many at a time as are waiting. Safe for threads."""

    def __init__(self, commit: Callable[[Sequence[Item]], Sequence[Outcome]]) -> None:
        """`commit` stores the records, forces them to disk, and tells what became of each."""
        self._commit = commit
        self._joining = Lock()
        self._leading = Lock()
        self._gathering = _Group()

    def put(self, key: bytes, value: bytes) -> int:
        """Store a record and return its sequence number, once it is on the disk. Raises what became of it."""
        ordinal = -1
        try:
            with self._joining:
                group = self._gathering
                if not group.takes(len(key) + len(value)):
                    group = self._gathering = _Group()
                    group.takes(len(key) + len(value))
                ordinal = len(group.items)
                group.items.append((key, value))
            if ordinal:
                group.wait()
            else:
                with self._leading:
                    self._close(group)
                    group.outcomes = self._commit(group.items)
        finally:
            if not ordinal:
                self._close(group)
                group.wake()
        if not group.outcomes:  # an interrupt, say: it is the leader's, but the others must not believe in success
            raise StorageError(
                "the thread that wrote for this one was interrupted; look the key up before you try again."
            )
        outcome = group.outcomes[ordinal]
        if isinstance(outcome, int):
            return outcome
        raise outcome

    def _close(self, group: _Group) -> None:
        """Have nobody join it any more."""
        if self._gathering is group:
            with self._joining:
                if self._gathering is group:
                    self._gathering = _Group()


def count_of_group(waiting: Sequence[Item]) -> int:
    """How many of those that wait go together: one at least, and no more than the limit allows."""
    sizes = accumulate(len(key) + len(value) for key, value in waiting)
    return max(1, sum(size <= GROUP_BYTES for size in sizes))
