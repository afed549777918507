r"""`COMMAND \| PROGRAM`: what a command gives goes to a program, as any output that is not a terminal's."""

from __future__ import annotations

import io
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, cast

from blockdb.commands.failures import DONE, IoError, UsageError
from blockdb.commands.line import words
from blockdb.commands.output import Output

if TYPE_CHECKING:
    from .session import Session

__all__ = ["PIPE", "cut", "run_into"]

PIPE = "\\|"


def cut(line: str) -> tuple[str, str | None]:
    r"""A line, and the program behind a `\|` that stands as a word of its own, without quotes (None: there is none).

    Raises `UsageError` if a command or a program is missing.
    """
    mark = next((word for word in words(line) if word.text == PIPE and not word.quote), None)
    if mark is None:
        return line, None
    command, program = line[: mark.start].strip(), line[mark.end :].strip()
    if not command or not program:
        raise UsageError(rf"a {'program' if command else 'command'} is missing; usage: COMMAND \| PROGRAM")
    return command, program


def run_into(session: Session, command: str, program: str) -> int:
    """Run a command, and a program which reads what the command gives. Gives the exit code.

    Raises what the command raises, and `IoError` for a program that fails. One that has read enough is no failure.
    """
    from blockdb.commands.pager import ended  # here: the first prompt does not wait for it

    session.output.flush()
    process = subprocess.Popen(program, shell=True, stdin=subprocess.PIPE)  # a line of the user's own shell, as meant
    try:
        code = _feed(session, command, process)
    finally:
        status = ended(process)
    if status != 0:
        raise IoError(f"the program '{program}' {_told(status)}")
    return code


def _feed(session: Session, command: str, process: subprocess.Popen[bytes]) -> int:
    stream = io.TextIOWrapper(cast("BinaryIO", process.stdin))
    output = Output(words_are_data=session.output.words_are_data, out=stream, theme=session.output.theme)
    output.place = session.output.place
    try:
        with session.showing_on(output):
            return session.perform(command)
    except BrokenPipeError:  # it has read enough
        return DONE
    finally:
        with suppress(BrokenPipeError):
            stream.close()


def _told(status: int) -> str:
    if status > 0:
        return f"ended with exit code {status}"
    return f"was ended by {signal.Signals(-status).name}"
