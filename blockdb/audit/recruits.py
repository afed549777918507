"""Processes that are to help with an audit, started before anybody knows what there will be to do.

Starting one takes as long as the audit of a hundred thousand records, most of it loading modules. So they do that
while the caller does the same, and opens tables; then each reads a line that tells it what is to be audited.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from subprocess import Popen
from typing import Final

from blockdb.process import start_python

WORTHWHILE_BYTES: Final = 16 * 1024 * 1024
"""Starting a process takes as long as the audit of about so much of a chain."""


class Recruits:
    """Processes that wait to be told what to audit, and the memory that they inherit."""

    def __init__(self) -> None:
        self.processes: list[Popen[bytes]] = []
        self._memory: int | None = None

    def start(self, count: int, secret: bytes) -> None:
        """Start so many, or as many as the system gives. `secret` is what it takes to open files that are sealed."""
        if count < 1 or not hasattr(os, "memfd_create"):
            return
        with suppress(OSError):
            self._memory = os.memfd_create("blockdb-audit")
            for _ in range(count):
                self.processes.append(
                    start_python("blockdb.audit.helper", str(self._memory), secret, [self._memory]),
                )

    def share(self, size: int) -> int | None:
        """The descriptor of `size` bytes of memory that all of them have; None where there are none of them."""
        if self._memory is None or not self.processes:
            return None
        try:
            os.truncate(self._memory, max(1, size))
        except OSError:
            self._end()
            return None
        return self._memory

    def _end(self) -> None:
        for process in self.processes:
            end(process)
        self.processes = []

    def close(self) -> None:
        """End all processes."""
        self._end()
        if self._memory is not None:
            os.close(self._memory)
            self._memory = None


def end(process: Popen[bytes]) -> None:
    """End a process, if it has not ended yet, and close its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdout, process.stdin):
        if pipe is not None:
            with suppress(OSError):  # there may be a job that it did not read
                pipe.close()


@contextmanager
def recruits() -> Iterator[Recruits]:
    """Recruits, none of them started yet, who are ended in whatever way this ends."""
    found = Recruits()
    try:
        yield found
    finally:
        found.close()
