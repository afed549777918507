"""When one write reached each of its stages. Nobody asks in ordinary times: a write looks at one attribute, no more."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockdb.storage.open_files import OpenFiles

__all__ = ["Trace"]


class Trace:
    """The stages of the next write of a collection, in nanoseconds of `perf_counter_ns`; 0: not reached.

    It is written by whoever writes, under the write lock (`forced_ns` under the log's), and read by anybody. Of a batch
    it is the first record.
    """

    def __init__(self) -> None:
        self.sequence = -1
        self.key = b""
        self.block = -1
        self.asked_ns = perf_counter_ns()
        """When it was asked for."""
        self.begun_ns = 0
        """The write has the lock of the collection: it is the next one."""
        self.logged_ns = 0
        """Its bytes are handed to the system: it survives a killed process."""
        self.forced_ns = 0
        """They are on the disk: it survives a power cut."""
        self.sealed_ns = 0
        """The seal of its block, signed, is in the log."""
        self._end = 0
        self._writer: OpenFiles | None = None

    def begin(self, writer: OpenFiles) -> None:
        """Wait for the next write; under the write lock."""
        self._writer = writer

    def begun(self) -> None:
        """A write looks around before it begins."""
        if self.sequence < 0:
            self.begun_ns = perf_counter_ns()

    def logged(self, sequence: int, key: bytes, end: int) -> None:
        """Records are in the log, which ends there; the first has this sequence number."""
        if self.sequence < 0:
            self.logged_ns = perf_counter_ns()
            self.sequence, self.key, self._end = sequence, key, end

    def forced(self, through: int) -> None:
        """The disk has everything before a place."""
        if self.sequence >= 0 and not self.forced_ns and through >= self._end:
            self.forced_ns = perf_counter_ns()
            self._look_whether_done()

    def sealed(self, block: int, records: int) -> None:
        """The seal of a block is in the log; so many records are sealed by now."""
        if 0 <= self.sequence < records and not self.sealed_ns:
            self.block, self.sealed_ns = block, perf_counter_ns()
            self._look_whether_done()

    def _look_whether_done(self) -> None:
        if self.forced_ns and self.sealed_ns:
            self.end()

    def end(self) -> None:
        """Wants to know no more. May be called again, and from any thread."""
        writer, self._writer = self._writer, None
        if writer is not None and writer.trace is self:
            writer.trace = None
