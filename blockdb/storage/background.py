"""Threads that do the same piece of work whenever they are woken, or every so often."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread


class Worker:
    """Calls `work` in a thread of its own each time `wake` was called, and every `interval_s` seconds if given."""

    def __init__(self, name: str, work: Callable[[], None], interval_s: float | None = None) -> None:
        self._work = work
        self._interval_s = interval_s
        self._woken = Event()
        self._stopping = False
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have the work done soon; once is enough for any number of calls before it starts."""
        self._woken.set()

    def stop(self) -> None:
        """Let the work under way come to its end, and the thread with it."""
        self._stopping = True
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._woken.wait(self._interval_s)
            self._woken.clear()
            if self._stopping:
                return
            self._work()
