"""Threads that all collections of a database share: work is done when it was woken, or some time later."""

from __future__ import annotations

import sys
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from threading import Condition, ExceptHookArgs, Lock, Thread, current_thread, excepthook
from time import monotonic

from blockdb.errors import StorageError


class Crew:
    """Up to `size` threads, the first of which is started when there is something to do. Safe for threads.

    They end with the last task that they have. None of them wakes up while there is nothing to do.
    """

    def __init__(self, name: str, size: int = 1) -> None:
        self._name = name
        self._size = size
        self._changed = Condition(Lock())
        self._due: list[tuple[float, int, Task]] = []
        """A heap of what is to be done, the earliest first; what was called off meanwhile stays in it until then."""
        self._numbers = count()
        self._threads: set[Thread] = set()
        self._busy = 0
        self._tasks = 0

    def task(self, work: Callable[[], None]) -> Task:
        """A piece of work that may be woken. It is to be stopped in the end."""
        with self._changed:
            self._tasks += 1
        return Task(self, work)

    # Called by tasks.

    def schedule(self, task: Task, delay_s: float) -> None:
        """Have a task done after a while, unless it is done before. Raises StorageError where no thread can be had."""
        with self._changed:
            at = monotonic() + delay_s
            if task.is_stopped or (task.due is not None and task.due <= at):
                return
            if len(self._threads) in (0, self._busy) and len(self._threads) < self._size:
                self._start()
            task.due = at
            if not task.is_running:
                self._push(task)

    def stop(self, task: Task) -> None:
        """Call a task off, and wait for what of it is under way; with the last one, the threads end."""
        with self._changed:
            if task.is_stopped:
                return
            task.is_stopped = True
            self._changed.wait_for(lambda: not task.is_running)
            task.due = None
            self._tasks -= 1
            ended = self._dismiss()
        for thread in ended - {current_thread()}:
            thread.join()

    def try_stop(self, task: Task) -> bool:
        """Call a task off unless it is under way, and say whether that was done. Waits for nothing."""
        with self._changed:
            if task.is_running:
                return False
            if not task.is_stopped:
                task.is_stopped, task.due = True, None
                self._tasks -= 1
                self._dismiss()
            return True

    def resume(self, task: Task) -> None:
        """Let a task be woken again that was stopped."""
        with self._changed:
            self._tasks += task.is_stopped
            task.is_stopped = False

    def _dismiss(self) -> set[Thread]:
        """Let the threads end where there are no tasks any more."""
        if self._tasks:
            return set()
        ended, self._threads = self._threads, set()
        self._due.clear()
        self._changed.notify_all()
        return ended

    def _start(self) -> None:
        thread = Thread(target=self._run, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            if self._threads:
                return  # another one will come to it
            raise StorageError(f"the system has no room for a thread ({error}); close what you do not need.") from None
        self._threads.add(thread)

    def _push(self, task: Task) -> None:
        assert task.due is not None
        heappush(self._due, (task.due, next(self._numbers), task))
        self._changed.notify_all()

    def _run(self) -> None:
        with self._changed:
            while current_thread() in self._threads:
                task = self._next()
                if task is None:
                    continue
                self._changed.release()
                try:
                    task.do()
                finally:
                    self._changed.acquire()
                self._busy -= 1
                task.is_running = False
                if task.due is not None and not task.is_stopped:
                    self._push(task)
                self._changed.notify_all()

    def _next(self) -> Task | None:
        """The task that is due, which is running from now on, or None after waiting for something to happen."""
        if not self._due:
            self._changed.wait()
            return None
        at, _, task = self._due[0]
        if task.due == at and at > (now := monotonic()):
            self._changed.wait(at - now)
            return None
        heappop(self._due)
        if task.due != at:
            return None
        task.due, task.is_running = None, True
        self._busy += 1
        return task


class Task:
    """A piece of work of one collection: never done twice at the same time."""

    def __init__(self, crew: Crew, work: Callable[[], None]) -> None:
        """Use `Crew.task`."""
        self._crew = crew
        self._work = work
        self.due: float | None = None
        self.is_running = False
        self.is_stopped = False

    def wake(self, delay_s: float = 0.0) -> None:
        """Have the work done soon, or so much later; once is enough for any number of calls before it starts.

        Raises StorageError where the system has no thread for it.
        """
        self._crew.schedule(self, delay_s)

    def stop(self) -> None:
        """Let the work under way come to its end; it is not done again. The work of others is not waited for."""
        self._crew.stop(self)

    def try_stop(self) -> bool:
        """Stop, unless the work is under way, and say whether that was done. Waits for nothing."""
        return self._crew.try_stop(self)

    def resume(self) -> None:
        """Allow it to be woken again after it was stopped."""
        self._crew.resume(self)

    def do(self) -> None:
        """Do the work. What goes wrong in it and is not expected is told as in any thread, and the others go on."""
        try:
            self._work()
        except Exception:
            excepthook(ExceptHookArgs((*sys.exc_info(), current_thread())))
