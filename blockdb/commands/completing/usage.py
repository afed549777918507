"""How the command that is being typed is used, and what the argument at the cursor means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blockdb.commands.command import Where
from blockdb.commands.failures import UsageError
from blockdb.commands.line import words
from blockdb.commands.pages import meaning
from blockdb.commands.table import members, take

from .words import argument_at

__all__ = ["Usage", "usage_of"]


@dataclass(frozen=True, slots=True)
class Usage:
    """A line of usage, and what it means: of the argument at the cursor, or, where none is, of the command."""

    usage: str
    meaning: str


def usage_of(line: str, cursor: int, where: Where = Where.SHELL) -> Usage | None:
    """How the command in a line is used; None where there is none yet. Never raises."""
    line = line[:cursor].rpartition("\n")[2]
    found = words(line)
    if not found:
        return None
    said = [word.text for word in found]
    is_typed = found[-1].end == len(line)
    try:
        command, given = take(said, where)
    except UsageError:
        group = members(said[0], where)
        return _group(said[0], [it.name.partition(" ")[2] for it in group]) if group else None
    if is_typed and not given:
        return Usage(command.usage, command.summary)
    argument = argument_at(command, given[:-1] if is_typed else given, said[-1] if is_typed else "", where)
    if argument is None:
        return Usage(command.usage, command.summary)
    return Usage(command.usage, f"{argument.heading}: {meaning(argument, command)}")


def _group(first: str, others: Sequence[str]) -> Usage:
    return Usage(f"{first} {'|'.join(others)}", "Each of them is a command.")
