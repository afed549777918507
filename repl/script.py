"""The plain reader: lines from a pipe, a file or the command line, with no terminal library in sight."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from blockdb.commands.failures import DONE, FAILED, USAGE, IoError
from blockdb.commands.feed import lines

from .session import Session

__all__ = ["run_script"]


def run_script(session: Session, sources: Sequence[tuple[str, str]], *, stop_on_error: bool) -> int:
    """Run the lines of every source in turn and give the exit code: of the first failure, or of the worst.

    Raises `IoError` if a file cannot be read, or if nobody reads the output any more.
    """
    worst = DONE
    try:
        for place, line in _numbered(sources):
            session.output.place = place
            code = _too_long(session) if line is None else session.execute(line)
            worst = max(worst, code)
            if session.left or (code != DONE and stop_on_error):
                break
    except BrokenPipeError as error:
        raise IoError(f"standard output was closed at {session.output.place}; what follows did not run") from error
    session.output.place = ""
    left_open = session.leave()
    if left_open is not None:
        session.output.error(f"Error: TransactionClosed: {left_open}")
        worst = max(worst, FAILED)
    return worst


def _too_long(session: Session) -> int:
    session.output.error("Error: Usage: the line is too long")
    return USAGE


def _numbered(sources: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str | None]]:
    """Every line with its place: `line 3`, `setup.txt: line 3`, `-c 2: line 1`. None is a line too long to run."""
    given = 0
    for kind, text in sources:
        if kind == "line":
            given += 1
            found: Iterable[bytes | None] = (line.encode("utf-8", "surrogateescape") for line in text.split("\n"))
            yield from _placed(f"-c {given}: ", found)
        else:
            with ExitStack() as stack:
                yield from _placed("" if text == "-" else f"{text}: ", lines(_opened(text, stack), _nothing, _nothing))


def _placed(before: str, found: Iterable[bytes | None]) -> Iterator[tuple[str, str | None]]:
    for number, line in enumerate(found, 1):
        if line is not None and number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        yield f"{before}line {number}", None if line is None else line.decode("utf-8", "surrogateescape")


def _opened(name: str, stack: ExitStack) -> BinaryIO:
    if name == "-":
        if sys.stdin is None:
            raise IoError("there is no standard input")
        return sys.stdin.buffer
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise IoError(f"cannot read {name}: {error.strerror}") from error


def _nothing(*_: int) -> None:
    return None
