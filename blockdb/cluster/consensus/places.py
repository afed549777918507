"""Where the entries of a log are: which index has which term and stands at which place."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable


class Places:
    """The places of consecutive entries, which grow, and their terms. Eight bytes an entry, for one thread."""

    def __init__(self, first: int = 1) -> None:
        """`first` is the index of the next entry as long as there is none."""
        self.first = first
        self._places = array("Q")
        self._starts: list[int] = []
        self._terms: list[int] = []
        """The terms, and with which index each of them begins."""

    @property
    def last(self) -> int:
        """The index of the last entry; the one before `first` where there is none."""
        return self.first + len(self._places) - 1

    def __contains__(self, index: object) -> bool:
        return isinstance(index, int) and self.first <= index <= self.last

    def __getitem__(self, index: int) -> int:
        """The place of an entry."""
        return self._places[index - self.first]

    def between(self, first: int, last: int) -> list[int]:
        """The places of several entries."""
        return self._places[first - self.first : last + 1 - self.first].tolist()

    def term(self, index: int) -> int:
        """The term of an entry. O(log terms)."""
        return self._terms[bisect_right(self._starts, index) - 1]

    def put(self, entries: Iterable[tuple[int, int]], places: Iterable[int]) -> None:
        """Enter consecutive entries, index and term of each, in the place of all from the first one's index on.

        Where they do not follow what is there, they are all that there is. O(entries).
        """
        for (index, term), place in zip(entries, places, strict=True):
            if index != self.last + 1:
                self.cut(index) if index in self else self.clear(index)
            if not self._terms or self._terms[-1] != term:
                self._starts.append(index)
                self._terms.append(term)
            self._places.append(place)

    def cut(self, index: int) -> None:
        """Forget all entries from an index on."""
        del self._places[index - self.first :]
        keep = bisect_left(self._starts, index)
        del self._starts[keep:], self._terms[keep:]

    def clear(self, first: int) -> None:
        """Forget all entries; the next one has this index."""
        self.first = first
        del self._places[:], self._starts[:], self._terms[:]

    def drop(self, index: int) -> None:
        """Forget all entries up to an index, which is the last one's at most. O(entries that are left)."""
        del self._places[: index + 1 - self.first]
        drop = max(bisect_right(self._starts, index + 1) - 1, 0)
        del self._starts[:drop], self._terms[:drop]
        self.first = index + 1
