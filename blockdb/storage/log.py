"""The log: appending commits to the newest chain file, and forcing them to disk."""

from __future__ import annotations

from mmap import mmap
from threading import Lock
from time import perf_counter_ns

from blockdb.errors import StorageError, WritesStopped
from blockdb.format import mark as mark_format
from blockdb.format import segment
from blockdb.format.limits import MAX_SEGMENTS, PACKED_SEGMENT_BYTES, SEALED_SEGMENT_BYTES, SEGMENT_SOFT_BYTES
from blockdb.format.mark import FORCED_WORD, GUARD, STATE_OFFSET, WRITTEN_WORD, Mark
from blockdb.format.place import place_of, split_place
from blockdb.format.segment import SegmentHeader
from blockdb.layout import CollectionFiles
from blockdb.storage.door import Door, guarded, storage_error
from blockdb.storage.statistics import Histogram


class Log:
    """The writing end of a collection's chain.

    `append` and `roll` are called under the engine's write lock, `force` from anywhere. `end` is the place of the next
    frame.
    """

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
        self._door = door
        self.secret = door.secret
        self._files = files
        self._collection = collection
        self.segment = split_place(end)[0]
        self._forcing = Lock()
        self._write = door.write
        self._failure: WritesStopped | None = None
        self.forced = forced
        self.end = end
        self._segment_bytes = PACKED_SEGMENT_BYTES if packed else SEGMENT_SOFT_BYTES
        if door.is_sealing:
            self._segment_bytes = min(self._segment_bytes, SEALED_SEGMENT_BYTES)
        self.roll_at = place_of(self.segment, self._segment_bytes)
        """At or beyond this place, a new chain file is due."""
        self.latency = Histogram()
        self._appended_before = -split_place(end)[1]
        with guarded("opening the log"):
            self._descriptor = door.open_append(files.segment(self.segment))
            if torn_bytes:
                door.truncate(self._descriptor, split_place(end)[1])
                door.force(self._descriptor)
            self._mark = self._new_mark(forced)
        self._words = memoryview(self._mark).cast("Q")

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

    def append(self, frames: bytes) -> int:
        """Write one commit and return its place. It survives a killed process once this returns.

        Raises StorageError where the system refuses; the log is then as it was before.
        """
        place = self.end
        try:
            written = self._write(self._descriptor, frames)
            if written != len(frames):
                self._door.write_all(self._descriptor, frames[written:])
        except OSError as error:
            self._undo()
            raise storage_error("writing to the log", error) from error
        self.end = end = place + len(frames)
        self._words[WRITTEN_WORD] = end * GUARD
        return place

    def force(self, through: int | None = None) -> None:
        """Have everything up to the place `through` (default: all that was written) on the disk.

        Callers that wait here while another one forces find their work done: they share one force. Raises
        WritesStopped where the force fails, and from then on for every write: what the disk holds is unknown.
        """
        with self._forcing:
            if self._failure is not None:
                raise self._failure
            target = self.end
            if self.forced >= (target if through is None else through):
                return
            start = perf_counter_ns()
            try:
                self._door.force(self._descriptor)
            except OSError as error:
                raise self._stop("forcing the log to disk", error) from error
            self.latency.add(perf_counter_ns() - start)
            self._set_forced(target)

    def roll(self, first_sequence: int) -> None:
        """Begin a new chain file.

        Raises StorageError where the system refuses or the chain has as many files as it can count.
        """
        self.force()
        number = self.segment + 1
        if number == MAX_SEGMENTS:
            raise StorageError("the collection has as many chain files as it can have; begin a new collection.")
        header = segment.encode(SegmentHeader(self._collection, number, first_sequence))
        with guarded("beginning a new chain file"):
            path = self._files.segment(number)
            temporary = path.with_name(path.name + ".tmp")
            self._door.create(temporary, header)
            self._door.rename(temporary, path)
            descriptor = self._door.open_append(path)
        with self._forcing:
            self._appended_before += split_place(self.end)[1]
            self._door.close(self._descriptor)
            self._descriptor = descriptor
            self.segment = number
            self.roll_at = place_of(number, self._segment_bytes)
            self.end = place_of(number, len(header))
            self._words[WRITTEN_WORD] = self.end * GUARD
            self._set_forced(self.end)

    def close(self) -> None:
        """Force what was written and leave a mark that says so."""
        try:
            self.force()
            self._mark[STATE_OFFSET:] = mark_format.CLEAN
            with guarded("closing the log"):
                self._mark.flush()
        finally:
            self._words.release()
            self._mark.close()
            self._door.close(self._descriptor)

    def _set_forced(self, place: int) -> None:
        self.forced = place
        self._words[FORCED_WORD] = place * GUARD

    def _new_mark(self, forced: int) -> mmap:
        mark = Mark(self._collection, self._door.boot_id(), self.end, forced, clean=False)
        self._door.replace(self._files.mark, mark_format.encode(mark))
        return self._door.map_write(self._files.mark)

    def _undo(self) -> None:
        """Take back a write that failed part of the way; where even that fails, nothing more is written."""
        try:
            self._door.truncate(self._descriptor, split_place(self.end)[1])
        except OSError as error:
            self._stop("taking back an incomplete write", error)

    def _stop(self, doing: str, error: OSError) -> WritesStopped:
        self._failure = failure = WritesStopped(
            f"{doing} failed: {error.strerror or error}. What the disk holds is unknown, so this handle takes no more "
            "writes; close it, check the disk, and open the database again."
        )

        def refuse(descriptor: int, data: object) -> int:
            raise failure

        self._write = refuse
        return failure
