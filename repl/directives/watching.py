r"""`\watch`: the same command again and again."""

from __future__ import annotations

import io
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockdb.commands.display import human_time, printable
from blockdb.commands.failures import DONE, INTERRUPTED, UsageError
from blockdb.commands.output import Output
from blockdb.commands.pager import rows

from .directive import Directive, word_and_rest

if TYPE_CHECKING:
    from ..session import Session

__all__ = ["DIRECTIVES", "Watching"]

USUAL_S = 2.0
LEAST_S, MOST_S = 0.1, 86_400.0
_SECONDS = r"\d{1,6}(?:\.\d{1,6})?(?=\s|$)"
_BEFORE = re.compile(
    rf"(?P<seconds>{_SECONDS})?\s*(?:--times\s+(?P<times>\d{{1,9}})(?=\s|$))?\s*(?P<seconds_behind>{_SECONDS})?\s*",
    re.ASCII,
)
"""What stands before the command. It may be nothing."""


def now_ms() -> int:
    """The time of day."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Watching:
    """What to run, how often, and how many times (None: until ^C)."""

    command: str
    period_s: float
    times: int | None


def _parse(text: str) -> Watching:
    found = _BEFORE.match(text)
    assert found is not None  # it may be empty
    period_s = float(found["seconds"] or found["seconds_behind"] or USUAL_S)
    if not LEAST_S <= period_s <= MOST_S:
        raise UsageError(f"it runs every {LEAST_S:g} to {MOST_S:g} seconds, not every {period_s:g}")
    times = None if found["times"] is None else int(found["times"])
    command = text[found.end() :]
    word, rest = word_and_rest(command)
    if times == 0 or word == "--times":
        raise UsageError(f"--times takes a number from 1 up, not {times if times == 0 else rest or 'nothing'}")
    if not word:
        raise UsageError("a command is missing")
    if word in (r"\watch", r"\q"):
        raise UsageError(f"{word} makes no sense again and again")
    return Watching(command, period_s, times)


def _command(text: str) -> str:
    found = _BEFORE.match(text)
    return text[found.end() :] if found else text


def _watch(session: Session, watching: Watching) -> int:
    done = 0
    show = _in_place if session.output.on_terminal else _appended
    try:
        with show(session, watching) as once:
            while not session.left:
                began = time.monotonic()
                once()
                done += 1
                if done == watching.times:
                    break
                time.sleep(max(watching.period_s - (time.monotonic() - began), 0))
    except KeyboardInterrupt:
        session.output.note(f"Ended; it ran {done} times." if done != 1 else "Ended; it ran once.", "muted")
        return INTERRUPTED
    return DONE


def _heading(watching: Watching) -> str:
    return f"Every {watching.period_s:g} s: {printable(watching.command)}   {human_time(now_ms())}"


@contextmanager
def _appended(session: Session, watching: Watching) -> Iterator[Callable[[], None]]:
    """One result below the other; the headings go to standard error."""

    def once() -> None:
        session.output.note(_heading(watching), "muted")
        session.perform(watching.command)

    yield once


@contextmanager
def _in_place(session: Session, watching: Watching) -> Iterator[Callable[[], None]]:
    """Each result in the place of the one before, on a screen of its own; the last one stays when that has gone."""
    output = session.output
    shown: list[str] = []

    def once() -> None:
        result = _captured(session, watching).decode("utf-8", "surrogateescape").removesuffix("\n")
        shown[:] = _fitting([output.palette.paint("muted", _heading(watching)), *result.split("\n")])
        output.data(_bytes("\x1b[H", *(f"{line}\x1b[K\n" for line in shown), "\x1b[J"))
        output.flush()

    output.data(b"\x1b[?1049h")
    try:
        yield once
    finally:
        output.data(_bytes("\x1b[?1049l", *(f"{line}\n" for line in shown)))
        output.flush()


def _captured(session: Session, watching: Watching) -> bytes:
    """What the command shows on this terminal, words for standard error too."""
    stream = io.TextIOWrapper(io.BytesIO(), write_through=True)
    shown = Output(out=stream, err=stream, on_terminal=True, theme=session.output.theme)
    with session.showing_on(shown):
        session.perform(watching.command)
    data: bytes = stream.buffer.getvalue()
    return data


def _fitting(lines: list[str]) -> list[str]:
    """As many of the lines as the screen holds; where some are left out, the last one says so."""
    size = shutil.get_terminal_size()
    heights = [rows(line, size.columns) for line in lines]
    if sum(heights) < size.lines:
        return lines
    count, used = 0, 0
    while used + heights[count] <= size.lines - 2:
        used += heights[count]
        count += 1
    return [*lines[:count], f"… {len(lines) - count} more lines; --limit, or a taller window"]


def _bytes(*pieces: str) -> bytes:
    return "".join(pieces).encode("utf-8", "surrogateescape")


DIRECTIVES = (
    Directive(
        "watch",
        "Run a command again and again.",
        _parse,
        _watch,
        "[SECONDS] [--times N] COMMAND",
        details=f"Every {USUAL_S:g} seconds, if it is not said how often. On a terminal each result takes the place of "
        "the one before, and what does not fit is counted; elsewhere one follows the other, and headings with the time "
        "go to standard error. It ends with ^C (exit code 130), after N times, or with the first failure.",
        examples=(
            (r"\watch stats", "What is there, every two seconds"),
            (r"\watch 0.5 --times 10 count --prefix order/", "Ten times in five seconds"),
        ),
        command=_command,
    ),
)
