"""Writers that wait for the disk at the same time: one of them writes for all, and they share one force.

Who comes first leads; who comes while the leaders before are at work joins, and sleeps on the one lock of the group,
which each who gets it lets the next one have: only one at a time can run anyway, and of many that are woken at once
each finds the interpreter's lock taken and goes to sleep once more. With many threads, putting them to sleep and waking
them is what a forced write costs.
"""

from __future__ import annotations

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


class _Group:
    """Records that are committed together, by whoever came first."""

    __slots__ = ("ending", "items", "outcomes", "size_bytes")

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.size_bytes = 0
        self.outcomes: Sequence[Outcome] = ()
        """What became of each; nothing where the leader broke down."""
        self.ending = Lock()
        """Held until it was committed, or its leader broke down."""
        self.ending.acquire()


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
        item, size_bytes, ordinal = (key, value), len(key) + len(value), -1
        try:
            with self._joining:
                group = self._gathering
                if group.items and group.size_bytes + size_bytes > GROUP_BYTES:
                    group = self._gathering = _Group()
                group.size_bytes += size_bytes
                ordinal = len(group.items)
                group.items.append(item)
            if ordinal:
                with group.ending:
                    pass
            else:
                with self._leading:
                    self._close(group)
                    group.outcomes = self._commit(group.items)
        finally:
            if not ordinal and group.items and group.items[0] is item:  # not if an interrupt came before it was there
                self._close(group)
                group.ending.release()
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
