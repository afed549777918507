"""Barriers: from which index on a read is up to date. Those that wait at the same time are asked for as one."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Lock
from time import monotonic
from typing import Final

from blockdb.cluster.waiting import answer, refuse, unanswered
from blockdb.errors import BlockDBError, Unavailable

__all__ = ["Reads"]

_LATE: Final = (
    "This node could not find out within {timeout_s:g} s whether it is up to date: the cluster has no leader, or no "
    "majority. Try again, ask another node, or read what this node has (consistency `local`)."
)

_Waiter = tuple[float, "Future[int]"]
"""Until when it waits, and what for."""


class Reads:
    """Safe for threads; whoever comes while a group is asked for belongs to the next one."""

    def __init__(self, timeout_s: float, ask_again_s: float) -> None:
        self._timeout_s = timeout_s
        self._ask_again_s = ask_again_s
        self._lock = Lock()
        self._waiting: list[_Waiter] = []
        self._asked: dict[int, tuple[float, list[_Waiter]]] = {}
        self._next = 1
        self._error: BlockDBError | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether somebody is to be asked for."""
        return bool(self._waiting)

    def add(self) -> Future[int]:
        """Wait for an index that is asked for from now on."""
        future: Future[int] = unanswered()
        with self._lock:
            if self._error is not None:
                future.set_exception(self._error)
            else:
                self._waiting.append((monotonic() + self._timeout_s, future))
        return future

    def take(self) -> int:
        """The number of a group that is asked for now."""
        with self._lock:
            number = self._next
            self._next += 1
            self._asked[number] = (monotonic(), self._waiting)
            self._waiting = []
        return number

    def confirmed(self, number: int, index: int) -> None:
        """A group may read once `index` is applied; 0: it has to be asked for again."""
        with self._lock:
            _, waiters = self._asked.pop(number, (0.0, []))
            if not index:
                self._waiting = waiters + self._waiting
                return
        for _, future in waiters:
            answer(future, index)

    def ask_again(self, everything: bool = False) -> None:
        """Have groups asked for again whose question or answer may be lost; all of them where the leader changed."""
        limit = monotonic() - self._ask_again_s
        with self._lock:
            for number, (asked_at, waiters) in list(self._asked.items()):
                if everything or asked_at < limit:
                    del self._asked[number]
                    self._waiting = waiters + self._waiting

    def give_up_late(self) -> None:
        """Refuse who waited too long."""
        now = monotonic()
        with self._lock:
            groups = [self._waiting, *(waiters for _, waiters in self._asked.values())]
            late = [future for group in groups for deadline, future in group if deadline <= now]
            for group in groups if late else ():
                group[:] = [waiter for waiter in group if waiter[0] > now]
        for future in late:
            refuse(future, Unavailable(_LATE.format(timeout_s=self._timeout_s)))

    def go_on(self, error: BlockDBError) -> None:
        """Serve again, if that is why nobody was."""
        with self._lock:
            if self._error is error:
                self._error = None

    def stop(self, error: BlockDBError) -> None:
        """Refuse everybody, now and from now on."""
        with self._lock:
            self._error = error
            groups = [self._waiting, *(waiters for _, waiters in self._asked.values())]
            waiters = [waiter for group in groups for waiter in group]
            self._waiting = []
            self._asked.clear()
        for _, future in waiters:
            refuse(future, error)
