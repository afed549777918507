"""The thread that stores and forces. What waits while it is at the disk shares one force."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from blockdb.cluster.consensus.disk import DiskLog
from blockdb.cluster.worker import Worker
from blockdb.format.consensus import Entry, HardState
from blockdb.raft.ready import Ready

__all__ = ["Storing"]


class Storing:
    """Readys go in on one side; on the other, `forced` is called with those that are on the disk, in order."""

    def __init__(
        self,
        name: str,
        disk: DiskLog,
        forced: Callable[[list[Ready]], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Both are called on the thread."""
        self.disk = disk
        self._forced = forced
        self._lock = Lock()
        self._waiting: list[Ready] = []
        self._worker = Worker(name, failed)

    def start(self) -> None:
        """Begin."""
        self._worker.start()

    def put(self, ready: Ready) -> None:
        """Have a Ready stored and forced."""
        with self._lock:
            is_idle = not self._waiting
            self._waiting.append(ready)
        if is_idle:
            self._worker.do(self._store_waiting)

    def do(self, job: Callable[[], None]) -> None:
        """Do something else with the disk's log, in its turn."""
        self._worker.do(job)

    def mended(self) -> None:
        """The core has again what was lost: the disk need not remember that any more."""
        if self.disk.is_damaged:
            self.do(self.disk.mended)

    def mending(self) -> None:
        """The core lacks what it acknowledged: the disk has to remember that."""
        if not self.disk.is_damaged:
            self.do(lambda: self.disk.lost(1))

    def close(self) -> None:
        """End after what was put in."""
        self._worker.close()

    def _store_waiting(self) -> None:
        with self._lock:
            readys = self._waiting
            self._waiting = []
        hard_state: HardState | None = None
        entries: list[Entry] = []
        for ready in readys:
            if ready.snapshot is not None or (
                ready.entries and entries and ready.entries[0].index <= entries[-1].index
            ):
                self._store(hard_state, entries)
                hard_state, entries = None, []
            if ready.snapshot is not None:
                self.disk.begin_anew(ready.snapshot)
            hard_state = ready.hard_state or hard_state
            entries += ready.entries
        self._store(hard_state, entries)
        self.disk.force()
        self._forced(readys)

    def _store(self, hard_state: HardState | None, entries: list[Entry]) -> None:
        """What follows each other is one write."""
        if hard_state is not None or entries:
            self.disk.store(hard_state, entries)
