"""Reading entries of the log of consensus: the newest from memory, others from the files. Safe for threads."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from mmap import mmap
from operator import attrgetter
from threading import Lock
from typing import Final

from blockdb.cluster.consensus.loading import Segment
from blockdb.errors import Corruption
from blockdb.format.consensus import Entry
from blockdb.format.frame import BadFrame, TornFrame
from blockdb.format.raft_log import decode_entry
from blockdb.layout import RaftFiles
from blockdb.storage.door import Door, storage_error

RECENT_BYTES: Final = 16 * 1024 * 1024
"""About so much of the newest entries is kept in memory, and at least the last one."""
_ENTRY_COST: Final = 200
"""What an entry takes there beside its data."""
_KEPT_MAPPINGS: Final = 4


class Recent:
    """The newest entries, without a gap, as far as they fit. For whoever holds the log's lock."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._bytes = 0

    @property
    def first(self) -> float:
        """The index of the first one that is here; infinite where there is none."""
        return self._entries[0].index if self._entries else float("inf")

    def put(self, entries: Iterable[Entry]) -> None:
        """Enter entries, in the place of all from the first one's index on. O(entries)."""
        for entry in entries:
            while self._entries and self._entries[-1].index >= entry.index:
                self._bytes -= _cost(self._entries.pop())
            self._entries.append(entry)
            self._bytes += _cost(entry)
        while self._bytes > RECENT_BYTES and len(self._entries) > 1:
            self._bytes -= _cost(self._entries.popleft())

    def between(self, first: int, last: int) -> list[Entry]:
        """Those of these entries that are here."""
        if not self._entries:
            return []
        start = self._entries[0].index
        return list(islice(self._entries, max(first - start, 0), max(last + 1 - start, 0)))

    def drop(self, index: int) -> None:
        """Forget all entries up to an index."""
        while self._entries and self._entries[0].index <= index:
            self._bytes -= _cost(self._entries.popleft())


def _cost(entry: Entry) -> int:
    return _ENTRY_COST + len(entry.data)


class FileReader:
    """Entries from the files, a few of which stay mapped."""

    def __init__(self, door: Door, files: RaftFiles) -> None:
        self._door = door
        self._files = files
        self._mapping = Lock()
        self._mappings: OrderedDict[int, mmap] = OrderedDict()

    def read(self, segments: Sequence[Segment], places: Iterable[int], first: int) -> Iterator[Entry]:
        """The entries at these places, the first of which has that index.

        Raises LookupError where a file was removed meanwhile, Corruption, StorageError.
        """
        for index, place in enumerate(places, first):
            segment = segments[bisect_right(segments, place, key=attrgetter("base")) - 1]
            yield self._entry(segment.number, place - segment.base, index)

    def forget(self, number: int) -> None:
        """Let go of a file."""
        with self._mapping:
            self._mappings.pop(number, None)

    def _entry(self, number: int, offset: int, index: int) -> Entry:
        try:
            try:
                entry = decode_entry(self._mapped(number), offset)
            except TornFrame:  # it was mapped before this was written
                self.forget(number)
                entry = decode_entry(self._mapped(number), offset)
            if entry.index != index:
                raise BadFrame(f"the entry has the index {entry.index} where {index} should stand")
        except BadFrame as error:
            raise Corruption(str(self._files.file(number)), offset, str(error)) from None
        except FileNotFoundError:
            raise LookupError(f"the entry {index} was removed: a snapshot stands for it") from None
        except OSError as error:
            raise storage_error("reading the replicated log", error) from error
        return entry

    def _mapped(self, number: int) -> mmap:
        with self._mapping:
            mapping = self._mappings.pop(number, None)
            if mapping is None:
                mapping = self._door.map_read(self._files.file(number))
            self._mappings[number] = mapping
            while len(self._mappings) > _KEPT_MAPPINGS:
                self._mappings.popitem(last=False)
            return mapping
