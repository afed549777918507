r"""`\?` and `\q`: what there is, and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockdb.commands.failures import DONE
from blockdb.commands.helptext import columns, wrap

from .directive import Directive, nothing, perhaps_a_word

if TYPE_CHECKING:
    from ..session import Session

__all__ = ["DIRECTIVES", "directive_help", "overview"]


def overview() -> str:
    """All directives, a line each."""
    from .table import DIRECTIVES

    rows = [(directive.usage, directive.summary) for directive in DIRECTIVES]
    more = r"help \NAME explains one of them; help lists the commands of the database."
    return "\n".join(["Backslash commands:", *columns(rows), "", *wrap(more)])


def directive_help(directive: Directive) -> str:
    """Everything about one."""
    lines = [f"Usage: {directive.usage}", "", *wrap(directive.summary)]
    for paragraph in directive.details.split("\n\n") if directive.details else ():
        lines += ["", *wrap(paragraph)]
    if directive.aliases:
        lines += ["", "The same: " + ", ".join(f"\\{name}" for name in directive.aliases)]
    lines += ["", "Examples:"]
    for line, meaning in directive.examples:
        lines += [f"  {line}", f"      {meaning}"]
    return "\n".join(lines)


def _list(session: Session, name: str | None) -> int:
    from .table import find

    session.output.words(overview() if name is None else directive_help(find(f"\\{name.lstrip(chr(92))}")))
    return DONE


def _leave(session: Session, _: None) -> int:
    session.left = True
    return DONE


DIRECTIVES = (
    Directive(
        "?",
        "List the backslash commands, or explain one.",
        perhaps_a_word,
        _list,
        "[NAME]",
        details=r"They are about the shell, and not about the database. help \NAME explains one as well.",
        examples=((r"\?", "All of them"), (r"\? watch", "One of them")),
    ),
    Directive("q", "Leave, as exit does.", nothing, _leave, examples=((r"\q", "Leave"),)),
)
