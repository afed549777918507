r"""`\|`: it stands behind a command, where `blockdb_repl.piping` finds it; here it is explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockdb.commands.failures import UsageError

from .directive import Directive

if TYPE_CHECKING:
    from ..session import Session

__all__ = ["DIRECTIVES"]


def _misplaced(_: str) -> None:
    raise UsageError("a command is missing before it")


def _never(_: Session, __: None) -> int:
    raise AssertionError("it is always misplaced")


DIRECTIVES = (
    Directive(
        "|",
        "Give the result of a command to a program.",
        _misplaced,
        _never,
        "PROGRAM …",
        details=r"It stands behind a command, with blanks around it: COMMAND \| PROGRAM. The program is a line of the "
        "system's shell (sh), run as yourself: it may hold pipes of its own, and write files. It reads what a pipe "
        "from the command line would give it: stored bytes as they are, listings as lines of JSON unless --format or "
        r"\format says otherwise, nothing cut off. A program that has read enough is no failure; one that fails is "
        "told with its exit code. Nothing in a result ever becomes part of the program's line, nor do variables. In "
        r"quotes '\|' is a word like any other.",
        examples=(
            (r"scan --all \| wc -l", "Count lines"),
            (r"find \"age > 30\" --format csv \| sort -t, -k2 > people.csv".replace('\\"', '"'), "Sort, and keep"),
        ),
    ),
)
