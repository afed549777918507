"""Those who wait for something of the log: for an index, for room, for an answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from heapq import heappop, heappush
from itertools import count
from threading import Lock
from typing import Final, TypeVar

from blockdb.cluster.events import ClusterEvent
from blockdb.errors import BlockDBError, InvalidData, RateLimited, Unavailable

__all__ = ["MAX_COMMAND_BYTES", "Listeners", "Room", "Watermark", "answer", "pass_on", "refuse", "unanswered"]

MAX_COMMAND_BYTES: Final = 80 * 1024 * 1024
"""The longest command: a value of the largest size, with what is said about it."""

_RETRY_AFTER_S: Final = 0.05

T = TypeVar("T")


def unanswered() -> Future[T]:
    """A future that nobody can cancel: what was proposed may be decided all the same."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    return future


def answer(future: Future[T], result: T) -> None:
    """Give a result, unless there is one."""
    if not future.done():
        future.set_result(result)


def refuse(future: Future[T], error: BaseException) -> None:
    """Give an error, unless there is an answer."""
    if not future.done():
        future.set_exception(error)


def pass_on(done: Future[T], future: Future[T]) -> None:
    """Give what another one has got, unless there is an answer."""
    if (error := done.exception()) is not None:
        refuse(future, error)
    else:
        answer(future, done.result())


class Room:
    """How many commands may wait, and how many bytes of them. Safe for threads."""

    def __init__(self, max_commands: int, max_bytes: int) -> None:
        self._lock = Lock()
        self._max_commands = max_commands
        self._max_bytes = max_bytes
        self._commands = 0
        self._bytes = 0

    def enter(self, commands: int, size: int, longest: int) -> None:
        """Let commands wait. Raises InvalidData where one is too long; RateLimited where there is no room.

        A group that has more than the room does may wait if nothing else does.
        """
        if longest > MAX_COMMAND_BYTES:
            raise InvalidData(f"A command of {longest} bytes is too long: at most {MAX_COMMAND_BYTES} are possible.")
        with self._lock:
            is_full = self._commands + commands > self._max_commands or self._bytes + size > self._max_bytes
            if is_full and self._commands:
                raise RateLimited(_RETRY_AFTER_S)
            self._commands += commands
            self._bytes += size

    def leave(self, commands: int, size: int) -> None:
        """They no longer wait."""
        with self._lock:
            self._commands -= commands
            self._bytes -= size


class Watermark:
    """An index that only grows, and the threads that wait for it. Safe for threads.

    Advancing costs O(log n) for each thread that it wakes, and nothing for the n that wait on.
    """

    def __init__(self, index: int = 0) -> None:
        self.index = index
        self._lock = Lock()
        self._waiting: list[tuple[int, int, Lock]] = []
        self._numbers = count()
        self._error: BlockDBError | None = None

    def advance(self, index: int) -> None:
        """It is at least this now."""
        with self._lock:
            self.index = max(self.index, index)
            while self._waiting and self._waiting[0][0] <= self.index:
                heappop(self._waiting)[2].release()

    def stop(self, error: BlockDBError) -> None:
        """It will not grow any more: who waits gets the error, and who comes later too."""
        with self._lock:
            self._error = self._error or error
            for _, _, gate in self._waiting:
                gate.release()
            self._waiting.clear()

    def wait(self, index: int, timeout_s: float) -> None:
        """Return once it is at least `index`. Raises Unavailable after `timeout_s`, and what `stop` was given."""
        if self.index >= index and self._error is None:
            return
        gate = Lock()
        gate.acquire()
        with self._lock:
            self._check()
            if self.index >= index:
                return
            heappush(self._waiting, (index, next(self._numbers), gate))
        is_late = not gate.acquire(timeout=max(timeout_s, 0))
        with self._lock:
            if is_late:
                self._waiting = sorted(entry for entry in self._waiting if entry[2] is not gate)
            self._check()
            if self.index < index:
                raise Unavailable(
                    f"This node has applied the log up to {self.index}, and did not reach {index} within "
                    f"{timeout_s:g} s. Try again, or ask another node."
                )

    def _check(self) -> None:
        if self._error is not None:
            raise self._error


class Listeners:
    """Who is told what happens. Safe for threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._all: dict[int, Callable[[ClusterEvent], None]] = {}
        self._numbers = count()

    def add(self, listener: Callable[[ClusterEvent], None]) -> Callable[[], None]:
        """Have one told from now on; what is given ends that."""
        with self._lock:
            number = next(self._numbers)
            self._all[number] = listener
        return lambda: self._remove(number)

    def _remove(self, number: int) -> None:
        with self._lock:
            self._all.pop(number, None)

    def tell(self, event: ClusterEvent) -> None:
        """Tell all of them; one that raises is not told again."""
        with self._lock:
            listeners = list(self._all.items())
        for number, listener in listeners:
            try:
                listener(event)
            except Exception:
                self._remove(number)
