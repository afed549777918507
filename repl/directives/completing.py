"""Completion of backslash commands; of the commands in them, and of all others, `blockdb.commands.completing` knows."""

from __future__ import annotations

from collections.abc import Iterable

from blockdb.commands.completing import Candidate, Source, complete
from blockdb.commands.display import shortened
from blockdb.commands.failures import UsageError
from blockdb.commands.line import quote, to_bytes
from blockdb.errors import BlockDBError

from .table import find, names

__all__ = ["complete_line"]


def complete_line(line: str, cursor: int, source: Source, current: str | None) -> list[Candidate]:
    """What may stand at the cursor of a line, be it a command or a directive, the best first. Never raises."""
    line = line[:cursor]
    start = line.rfind("\n") + 1
    text = line[start:].lstrip()
    name, blank, rest = text.partition(" ")
    if name == "help" and rest.startswith("\\"):
        return _names(rest, cursor)
    if not name.startswith("\\"):
        return complete(line, cursor, source, current)
    if not blank:
        return [*_names(name, cursor), *complete(line, cursor, source, current)]
    try:
        directive = find(name)
        inner = directive.command(rest)
        if inner is None:
            return _choices(directive.choices(), rest, cursor)
    except UsageError:
        return complete(line, cursor, source, current)
    except BlockDBError:  # the choices are in a file that cannot be read
        return []
    if not rest[: len(rest) - len(inner)].strip() and directive.choices():
        return _choices(directive.choices(), rest, cursor)
    return [
        Candidate(found.text, found.start + cursor - len(inner), found.shown, found.meaning, found.score, found.goes_on)
        for found in complete_line(inner, len(inner), source, current)
    ]


def _names(typed: str, cursor: int) -> list[Candidate]:
    found = ((name, directive) for name, directive in names().items() if name.startswith(typed))
    return [Candidate(name, cursor - len(typed), name, shortened(it.summary, 60)) for name, it in found]


def _choices(choices: Iterable[str], typed: str, cursor: int) -> list[Candidate]:
    found = (word for word in choices if word.startswith(typed))
    return [Candidate(quote(to_bytes(word)), cursor - len(typed), word) for word in found]
