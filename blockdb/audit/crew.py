"""Processes that help with an audit. They are an optimisation and no more: what one of them does not do, for whatever
reason, the caller does."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from subprocess import Popen
from types import TracebackType
from typing import Final

from blockdb.audit.messages import decode_answer, encode_job
from blockdb.audit.stretch import Chain
from blockdb.audit.work import Answer, Job
from blockdb.process import start_python

JOBS_AHEAD: Final = 2
"""A helper is given the next job before it has answered the one before, so that it need not wait for the caller."""

WAIT_S: Final = 0.05
"""How often the caller hears of a wish to cancel while only its helpers still work."""

_READ_BYTES: Final = 1 << 20


class _Helper:
    def __init__(self, process: Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self.stdin, self.stdout = process.stdin, process.stdout
        self.jobs: deque[Job] = deque()
        self.received = b""
        os.set_blocking(self.stdout.fileno(), False)

    def give(self, job: Job) -> None:
        self.stdin.write(encode_job(job).encode() + b"\n")
        self.stdin.flush()
        self.jobs.append(job)

    def read_lines(self) -> list[bytes]:
        """The lines that came in. Raises EOFError where no more will come."""
        data = os.read(self.stdout.fileno(), _READ_BYTES)
        if not data:
            raise EOFError
        *lines, self.received = (self.received + data).split(b"\n")
        return lines

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.stdout.close()
        with suppress(OSError):  # there may be a job that it did not read
            self.stdin.close()


class Crew:
    """The caller, and processes that help it; a context manager that ends them."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._helpers: list[_Helper] = []
        self._selector = DefaultSelector()

    def start(self, helpers: int, description: str, memory: int, secret: bytes) -> None:
        """Start so many processes, or as many as the system gives; they inherit the descriptor `memory`.

        `secret` is what they need to open files that are sealed.
        """
        with suppress(OSError):
            for _ in range(helpers):
                helper = _Helper(start_python("blockdb.audit.helper", description, secret, [memory]))
                self._helpers.append(helper)
                self._selector.register(helper.stdout, EVENT_READ, helper)

    def share(
        self, mine: deque[Job], waiting: deque[Job], do: Callable[[Job], Answer | None], breathe: Callable[[], None]
    ) -> Iterator[tuple[Job, Answer | None]]:
        """Give each job with its answer, in any order: the first ones are done here by `do`, the others by anybody.

        None stands for doubt. Jobs that the caller takes out of the two queues are not done. `breathe` is called now
        and then while there is nothing to do here. Raises what the two raise.
        """
        while mine or waiting or any(helper.jobs for helper in self._helpers):
            for helper in list(self._helpers):
                while waiting and len(helper.jobs) < JOBS_AHEAD and helper in self._helpers:
                    self._give(helper, waiting)
            if mine or waiting:
                job = (mine or waiting).popleft()
                yield job, do(job)
            else:
                breathe()
            yield from self._answers(waiting, 0 if mine or waiting else WAIT_S)

    def _give(self, helper: _Helper, waiting: deque[Job]) -> None:
        try:
            helper.give(waiting[0])
        except OSError:
            self._lose(helper, waiting)
        else:
            waiting.popleft()

    def _answers(self, waiting: deque[Job], timeout_s: float) -> Iterator[tuple[Job, Answer | None]]:
        for key, _ in self._selector.select(timeout_s) if self._helpers else ():
            helper: _Helper = key.data
            try:
                lines = helper.read_lines()
            except EOFError:
                self._lose(helper, waiting)
                continue
            for line in lines:
                yield helper.jobs.popleft(), decode_answer(line, self._chain)

    def _lose(self, helper: _Helper, waiting: deque[Job]) -> None:
        """It is gone, and its jobs are to be done by others."""
        self._helpers.remove(helper)
        self._selector.unregister(helper.stdout)
        helper.end()
        waiting.extendleft(reversed(helper.jobs))

    def close(self) -> None:
        """End all processes."""
        for helper in self._helpers:
            helper.end()
        self._helpers = []
        self._selector.close()

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
