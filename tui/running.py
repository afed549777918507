"""A command of the explorer's command line at work: in its own thread, its output caught as lines, stopped by force.

It goes the way of the command line and the shell (`Invocation`, `Context`, `render`); only its end is another one.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from blockdb.commands.colour import Palette
from blockdb.commands.display import human_bytes, human_count, printable
from blockdb.commands.failures import DONE, INTERRUPTED, exit_code
from blockdb.commands.output import Output
from blockdb.commands.render import render
from blockdb.commands.results import Live

from .keytext import visible

if TYPE_CHECKING:
    from blockdb import AnyDatabase
    from blockdb.commands.context import Context
    from blockdb.commands.invocation import Invocation

__all__ = ["MOST_LINES", "WRAPPED", "Caught", "InThread", "Running", "Span"]

MOST_LINES = 10_000
MOST_CHARACTERS = 4_000_000
"""What is kept of an output; a command that gives more is stopped, and of one that goes on for ever the oldest go."""

WRAPPED = ("text", "")
"""Stands last in a row that goes on in the next one, because the pane is no wider."""

_BEGIN, _SAID, _END = "\x01", "\x02", "\x03"
_MARK = re.compile("\x01([a-z.]*)\x02|\x03")

Span = tuple[str, str]
"""A role, and a piece of text in its colour that is safe to show."""


class _Roles(Palette):
    """Marks text with its role, so that it is painted when it is drawn, in the theme that is worn then.

    The marks are control characters, which no text has that is safe to show.
    """

    def __bool__(self) -> bool:
        return True

    def paint(self, role: str, text: str) -> str:
        """The text between marks."""
        return f"{_BEGIN}{role}{_SAID}{text}{_END}" if text else text


class Caught:
    """The lines of an output, as rows of a width; whoever draws them reads while they come."""

    def __init__(self, width: int) -> None:
        self.width = max(width, 20)
        self.rows: deque[tuple[Span, ...]] = deque()
        self.gone = 0
        """How many rows went at the beginning, of an output that goes on for ever."""
        self.is_full = False
        """Whether there was more than is kept, and the rest is not known."""
        self.rolls = False
        self._characters = 0
        self._role = "text"
        self._row: list[Span] = []
        self._cells = 0

    def take(self, text: str) -> None:
        """Adds text with its marks. Raises `BrokenPipeError` where no more is kept, as `head` does."""
        place = 0
        for match in _MARK.finditer(text):
            self._add(text[place : match.start()])
            self._role = match[1] or "text"
            place = match.end()
        self._add(text[place:])

    def note(self, text: str, role: str) -> None:
        """Adds a line of words, also where no more is kept."""
        if self._row:
            self._end_row()
        self._role = role
        self._piece(text)
        self._end_row()
        self._role = "text"

    def text(self) -> str:
        """What is kept, in lines as they were given, however wide the pane was."""
        rows = ["".join(text for _, text in row) + ("" if row[-1:] == (WRAPPED,) else "\n") for row in [*self.rows]]
        return "".join(rows)

    def _add(self, text: str) -> None:
        first, *others = text.split("\n")
        self._piece(first)
        for line in others:
            self._end_row()
            if self.is_full:
                raise BrokenPipeError
            self._piece(line)

    def _piece(self, text: str) -> None:
        text = text if text.isprintable() else visible(text)
        while text:
            room = self.width - self._cells
            head = text[:room] if text.isascii() else _fitting(text, room)
            if not head:
                self._row.append(WRAPPED)
                self._end_row()
                continue
            self._row.append((self._role, head))
            self._cells += len(head) if head.isascii() else cell_len(head)
            text = text[len(head) :]

    def _end_row(self) -> None:
        self._characters += sum(len(text) for _, text in self._row)
        self.rows.append(tuple(self._row))
        self._row, self._cells = [], 0
        if len(self.rows) <= MOST_LINES and self._characters <= MOST_CHARACTERS:
            return
        if self.rolls:
            self._characters -= sum(len(text) for _, text in self.rows.popleft())
            self.gone += 1
        else:
            self.rows.pop()
            self.is_full = True


def _fitting(text: str, room: int) -> str:
    """The beginning of a text that fits into so many cells."""
    cells = 0
    for at, character in enumerate(text):
        cells += cell_len(character)
        if cells > room:
            return text[:at]
    return text


class _Stream:
    """What a command takes for a terminal."""

    def __init__(self, caught: Caught) -> None:
        self._caught = caught
        self.buffer = self

    def isatty(self) -> bool:
        return False

    def write(self, data: bytes) -> int:
        self._caught.take(data.decode("utf-8", "surrogateescape"))
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def fileno(self) -> int:
        raise OSError("it is no file of the system")


class _Output(Output):
    """Where a command's output goes in the explorer: as on a terminal of the pane's width."""

    def __init__(self, caught: Caught) -> None:
        stream: Any = _Stream(caught)
        super().__init__(out=stream, err=stream, on_terminal=True)
        self._caught = caught

    @property
    def palette(self) -> Palette:
        return _Roles()

    @property
    def width(self) -> int:
        return self._caught.width

    def _note(self, line: str, role: str) -> None:
        self._caught.note(line, role)


class InThread:
    """A command that runs in a thread of its own."""

    progress = ""
    """How far it is, in words that are fit to be shown; empty where nobody knows."""

    def __init__(self, width: int) -> None:
        """What it prints is wrapped at `width` cells."""
        self.caught = Caught(width)
        self.exit_code = INTERRUPTED
        self._thread = threading.Thread(target=self._run, name="explorer-command", daemon=True)

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def start(self) -> None:
        """Begins, and comes back at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it where it stands; from any thread, and waits for nothing."""
        raise NotImplementedError

    def _run(self) -> None:
        raise NotImplementedError


class Running(InThread):
    """One command: `start` begins it, `stop` ends it. `exit_code` says how it ended, once it is `done`."""

    def __init__(
        self,
        invocation: Invocation,
        context: Context,
        opened: Callable[[], AbstractContextManager[AnyDatabase]],
        width: int,
    ) -> None:
        """`opened` gives the database for as long as the command runs; `context` is given that one."""
        super().__init__(width)
        self._invocation, self._context, self._opened = invocation, context, opened
        self._output = _Output(self.caught)
        self._lock = threading.Lock()
        self._can_be_stopped = True

    def stop(self) -> None:
        """Ends it where it stands, as ^C ends a command of the shell; from any thread, and waits for nothing."""
        with self._lock:
            if self._can_be_stopped and self._thread.is_alive() and self._thread.ident is not None:
                thread, error = ctypes.c_ulong(self._thread.ident), ctypes.py_object(KeyboardInterrupt)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, error)

    # ── the thread ──

    def _run(self) -> None:
        with suppress(KeyboardInterrupt):  # one that comes too late
            try:
                self.exit_code = self._perform()
            except KeyboardInterrupt:
                self.caught.note("Stopped.", "warning")
            with self._lock:
                self._can_be_stopped = False

    def _perform(self) -> int:
        try:
            with self._opened() as database:
                context = replace(
                    self._context,
                    open_database=lambda: database,
                    announce=self._output.announce,
                    progress=self._bar,
                )
                result = self._invocation.run(context)
                self.caught.rolls = isinstance(result, Live)
                render(result, self._output, self._invocation.format or self._invocation.command.default_format)
                self._output.flush()
            return result.exit_code
        except BrokenPipeError:
            return DONE
        except Exception as error:
            self._output.failure(error)
            return exit_code(error)

    @contextmanager
    def _bar(self, title: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
        size = human_bytes if unit == "bytes" else human_count
        of = "" if total is None else f" of {size(total)}"

        def advance_to(done: int) -> None:
            self.progress = f"{printable(title)}: {size(done)}{of}"

        yield advance_to
        self.progress = ""
