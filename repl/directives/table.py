r"""The table of backslash commands: the shell, scripts, completion, `\?` and docs/SHELL.md are drawn from it."""

from __future__ import annotations

from blockdb.commands.command import Where
from blockdb.commands.failures import UsageError
from blockdb.commands.table import names as command_names

from . import as_of, editing, formatting, helping, piping, saving, variables, watching
from .directive import Directive

__all__ = ["DIRECTIVES", "find", "names", "take"]

DIRECTIVES: tuple[Directive, ...] = (
    *helping.DIRECTIVES,
    *formatting.DIRECTIVES,
    *watching.DIRECTIVES,
    *piping.DIRECTIVES,
    *variables.DIRECTIVES,
    *as_of.DIRECTIVES,
    *saving.DIRECTIVES,
    *editing.DIRECTIVES,
)
"""In the order in which they are listed."""


def names() -> dict[str, Directive]:
    r"""The directives by their names and aliases, with the backslash: `\watch`."""
    return {f"\\{name}": directive for directive in DIRECTIVES for name in (directive.name, *directive.aliases)}


def find(name: str) -> Directive:
    r"""The directive of a name such as `\watch`. Raises `UsageError`, which names what comes near."""
    known = names()
    if name in known:
        return known[name]
    import difflib

    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else r"\? lists what there is"
    raise UsageError(f"there is no backslash command {name}; {hint}")


def take(line: str) -> tuple[Directive, str] | None:
    r"""The directive that a line begins with, and the text behind its name; None where it is a command.

    Raises `UsageError` for an unknown one. `\connect`, which is a command by another name, is a command.
    """
    line = line.strip()
    if not line.startswith("\\"):
        return None
    name = line.split(maxsplit=1)[0]
    return None if name in command_names(Where.SHELL) else (find(name), line[len(name) :].strip())
