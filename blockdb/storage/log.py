"""The log: appending commits to the newest chain file, and forcing them to disk."""

from __future__ import annotations

from collections.abc import Callable

from blockdb.errors import StorageError
from blockdb.format import segment
from blockdb.format.limits import MAX_SEGMENTS, PACKED_SEGMENT_BYTES, SEALED_SEGMENT_BYTES, SEGMENT_SOFT_BYTES
from blockdb.format.place import place_of, split_place
from blockdb.format.segment import SegmentHeader
from blockdb.layout import CollectionFiles
from blockdb.storage.door import Door
from blockdb.storage.marked_log import MarkedLog


class Log(MarkedLog):
    """The writing end of a collection's chain.

    `append` and `roll` are called under the engine's write lock, `force` from anywhere. `end` is the place of the next
    frame.
    """

    wants_windows = True

    def __init__(
        self,
        door: Door,
        files: CollectionFiles,
        collection: bytes,
        end: int,
        forced: int,
        torn_bytes: int,
        packed: bool = False,
    ) -> None:
        """Open the log at `end`, cutting off what a write that was cut short left behind. Raises StorageError.

        `packed` says that chain files are packed when they are full: they are so earlier then, and encrypted ones
        even more so.
        """
        self.segment = split_place(end)[0]
        base = place_of(self.segment, 0)
        super().__init__(door, files.segment(self.segment), files.mark, collection, base, end, forced, torn_bytes)
        self.secret = door.secret
        self._files = files
        self._collection = collection
        self._segment_bytes = PACKED_SEGMENT_BYTES if packed else SEGMENT_SOFT_BYTES
        if door.is_sealing:
            self._segment_bytes = min(self._segment_bytes, SEALED_SEGMENT_BYTES)
        self.roll_at = place_of(self.segment, self._segment_bytes)
        """At or beyond this place, a new chain file is due."""
        self._appended_before = -split_place(end)[1]
        self.transaction = 0
        """The number of the last transaction over several collections that has a batch here; it is set before that."""
        self.before_force: Callable[[int], object] | None = None
        """Has the decision of that transaction on the disk: a batch must not be there before its decision is."""

    @property
    def appended_bytes(self) -> int:
        """How many bytes were appended since the log was opened."""
        return self._appended_before + split_place(self.end)[1] + self._door.sealing_bytes

    @property
    def is_begun(self) -> bool:
        """Whether the newest chain file has more than its header."""
        return split_place(self.end)[1] > segment.HEADER_BYTES

    @property
    def is_forced(self) -> bool:
        """Whether the disk has everything."""
        return self.forced >= self.end

    def roll(self, first_sequence: int) -> None:
        """Begin a new chain file.

        Raises StorageError where the system refuses or the chain has as many files as it can count.
        """
        number = self.segment + 1
        if number == MAX_SEGMENTS:
            raise StorageError("the collection has as many chain files as it can have; begin a new collection.")
        header = segment.encode(SegmentHeader(self._collection, number, first_sequence))
        appended = self._appended_before + split_place(self.end)[1]
        self.begin_file(self._files.segment(number), header, place_of(number, 0))
        self._appended_before, self.segment = appended, number
        self.roll_at = place_of(number, self._segment_bytes)

    def _force_first(self) -> None:
        if self.transaction and self.before_force is not None:
            self.before_force(self.transaction)
