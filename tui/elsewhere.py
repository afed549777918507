"""Commands of the command line alone, such as `backup`: run as a process of their own, their output caught as lines."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from blockdb.commands.failures import CANNOT_OPEN, INTERRUPTED

from .running import InThread

if TYPE_CHECKING:
    from blockdb.commands.servers import Server

__all__ = ["Elsewhere"]

GRACE_S = 3.0
"""How long a process that is told to stop has for it."""


class Elsewhere(InThread):
    """One command."""

    def __init__(self, words: Sequence[str], server: Server | None, width: int) -> None:
        """`words` are those of the command line; `server` is the one they are about, whose token is handed on."""
        super().__init__(width)
        self._command = [sys.executable, "-m", "blockdb.commands.main", *words]
        self._server = server
        self._process: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """Interrupts it, as ^C does; where that does not help in time, it is ended by force. Waits for nothing."""
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            threading.Thread(target=_end, args=(process,), name="explorer-command-end", daemon=True).start()

    def _run(self) -> None:
        try:
            environment = dict(os.environ)
            if self._server is not None and (token := self._server.secret()) is not None:
                environment["BLOCKDB_TOKEN"] = token
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            self.caught.note(f"It cannot be started: {error.strerror or error}", "error")
            self.exit_code = CANNOT_OPEN
            return
        self._listen(self._process)

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process, suppress(BrokenPipeError):
            for line in process.stdout:
                text = line.decode("utf-8", "surrogateescape").rstrip("\n")
                self.caught.note(text, "error" if text.startswith("Error: ") else "text")
                if self.caught.is_full:
                    self.stop()
        self.exit_code = INTERRUPTED if process.returncode < 0 else process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
