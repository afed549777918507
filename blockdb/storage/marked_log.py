"""A file that grows commit by commit, beside a mark that tells how far it is good: see blockdb.format.mark.

Where a `window` can be had, a part of the file that is reserved on the disk and mapped into memory, commits are stored
there: that survives a killed process as a write does, and takes a fifth of its time. Elsewhere they are written.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from mmap import ALLOCATIONGRANULARITY, mmap
from pathlib import Path
from threading import Lock
from time import perf_counter_ns
from typing import Final

from blockdb.errors import WritesStopped
from blockdb.format import mark as mark_format
from blockdb.format.mark import FORCED_WORD, GUARD, STATE_OFFSET, WRITTEN_WORD, Mark
from blockdb.storage.door import Door, guarded, storage_error
from blockdb.storage.statistics import Histogram

LEAST_RESERVED_BYTES: Final = 64 * 1024
MOST_RESERVED_BYTES: Final = 4 * 1024 * 1024
"""A file that is reserved ahead doubles, but for these limits."""

MOST_STORED_BYTES: Final = 4096
"""Larger commits are written into their window: storing makes the system fetch page after page, and takes four times as
long for a batch of a thousand.
"""

_NO_WINDOW: Final = bytearray()


class MarkedLog:
    """The writing end of such a file. Places are offsets in it, after the `base` of the file's first byte.

    `append` is called under a lock of the user's, `force` from anywhere. `end` is the place of the next frame.
    """

    wants_windows = False
    """Whether many small commits come here one by one."""

    def __init__(
        self, door: Door, path: Path, mark: Path, owner: bytes, base: int, end: int, forced: int, torn_bytes: int
    ) -> None:
        """Go on at `end`, cutting off what a write that was cut short left behind. Raises StorageError.

        `owner` is whose file it is: 16 bytes that stand in the mark.
        """
        self._door = door
        self._base = base
        self._forcing = Lock()
        self.failure: WritesStopped | None = None
        """Why it takes no more writes, if it does not."""
        self.forced = forced
        self.end = end
        self.latency = Histogram()
        self.told_of_force: Callable[[int], None] | None = None
        """Hears up to which place the disk has everything, after each force."""
        self._room = 0
        """Up to this size of the file it was reserved, or that was tried."""
        self._window: mmap | bytearray = _NO_WINDOW
        self._window_place = self._window_end = 0
        """The places of its first byte, and behind its last one."""
        with guarded("opening the log"):
            self._descriptor = door.open_at(path, end - base)
            try:
                if torn_bytes:
                    door.cut(self._descriptor, end - base)
                    door.force(self._descriptor)
                self._mark = self._new_mark(mark, owner)
            except BaseException:
                door.close(self._descriptor)
                raise
        self._words = memoryview(self._mark).cast("Q")
        self._has_windows: bool | None = None if self.wants_windows else False
        """None as long as it has not taken enough commits for that to be asked."""
        self._commits_left = door.commits_before_windows

    def reserve(self, ahead: int = 1) -> None:
        """Have zeros behind the end for so many bytes, on blocks of the file, and a window there if one can be had.

        A force that need not tell of the file's size takes a third less: so it is asked for before an append that is to
        be forced. Where the system refuses, nothing is lost but that. Under the lock of `append`.
        """
        size = self.end - self._base
        if size + ahead > self._room and not self._door.is_sealing:
            step = max(min(max(size, LEAST_RESERVED_BYTES), MOST_RESERVED_BYTES), ahead)
            self._room = size + step
            with suppress(OSError):
                self._door.reserve(self._descriptor, size, step)
                if self._has_windows:
                    self._open_window(size, step)

    def append(self, frames: bytes) -> int:
        """Write one commit and return its place. It survives a killed process once this returns.

        Raises StorageError where the system refuses; the log is then as it was before.
        """
        place = self.end
        end = place + len(frames)
        if end > self._window_end or len(frames) > MOST_STORED_BYTES:
            self._append_beyond(frames)
        else:
            first = place - self._window_place
            self._window[first : first + len(frames)] = frames
        self.end = end
        self._words[WRITTEN_WORD] = end * GUARD
        return place

    def _append_beyond(self, frames: bytes) -> None:
        """Store a commit in the next window, or write it: where there is none to be had, or it takes many pages."""
        if self.failure is not None:
            raise self.failure
        size = len(frames)
        if size <= MOST_RESERVED_BYTES and self._may_have_windows():
            self.reserve(size)
        if size <= MOST_STORED_BYTES and self.end + size <= self._window_end:
            first = self.end - self._window_place
            self._window[first : first + size] = frames
            return
        try:
            if self._window:
                self._door.seek(self._descriptor, self.end - self._base)  # what was stored did not move it
            written = self._door.write(self._descriptor, frames)
            if written != size:
                self._door.write_all(self._descriptor, frames[written:])
        except OSError as error:
            self._undo()
            raise storage_error("writing to the log", error) from error

    def _may_have_windows(self) -> bool:
        """Whether stores may take the place of writes: not in a log that is written to now and then.

        A window costs a descriptor, and as much of the disk as is reserved.
        """
        if self._has_windows is None:
            self._commits_left -= 1
            if self._commits_left < 0:
                self._has_windows = self._door.can_map_ahead(self._descriptor)
        return bool(self._has_windows)

    def _open_window(self, size: int, step: int) -> None:
        """Map what is reserved from `size` on. Raises OSError."""
        first = size - size % ALLOCATIONGRANULARITY
        self._window = self._door.map_part(self._descriptor, first, size + step - first)
        self._window_place, self._window_end = self._base + first, self._base + size + step

    def take_back(self, place: int) -> None:
        """Cut off what was written from a place on, as if it had never been. Raises WritesStopped where that fails.

        The mark is told first. A process that is killed then leaves commits that nobody was told of.
        """
        with self._forcing:
            self.end = place
            self._words[WRITTEN_WORD] = place * GUARD
            self._set_forced(min(self.forced, place))
            try:
                self._cut()
                self._door.force(self._descriptor)
            except OSError as error:
                raise self._stop("taking back what was written", error) from error

    def force(self, through: int | None = None) -> None:
        """Have everything up to the place `through` (default: all that was written) on the disk.

        Callers that wait here while another one forces find their work done: they share one force. Raises
        WritesStopped where the force fails, and from then on for every write: what the disk holds is unknown.
        """
        with self._forcing:
            if self.failure is not None:
                raise self.failure
            target = self.end
            if self.forced >= (target if through is None else through):
                return
            self._force(target)

    def _force(self, target: int) -> None:
        self._force_first()
        start = perf_counter_ns()
        try:
            self._door.force(self._descriptor)
        except OSError as error:
            raise self._stop("forcing the log to disk", error) from error
        self.latency.add(perf_counter_ns() - start)
        self._set_forced(target)
        if self.told_of_force is not None:
            self.told_of_force(target)

    def begin_file(self, path: Path, header: bytes, base: int) -> None:
        """Force this file, and go on in a new one behind its header. Raises StorageError; it is as it was then."""
        self._settle()
        with guarded("beginning a new file of the log"):
            temporary = path.with_name(path.name + ".tmp")
            self._door.create(temporary, header)
            self._door.rename(temporary, path)
            descriptor = self._door.open_at(path, len(header))
        with self._forcing:
            self._door.close(self._descriptor)
            self._descriptor, self._base = descriptor, base
            self.end = base + len(header)
            self._words[WRITTEN_WORD] = self.end * GUARD
            self._set_forced(self.end)

    def close(self) -> None:
        """Force what was written and leave a mark that says so."""
        try:
            self._settle()
            self._mark[STATE_OFFSET:] = mark_format.CLEAN
            with guarded("closing the log"):
                self._mark.flush()
        finally:
            self._window, self._window_end = _NO_WINDOW, 0
            self._words.release()
            self._mark.close()
            self._door.close(self._descriptor)

    def stop(self, what: str) -> WritesStopped:
        """Take no more writes, because of what happened. Returns the error that every write raises from now on."""
        self._has_windows, self._window_end = False, 0
        self.failure = failure = WritesStopped(f"{what}; close it, check the disk, and open the database again.")
        return failure

    def _force_first(self) -> None:
        """What has to be on the disk before this file may be."""

    def _set_forced(self, place: int) -> None:
        self.forced = place
        self._words[FORCED_WORD] = place * GUARD

    def _new_mark(self, path: Path, owner: bytes) -> mmap:
        mark = Mark(owner, self._door.boot_id(), self.end, self.forced, clean=False)
        self._door.replace(path, mark_format.encode(mark))
        return self._door.map_write(path)

    def _settle(self) -> None:
        """Have everything on the disk, and the file end where its last frame does. Raises StorageError."""
        with self._forcing:
            if self.failure is not None:
                raise self.failure
            if self._room:
                with guarded("cutting off what was reserved of the log"):
                    self._cut()
            elif self.forced >= self.end:
                return
            self._force(self.end)

    def _cut(self) -> None:
        self._window, self._window_end = _NO_WINDOW, 0
        self._door.cut(self._descriptor, self.end - self._base)
        self._room = 0

    def _undo(self) -> None:
        """Take back a write that failed part of the way; where even that fails, nothing more is written."""
        try:
            self._cut()
        except OSError as error:
            self._stop("taking back an incomplete write", error)

    def _stop(self, doing: str, error: OSError) -> WritesStopped:
        unknown = "What the disk holds is unknown, so this handle takes no more writes"
        return self.stop(f"{doing} failed: {error.strerror or error}. {unknown}")
