"""A thread that does what it is given, one thing after the other."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import Final

__all__ = ["Worker"]

_CLOSE_TIMEOUT_S: Final = 30.0


class Worker:
    """A thread for work that waits for a disk, or that others must not wait for. Safe for threads.

    The first job that raises is the last one: `failed` is told, and what comes after it is dropped.
    """

    def __init__(self, name: str, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin with the first job."""
        self._thread.start()

    def do(self, job: Callable[[], None]) -> None:
        """Have a job done after those before it."""
        self._jobs.put(job)

    def close(self) -> None:
        """End after the jobs that there are, and wait for that; not on its own thread. Idempotent."""
        self._jobs.put(None)
        if self._thread.is_alive() and self._thread is not current_thread():
            self._thread.join(_CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                job()
                del job  # what it holds may be large, and the next one long in coming
        except BaseException as error:
            self._failed(error)
