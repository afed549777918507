"""One node of the demonstration: a process that can be killed, stopped where it stands, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path

from blockdb.errors import InvalidData, Unavailable

__all__ = ["DemoNode"]

END_S = 10.0
LAST_BYTES = 4_096
SETTINGS = {"BLOCKDB_BLOCKCHAIN_BATCH_SIZE": "50"}
"""Blocks so small that they are sealed before the eyes."""
_PACKAGE_ROOT = Path(__file__).absolute().parents[3]


class DemoNode:
    """A node, its directory, and its process, as long as it has one.

    `spawner` is a thread that lives as long as the program: Linux ends a child that asks for it with the thread that
    made it.
    """

    def __init__(self, id_: str, directory: Path, words: Sequence[str], spawner: Executor) -> None:
        """`words` are those of the `blockdb` command that it is."""
        self.id = id_
        self.log = directory / f"{id_}.log"
        self._directory = directory
        self._words = words
        self._spawner = spawner
        self._process: subprocess.Popen[bytes] | None = None
        self._is_paused = False

    @property
    def fault(self) -> str:
        """`killed`, `ended` (by itself), `paused`, or nothing."""
        process = self._process
        if process is None:
            return "killed"
        if process.poll() is not None:
            return "ended"
        return "paused" if self._is_paused else ""

    @property
    def pid(self) -> int | None:
        """Its process, while there is one."""
        return None if self.fault in ("killed", "ended") or self._process is None else self._process.pid

    def last_words(self) -> str:
        """The end of what it logged, in a line."""
        with suppress(OSError), self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - LAST_BYTES))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""

    def start(self) -> None:
        """Start its process, if it has none. Raises InvalidData where it runs, OSError."""
        if self.fault not in ("killed", "ended"):
            raise InvalidData(f"{self.id} is running; kill it first.")
        self._is_paused = False
        self._process = self._spawner.submit(self._spawn).result()

    def _spawn(self) -> subprocess.Popen[bytes]:
        """A process that will end with this one: it has told so when this returns."""
        path = os.pathsep.join(filter(None, (str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH"))))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BLOCKDB_")}
        child = [sys.executable, "-m", "blockdb.cluster.demo.child", str(os.getpid())]
        settled, settles = os.pipe()
        with self.log.open("ab") as log, os.fdopen(settled, "rb") as waiting:
            try:
                process = subprocess.Popen(
                    [*child, str(settles), "-m", "blockdb.commands.main", *self._words],
                    cwd=self._directory,
                    env={**kept, **SETTINGS, "PYTHONPATH": path},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(settles,),
                    start_new_session=True,  # an interrupt typed at the terminal is for the program
                )
            finally:
                os.close(settles)
            waiting.read()
        return process

    def kill(self) -> None:
        """End it at once, as a power cut of its machine would. Raises InvalidData where it does not run."""
        process = self._running()
        process.kill()  # also one that is stopped
        process.wait(END_S)
        self._process, self._is_paused = None, False

    def pause(self) -> None:
        """Stop it where it stands. Raises InvalidData where it does not run."""
        self._running().send_signal(signal.SIGSTOP)
        self._is_paused = True

    def resume(self) -> None:
        """Let it go on. Raises InvalidData where it does not run."""
        self._running().send_signal(signal.SIGCONT)
        self._is_paused = False

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise InvalidData(f"{self.id} does not run; start it first.")
        return self._process

    def ask_to_end(self) -> None:
        """Tell it to end in order."""
        process = self._process
        if process is not None and process.poll() is None:
            if self._is_paused:
                self.resume()
            process.terminate()

    def close(self) -> None:
        """See it end, by force if it takes too long. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
        process.kill()
        process.wait(END_S)


def unavailable(node: DemoNode) -> Unavailable:
    """That a node ended by itself, with what it said last."""
    return Unavailable(f"{node.id} has ended by itself: {node.last_words() or 'it said nothing'} (its log: {node.log})")
