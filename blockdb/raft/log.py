"""The log as the core sees it: what the disk has or is about to get, and behind it what no Ready has handed out yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from blockdb.format.consensus import Entry
from blockdb.raft.messages import SnapshotHead

__all__ = ["LogView"]


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
