"""The log as the core sees it: what the disk has, and before that what is still on its way there."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from blockdb.cluster.consensus.disk import DiskLog
from blockdb.format.consensus import Entry, Kind
from blockdb.raft.messages import SnapshotHead

__all__ = ["View"]

_SCAN_BYTES: Final = 4 << 20


class View:
    """Belongs to the loop. Entries from `_tail_first` on are here, those before are the disk's.

    Implements `blockdb.raft.log.LogView`.
    """

    def __init__(self, disk: DiskLog) -> None:
        self.head = disk.head
        self._disk = disk
        self._tail: list[Entry] = []
        self._tail_first = disk.last_index + 1
        self._pending: deque[tuple[int, int, int]] = deque()
        """Of what is on its way to the disk: the number of the Ready, the first index that it touches, its last."""
        self.forced_index = disk.last_index
        """Up to here the log is on the disk for good: nothing that is on its way there touches it."""

    @property
    def last_index(self) -> int:
        """As LogView says."""
        return self._tail_first + len(self._tail) - 1

    @property
    def changes(self) -> Sequence[Entry]:
        """As LogView says: found by reading all of it."""
        found: list[Entry] = []
        index = self.head.index + 1
        while index <= self.last_index:
            entries = self.entries(index, self.last_index, _SCAN_BYTES)
            found += [entry for entry in entries if entry.kind is Kind.MEMBERS]
            index = entries[-1].index + 1
        return found

    def term(self, index: int) -> int:
        """As LogView says."""
        if index == self.head.index:
            return self.head.term
        if index >= self._tail_first:
            return self._tail[index - self._tail_first].term
        return self._disk.term(index)

    def entries(self, first: int, last: int, max_bytes: int) -> tuple[Entry, ...]:
        """As LogView says."""
        if first < self._tail_first:
            return tuple(self._disk.entries(first, min(last, self._tail_first - 1), max_bytes))
        taken: list[Entry] = []
        for entry in self._tail[first - self._tail_first : last - self._tail_first + 1]:
            max_bytes -= len(entry.data)
            if taken and max_bytes < 0:
                break
            taken.append(entry)
        return tuple(taken)

    def add(self, entries: Sequence[Entry], number: int) -> None:
        """Entries of a Ready, which replace what is there from the first one's index on."""
        first = entries[0].index
        if first < self._tail_first:
            self._tail, self._tail_first = list(entries), first
        else:
            self._tail[first - self._tail_first :] = entries
        self._pends(number, first, entries[-1].index)

    def begin_anew(self, head: SnapshotHead, number: int) -> None:
        """Begin behind a snapshot of a Ready."""
        self.head = head
        self._tail, self._tail_first = [], head.index + 1
        self._pends(number, 1, head.index)

    def _pends(self, number: int, first: int, last: int) -> None:
        self._pending.append((number, first, last))
        self.forced_index = min(self.forced_index, first - 1)

    def forced(self, number: int) -> None:
        """The disk has what was added up to that Ready."""
        last = 0
        while self._pending and self._pending[0][0] <= number:
            last = self._pending.popleft()[2]
        if last:
            self.forced_index = min([last, *(first - 1 for _, first, _ in self._pending)])
            count = min(self.forced_index + 1 - self._tail_first, len(self._tail))
            if count > 0:
                del self._tail[:count]
                self._tail_first += count

    def compact(self, head: SnapshotHead) -> None:
        """Begin behind an entry that is there; the disk is to do the same later."""
        self.head = head
