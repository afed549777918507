"""Long output on a terminal, a page at a time, in the user's pager; never where something else reads it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, Final

from .failures import IoError

if TYPE_CHECKING:
    from .output import Output

__all__ = ["OFF", "ended", "paged", "pager_command", "rows"]

OFF: Final = "off"
_NONE = ("", OFF, "cat")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def pager_command(environ: Mapping[str, str] = os.environ) -> str | None:
    """The pager: BLOCKDB_PAGER, else PAGER, else less; None where these say `off` or nothing, or it is not there."""
    command = environ.get("BLOCKDB_PAGER", environ.get("PAGER", "less -FRX")).strip()
    if command in _NONE:
        return None
    try:
        program = shlex.split(command)[0]
    except (ValueError, IndexError):
        return None
    return command if shutil.which(program, path=environ.get("PATH")) else None


def rows(text: str, columns: int) -> int:
    """How many rows of a screen a line takes, its colours left out."""
    return max(-(-len(_COLOURS.sub("", text)) // max(columns, 1)), 1)


def _is_ours(output: Output) -> bool:
    """Whether somebody can answer a pager there: on a terminal that moves its cursor, and not in the background."""
    try:
        return os.environ.get("TERM", "dumb") != "dumb" and os.tcgetpgrp(output.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # it is no terminal that this process is in charge of
        return False


@contextmanager
def paged(output: Output, *, wanted: bool = True) -> Iterator[None]:
    """Show what is written meanwhile in the pager if it is longer than the screen, and wait until the user leaves it.

    That is so on a terminal that a pager can use, if there is one; else nothing changes. What is flushed before a
    screen is full is shown at once, and no pager after that: it comes as it happens. To leave the pager early is no
    error: the rest of what stands in the block is left out then. Words for standard error wait until it has gone.
    """
    command = pager_command() if wanted and output.on_terminal and _is_ours(output) else None
    if command is None:
        yield
        return
    with output.turned_to(lambda out: _Sheet(out, command)) as sheet:
        try:
            yield
        except BrokenPipeError:
            if not sheet.was_left:
                raise
        finally:
            sheet.finish()


class _Sheet:
    """What is written, kept until it is more than a screen; then it goes to the pager."""

    def __init__(self, out: BinaryIO, command: str) -> None:
        size = shutil.get_terminal_size()
        self._out = out
        self._command = command
        self._columns = size.columns
        self._free = size.lines - 1
        self._kept: list[bytes] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._is_passing = False
        self.was_left = False
        """Whether the user has left the pager before the end."""

    @property
    def holds(self) -> bool:
        """Whether what is written is not on the screen yet, or the screen is the pager's."""
        return not self._is_passing

    def write(self, data: bytes) -> None:
        """Take some of the output."""
        if self._is_passing:
            self._out.write(data)
        elif self._process is not None:
            self._feed(data)
        else:
            self._kept.append(data)
            lines = data.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
            self._free -= sum(rows(line, self._columns) for line in lines)
            if self._free < 0:
                self._begin()

    def _begin(self) -> None:
        environment = {"LESS": "FRX", "LESSCHARSET": "utf-8", **os.environ}
        self._out.flush()
        try:  # a shell runs it, as it does for every program that uses PAGER
            self._process = subprocess.Popen(self._command, shell=True, stdin=subprocess.PIPE, env=environment)
        except OSError as error:
            self._pass()
            raise IoError(f"cannot run the pager {self._command}: {error.strerror or error}") from error
        kept, self._kept = b"".join(self._kept), []
        self._feed(kept)

    def _feed(self, data: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
        except BrokenPipeError:
            self.was_left = True
            raise

    def _pass(self) -> None:
        self._is_passing = True
        kept, self._kept = b"".join(self._kept), []
        self._out.write(kept)

    def flush(self) -> None:
        """Show what is kept, and everything that comes as it comes: no pager after that."""
        if self._process is None:
            if not self._is_passing:
                self._pass()
            self._out.flush()

    def fileno(self) -> int:
        """The terminal's."""
        return self._out.fileno()

    def finish(self) -> None:
        """Show what is kept, or wait for the pager."""
        if self._process is None:
            self.flush()
            return
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        ended(self._process)
        self._is_passing = True


def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for a program that has the terminal, and give its exit code. ^C is its own business meanwhile."""
    if threading.current_thread() is not threading.main_thread():
        return process.wait()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
