"""The moment of the past that the lines of a session read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockdb.commands.command import Command, Completes, Need
from blockdb.commands.display import human_time
from blockdb.commands.failures import UsageError
from blockdb.commands.moment import moment_words

if TYPE_CHECKING:
    from blockdb.commands.invocation import Invocation
    from blockdb.commands.standing import Bygone

    from .session import Session

__all__ = ["go_back", "prompt_words"]


def go_back(session: Session, bygone: Bygone, invocation: Invocation) -> None:
    """Have a line read that moment, unless it names its own; of one that cannot go back it is said that it does not.

    Raises `UsageError` for one that writes: what is seen would not be what was written to.
    """
    command, arguments = invocation.command, invocation.arguments
    if command.writes(arguments):
        words = moment_words(bygone.as_of)
        raise UsageError(rf"{command.name} writes, and lines read as of {words}: \asof now first, then write")
    if hasattr(arguments, "as_of"):
        if arguments.as_of is None:
            arguments.as_of = bygone.in_(session.name_of(getattr(arguments, "collection", None)))
    elif command.need not in (Need.NOTHING, Need.CONFIGURATION) and not _names_moments(command):
        session.output.note(rf"{command.name} tells of now: it does not go back (\asof now for all lines).", "warning")


def _names_moments(command: Command) -> bool:
    """Whether a command is told itself which moments it is about."""
    return any(argument.completes is Completes.MOMENT for argument in command.arguments)


def prompt_words(bygone: Bygone) -> str:
    """The moment as it stands in the prompt: `42`, `#1000`, `2026-11-20T10:00:00`."""
    as_of = bygone.as_of
    if as_of.block is not None:
        return str(as_of.block)
    if as_of.sequence is not None:
        return f"#{as_of.sequence}"
    return human_time(as_of.time_ms or 0)[:19].replace(" ", "T")
