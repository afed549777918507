"""The parent's side of tests/fault/children.py."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0


class Child:
    """A forked process that is asked for by `Family.start`, and what it says."""

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        self._server = server
        self._pending = b""
        self._waiting: deque[bytes] = deque()
        self.said: list[list[str]] = []
        self.pid = self._hear_pid()

    def _hear_pid(self) -> int:
        """The server tells the pid; a child that is quick may speak before it, and is heard afterwards."""
        early: list[bytes] = []
        for line in self._lines(monotonic() + PATIENCE_S):
            if line[0] == "pid":
                self.said = [line]
                self._waiting.extendleft(reversed(early))
                return int(line[1])
            early.append(" ".join(line).encode())
        raise AssertionError("the server did not tell the pid of the child")

    def wait_for(self, word: str, times: int = 1) -> list[str]:
        """The line that begins with `word`, once it comes up; the last one of so many."""
        for _ in range(times):
            line = self.wait_for_any(word)
        return line

    def wait_for_any(self, *words: str) -> list[str]:
        """The next line that begins with one of these words."""
        for line in self._lines(monotonic() + PATIENCE_S):
            if line[0] in words:
                return line
            if line[0] == "dead":
                break
        raise AssertionError(f"the child did not say {words} but {self.said[-3:]}")

    def listen(self, seconds: float) -> None:
        """Hear what it says for so long, or until it ends."""
        for line in self._lines(monotonic() + seconds):
            if line[0] == "dead":
                return

    def kill(self, may_fail_with: Sequence[str] = ()) -> None:
        """Kill it, and hear everything that it said before."""
        if self.said[-1] != ["dead"]:
            with suppress(ProcessLookupError):  # it came to its end meanwhile
                os.kill(self.pid, signal.SIGKILL)
            self.wait_for("dead")
        failures = [line for line in self.said if line[0] == "failed" and line[1] not in may_fail_with]
        assert not failures, failures

    def finish(self) -> None:
        """Let it come to its end."""
        if self.said[-1] != ["dead"]:
            self.wait_for("dead")

    def _lines(self, deadline: float) -> Iterator[list[str]]:
        assert self._server.stdout is not None
        descriptor = self._server.stdout.fileno()
        while True:
            while self._waiting:
                self.said.append(self._waiting.popleft().decode().split())
                yield self.said[-1]
            if not select.select([descriptor], [], [], max(deadline - monotonic(), 0))[0]:
                return
            *complete, self._pending = (self._pending + os.read(descriptor, 65_536)).split(b"\n")
            self._waiting.extend(complete)


class Family:
    """A fork server. One child at a time."""

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        self._server = server

    def start(self, job: str, path: Path, **arguments: Any) -> Child:
        """Fork a child that does this job."""
        assert self._server.stdin is not None
        asked = {"job": job, "path": str(path), **arguments}
        self._server.stdin.write(json.dumps(asked).encode() + b"\n")
        self._server.stdin.flush()
        return Child(self._server)


@contextmanager
def family() -> Iterator[Family]:
    """A fork server for as long as the context lasts."""
    command = [sys.executable, "-c", "from tests.fault.children import main; main()"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        try:
            yield Family(server)
        finally:
            server.kill()
