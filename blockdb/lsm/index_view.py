"""An index at one moment: what is in memory and what is in files. Everything that reads an index goes through one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from blockdb.format.ordered import AFTER
from blockdb.lsm.bloom import key_hash
from blockdb.lsm.index_file import Entry, IndexFile
from blockdb.lsm.index_memory import IndexMemory
from blockdb.lsm.merge import Cursor, KeyCursor, PositionCursor, merge

_entry = itemgetter(0)


@dataclass(frozen=True, slots=True)
class IndexView:
    """Memory, newest first, and files, oldest first. Immutable: who writes puts another one in its place.

    An *entry* is the bytes of the fields' values (`format.ordered`), and of the record's place unless the index is
    unique; it leads to the *place* of the record in the chain. A *horizon* is a place too: records before it alone
    are seen, so that what is written meanwhile is not.
    """

    memories: tuple[IndexMemory, ...]
    files: tuple[IndexFile, ...]
    unique: bool

    @property
    def entries(self) -> int:
        """How many there are."""
        return sum(map(len, self.memories)) + sum(map(len, self.files))

    def flushed(self, memory: IndexMemory, file: IndexFile | None) -> IndexView:
        """The view once the oldest memory is a file, or nothing where it had no entries."""
        memories = tuple(other for other in self.memories if other is not memory)
        return replace(self, memories=memories, files=self.files if file is None else (*self.files, file))

    def merged(self, parts: Sequence[IndexFile], whole: IndexFile | None) -> IndexView:
        """The view once neighbouring files are one, or none where nothing is left of them."""
        at = self.files.index(parts[0])
        middle = () if whole is None else (whole,)
        return replace(self, files=(*self.files[:at], *middle, *self.files[at + len(parts) :]))

    def place_of(self, entry: bytes) -> int | None:
        """Of a unique index: the place of the record with these values, or None. O(memories + files), from memory
        alone for most values that are not there: about a microsecond.
        """
        for memory in self.memories:
            place = memory.index.get(entry)
            if place is not None:
                return place
        if self.files:
            hashed = key_hash(entry)
            for file in self.files:
                if hashed in file.filter:
                    place = file.find(entry)
                    if place is not None:
                        return place
        return None

    def first_stored(self, entries: Sequence[bytes]) -> bytes | None:
        """Of a unique index: one of these entries that is there, or None. O(n), by filters alone for most of them."""
        for memory in self.memories:
            if not memory.index.keys().isdisjoint(entries):
                return next(entry for entry in entries if entry in memory.index)
        if self.files:
            hashes = list(map(key_hash, entries))
            for file in self.files:
                filter_ = file.filter
                for entry in [entry for entry, hashed in zip(entries, hashes, strict=True) if hashed in filter_]:
                    if file.find(entry) is not None:
                        return entry
        return None

    def places(self, values: bytes, horizon: int) -> list[int]:
        """The places of the records with exactly these values in all fields, in commit order. O(files + found)."""
        if self.unique:
            place = self.place_of(values)
            return [] if place is None or place >= horizon else [place]
        hashed = key_hash(values)
        found = [place for file in self.files if hashed in file.filter for place in file.places_of(values)]
        if any(map(len, self.memories)):
            newest = replace(self, files=())
            found += [place for _, place in newest.scan(values, values + AFTER, horizon)]
        return sorted(place for place in found if place < horizon)

    def scan(self, start: bytes, stop: bytes | None, horizon: int, *, reverse: bool = False) -> Iterator[Entry]:
        """Entries from `start` on and before `stop` (None: to the end), in order or against it, with their places.

        `format.ordered.span` and `text_span` give such ranges. Only records before `horizon` are seen. Files that are
        merged away meanwhile stay readable. O(log n) to begin, then about half a microsecond an entry. Raises
        Corruption.
        """
        return _emit(merge(self._cursors(start, stop, reverse), reverse=reverse), start, stop, horizon, reverse)

    def count(self, start: bytes, stop: bytes | None) -> int:
        """How many entries there are from `start` on and before `stop`, without walking. O(sources · log n)."""
        sources: tuple[IndexMemory | IndexFile, ...] = (*self.memories, *self.files)
        return sum(
            max((len(source) if stop is None else source.position(stop)) - source.position(start), 0)
            for source in sources
        )

    def _cursors(self, start: bytes, stop: bytes | None, reverse: bool) -> list[Cursor[int]]:
        cursors: list[Cursor[int]] = [
            KeyCursor(memory, stop if reverse else start, reverse) for memory in self.memories if len(memory)
        ]
        for file in self.files:
            edge = stop if reverse else start
            cursors.append(PositionCursor(file, len(file) if edge is None else file.position(edge), reverse))
        return cursors


def _emit(
    runs: Iterator[list[Entry]], start: bytes, stop: bytes | None, horizon: int, reverse: bool
) -> Iterator[Entry]:
    for run in runs:
        inside = run
        if reverse:
            if run[-1][0] < start:
                inside = [item for item in run if item[0] >= start]
        elif stop is not None and run[-1][0] >= stop:
            inside = run[: bisect_left(run, stop, key=_entry)]
        for item in inside:
            if item[1] < horizon:
                yield item
        if len(inside) < len(run):
            return
