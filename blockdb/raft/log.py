"""The log as the core sees it: what the disk has or is about to get, and behind it what no Ready has handed out yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from blockdb.format.consensus import Entry
from blockdb.raft.messages import SnapshotHead

__all__ = ["Log", "LogView"]


class LogView(Protocol):
    """What is on the disk, or on its way there.

    Who takes a Ready puts its `entries` (and the new beginning, `snapshot`) into the view before the Raft is called
    again: from then on the Raft reads them here. Forcing them may come later.
    """

    @property
    def head(self) -> SnapshotHead:
        """What the log begins behind. Its first entry is `head.index + 1`. A new group: index 0, and its members."""

    @property
    def last_index(self) -> int:
        """The last entry's index; `head.index` where there is none."""

    @property
    def changes(self) -> Sequence[Entry]:
        """The entries of kind MEMBERS, in order. Asked for once, when the Raft begins."""

    def term(self, index: int) -> int:
        """The term of an entry from `head.index` (its own: `head.term`) to `last_index`. O(1)."""

    def entries(self, first: int, last: int, max_bytes: int) -> tuple[Entry, ...]:
        """Entries from `first` to `last`, both included, at most `max_bytes` of data, but always the first of them."""


class Log:
    """The view and, behind it, the tail of entries that no Ready has handed out yet. Indexes are inclusive."""

    __slots__ = ("_tail", "_tail_first", "_view", "head", "last_index", "last_term")

    def __init__(self, view: LogView) -> None:
        self._view = view
        self.head = view.head
        self.last_index = view.last_index
        self.last_term = view.term(view.last_index)
        self._tail: list[Entry] = []
        self._tail_first = self.last_index + 1

    @property
    def has_tail(self) -> bool:
        """Whether there is anything to hand out."""
        return bool(self._tail)

    def term(self, index: int) -> int:
        """The term of an entry from the head's index to `last_index`."""
        if index >= self._tail_first:
            return self._tail[index - self._tail_first].term
        if index == self.last_index:
            return self.last_term
        return self.head.term if index == self.head.index else self._view.term(index)

    def agrees(self, index: int, term: int) -> bool:
        """Whether the entry at `index` is there and is of that term: then all before it agree too (Log Matching)."""
        return self.head.index <= index <= self.last_index and self.term(index) == term

    def last_of(self, term: int, up_to: int) -> int:
        """The last index up to `up_to` whose entry's term is not above `term`: no later one can agree. O(log n).

        One before the head's where there is none. What is behind the head is taken to agree.
        """
        low, high = self.head.index - 1, min(up_to, self.last_index)
        if high <= low:
            return high
        while low < high:
            middle = (low + high + 1) // 2
            if self.term(middle) <= term:
                low = middle
            else:
                high = middle - 1
        return low

    def is_up_to_date(self, last_index: int, last_term: int) -> bool:
        """Whether a log that ends so has all that this one may have committed (thesis, 3.6.1)."""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def entries(self, first: int, last: int, max_bytes: int) -> tuple[Entry, ...]:
        """As `LogView.entries`."""
        split = self._tail_first
        if first >= split:
            return _within(self._tail[first - split : last + 1 - split], max_bytes)
        if last < split:
            return self._view.entries(first, last, max_bytes)
        stored = self._view.entries(first, split - 1, max_bytes)
        left = max_bytes - sum(len(entry.data) for entry in stored)
        if len(stored) < split - first or len(self._tail[0].data) > left:
            return stored
        return stored + _within(self._tail[: last + 1 - split], left)

    def append(self, entries: Sequence[Entry]) -> None:
        """Put entries behind the last one."""
        self._tail.extend(entries)
        self.last_index = entries[-1].index
        self.last_term = entries[-1].term

    def cut(self, index: int) -> None:
        """Drop what is from `index` on; what comes in its place must be appended before the next Ready."""
        last_term = self.term(index - 1)
        if index >= self._tail_first:
            del self._tail[index - self._tail_first :]
        else:
            self._tail.clear()
            self._tail_first = index
        self.last_index, self.last_term = index - 1, last_term

    def begin(self, head: SnapshotHead) -> None:
        """Drop everything, and begin behind `head`."""
        self.head = head
        self._tail.clear()
        self._tail_first = head.index + 1
        self.last_index, self.last_term = head.index, head.term

    def take(self) -> tuple[Entry, ...]:
        """The tail, which is the view's business from here on."""
        tail = tuple(self._tail)
        self._tail.clear()
        self._tail_first = self.last_index + 1
        return tail


def _within(entries: list[Entry], max_bytes: int) -> tuple[Entry, ...]:
    """As many of the first entries as `max_bytes` hold, but at least one of them."""
    size = 0
    for count, entry in enumerate(entries):
        size += len(entry.data)
        if size > max_bytes and count:
            return tuple(entries[:count])
    return tuple(entries)
