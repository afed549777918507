"""Reads that wait for a round of heartbeats to show that the leader still leads (thesis, 6.4). No clocks, no leases."""

from __future__ import annotations

from collections import deque

__all__ = ["Rounds"]

Read = tuple[str, int]
"""Who asks (empty: this node itself), and the asker's number."""


class Rounds:
    """What a leader was asked, in rounds: those that came while the last one began share the next one."""

    __slots__ = ("_under_way", "count", "last", "waiting")

    def __init__(self) -> None:
        self.waiting: list[Read] = []
        self.last = 0
        """The number of the last round that began."""
        self._under_way: deque[tuple[int, int, list[Read]]] = deque()
        self.count = 0
        """How many reads there are in all."""

    @property
    def is_under_way(self) -> bool:
        """Whether any round waits for answers."""
        return bool(self._under_way)

    def ask(self, asker: str, number: int) -> None:
        """One more read, for the next round."""
        self.waiting.append((asker, number))
        self.count += 1

    def begin(self, index: int) -> int:
        """Begin a round for all that wait: they may see everything up to `index`. Gives its number."""
        self.last += 1
        self._under_way.append((self.last, index, self.waiting))
        self.waiting = []
        return self.last

    def confirmed(self, round_: int) -> list[tuple[str, int, int]]:
        """A majority answered `round_`: who asked what up to then, and the index each may read at."""
        reads: list[tuple[str, int, int]] = []
        while self._under_way and self._under_way[0][0] <= round_:
            _, index, asked = self._under_way.popleft()
            reads.extend((asker, number, index) for asker, number in asked)
        self.count -= len(reads)
        return reads

    def clear(self) -> list[Read]:
        """Give up all of them. Rounds go on being counted, so that a late answer confirms nothing."""
        reads = [read for _, _, asked in self._under_way for read in asked] + self.waiting
        self._under_way.clear()
        self.waiting = []
        self.count = 0
        return reads
