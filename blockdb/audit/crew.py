"""Processes that help with an audit. They are an optimisation and no more: what one of them does not do, for whatever
reason, the caller does."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from subprocess import Popen
from typing import Final

from blockdb.audit.messages import decode_answer, encode_job
from blockdb.audit.recruits import end
from blockdb.audit.stretch import Chain
from blockdb.audit.work import Answer, Job
from blockdb.process import widen_pipe

JOBS_AHEAD: Final = 3
"""A helper is given the next job before it has answered the one before, so that it need not wait for the caller."""

WAIT_S: Final = 0.05
"""How often the caller hears of a wish to cancel while only its helpers still work."""

READ_BYTES: Final = 1 << 20
"""So much is read at a time: an answer fits into a pipe in whole."""


class _Helper:
    def __init__(self, process: Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self.stdin, self.stdout = process.stdin, process.stdout
        self.jobs: deque[Job] = deque()
        self.received = b""
        os.set_blocking(self.stdout.fileno(), False)
        widen_pipe(self.stdout)

    def tell(self, line: str) -> None:
        self.stdin.write(line.encode() + b"\n")
        self.stdin.flush()

    def give(self, job: Job) -> None:
        self.tell(encode_job(job))
        self.jobs.append(job)

    def read_lines(self) -> list[bytes]:
        """The lines that came in. Raises EOFError where no more will come."""
        data = os.read(self.stdout.fileno(), READ_BYTES)
        if not data:
            raise EOFError
        *lines, self.received = (self.received + data).split(b"\n")
        return lines


class Crew:
    """The caller, and processes that help it."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._helpers: list[_Helper] = []
        self._selector = DefaultSelector()

    def enlist(self, processes: Sequence[Popen[bytes]], description: str) -> None:
        """Tell processes what is to be audited; from now on they help."""
        for process in processes:
            helper = _Helper(process)
            with suppress(OSError):  # where it has ended already, the others do what there is
                helper.tell(description)
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
        end(helper.process)
        waiting.extendleft(reversed(helper.jobs))

    def close(self) -> None:
        """Give no more jobs, and hear no more answers."""
        self._helpers = []
        self._selector.close()
