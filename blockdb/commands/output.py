"""Where output goes: data to standard output, words to standard error, each fit for what stands at its end."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache, cached_property
from typing import BinaryIO, Protocol, TextIO, TypeVar

from .colour import Palette, chosen_theme, palette
from .display import printable
from .failures import IoError, UsageError, describe, pointer

__all__ = ["Output", "is_terminal"]

_NO_COLOURS = Palette()


class Sheet(Protocol):
    """Stands before standard output; while it `holds` what is written, words for standard error wait."""

    @property
    def holds(self) -> bool: ...
    def write(self, data: bytes, /) -> object: ...
    def flush(self) -> None: ...
    def fileno(self) -> int: ...


SheetT = TypeVar("SheetT", bound=Sheet)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person is at the end of this stream; a closed one has nobody."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


class Output:
    """Standard output and standard error, with what is known of them.

    - `on_terminal`: a person reads standard output; all that is stored must be made printable first
    - `words_are_data`: the words of a command ("Successfully stored ...") go to standard output, as the command line
      shows them; a script's go to standard error, so that its standard output is data and nothing else
    - `theme`: the colours (None: those that the environment names)
    - `place`: stands before an error, `line 3` of a script
    """

    def __init__(
        self,
        *,
        words_are_data: bool = True,
        theme: str | None = None,
        out: TextIO | None = None,
        err: TextIO | None = None,
        on_terminal: bool = False,
    ) -> None:
        out, err = out or sys.stdout, err or sys.stderr
        self.on_terminal = on_terminal or is_terminal(out)
        self.words_are_data = words_are_data
        self.place = ""
        self._out = _bytes_of(out)
        self._err = _bytes_of(err)
        self._err_on_terminal = is_terminal(err)
        self._bars = err if self._err_on_terminal else None
        self.theme = theme
        self._sheet: Sheet | None = None
        self._late: list[tuple[str, str]] = []

    @property
    def palette(self) -> Palette:
        """The colours of standard output; none if it is not a terminal."""
        return self._colours if self.on_terminal else _NO_COLOURS

    @cached_property
    def _colours(self) -> Palette:
        if not (self.on_terminal or self._err_on_terminal):
            return _NO_COLOURS
        try:
            return palette(self.theme)
        except UsageError as error:  # data is shown all the same
            if self._err_on_terminal:
                self._err.write(f"Note: no colours: {printable(str(error))}\n".encode())
            return _NO_COLOURS

    @property
    def width(self) -> int | None:
        """The width to fit a table into; None where there is no screen, so that nothing is ever cut."""
        if not self.on_terminal:
            return None
        import shutil

        return shutil.get_terminal_size().columns

    def data(self, data: bytes) -> None:
        """Write bytes to standard output as they are."""
        with _named("standard output"):
            self._out.write(data)

    def line(self, text: str) -> None:
        """Write a line of text, already safe to show, to standard output."""
        self.data(text.encode("utf-8", "surrogateescape") + b"\n")

    def words(self, text: str, role: str = "text") -> None:
        """Say what a command did. It may hold anything; its lines stay lines."""
        if self.words_are_data:
            for line in text.split("\n"):
                self.line(self.palette.paint(role, printable(line)))
        else:
            self.note(text)

    def announce(self, text: str) -> None:
        """Say at once what a command is about to do. No work stops because a word is not heard."""
        with suppress(BrokenPipeError):
            self.words(text)
            self.flush()

    def note(self, text: str, role: str = "text") -> None:
        """Say something to the person, on standard error. It may hold anything; its lines stay lines."""
        for line in text.split("\n"):
            self._note(printable(line), role)

    def _note(self, line: str, role: str) -> None:
        if self._sheet is not None and self._sheet.holds:
            self._late.append((line, role))
            return
        with suppress(BrokenPipeError, IoError):  # that is told when data is written
            self.flush()
        colours = self._colours if self._err_on_terminal else _NO_COLOURS
        late, self._late = self._late, []
        with suppress(OSError):
            for text, its_role in (*late, (line, role)):
                self._err.write(colours.paint(its_role, text).encode() + b"\n")
            self._err.flush()

    def error(self, text: str) -> None:
        """Say what went wrong, and where in a script. It is one line, whatever it holds."""
        line = printable(f"{self.place}: {text}" if self.place else text)
        self._note(line, "error")

    def failure(self, error: BaseException) -> None:
        """Say what went wrong, and below that where in a text that was given."""
        self.error(describe(error))
        if place := pointer(error):
            self.note(place)

    def fileno(self) -> int:
        """The descriptor of standard output. Raises OSError or ValueError where it is not a file of the system."""
        return self._out.fileno()

    def flush(self) -> None:
        """Send what was written on its way. Raises `IoError`, or `BrokenPipeError` when nobody reads any more."""
        with _named("standard output"):
            self._out.flush()

    @contextmanager
    def turned_to(self, make: Callable[[BinaryIO], SheetT]) -> Iterator[SheetT]:
        """Have a sheet, which `make` puts before standard output, take what is written meanwhile."""
        out, sheet = self._out, make(self._out)
        self._out, self._sheet = sheet, sheet  # type: ignore[assignment] # of a stream it has what is used here
        try:
            yield sheet
        finally:
            self._out, self._sheet = out, None
            if self._late:
                self._note(*self._late.pop())

    def use_theme(self, theme: str) -> None:
        """Change the colours. Raises `UsageError` if there is no such theme."""
        chosen_theme(theme)
        self.theme = theme
        self.__dict__.pop("_colours", None)

    def insist_on_reader(self) -> None:
        """Raises `BrokenPipeError` where nobody reads standard output any more: a pipe tells without being written."""
        looking = select.poll()
        try:
            looking.register(self._out.fileno(), 0)
        except (OSError, ValueError):  # not a file of the system
            return
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in looking.poll(0)):
            raise BrokenPipeError

    def progress(self, title: str, total: int | None, unit: str) -> AbstractContextManager[Callable[[int], None]]:
        """A progress bar on standard error if a person is there."""
        if self._bars is None:
            return nullcontext(lambda _done: None)
        return _bar(self._bars, title, total, unit)


def _bytes_of(stream: TextIO | None) -> BinaryIO:
    """The bytes under a stream. A closed one swallows what it is given."""
    if stream is None:
        return open(os.devnull, "wb")
    buffer = stream.buffer
    return _buffered(buffer) if isinstance(buffer, io.RawIOBase) else buffer


@cache  # one for each stream, and kept: as it goes, it would close the stream under it
def _buffered(raw: io.RawIOBase) -> BinaryIO:
    """Buffers for a stream that has none (PYTHONUNBUFFERED), or every line would be a call of the system."""
    return io.BufferedWriter(raw)


@contextmanager
def _named(stream: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise IoError(f"cannot write {stream}: {error.strerror}") from error


@contextmanager
def _bar(stream: TextIO, title: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    amount = DownloadColumn(binary_units=True) if unit == "bytes" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), amount, TimeElapsedColumn())
    with Progress(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task(printable(title), total=total)
        yield lambda done: bar.update(task, completed=done)
