"""The history of the shell, as the toolkit wants it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import History

from blockdb.commands.history import LineHistory, kept
from blockdb.commands.line import is_blank, words
from blockdb.commands.secret_words import looks_secret

from .multiline import blocks

__all__ = ["ShellHistory", "kept_of"]

EDIT = r"\e"


def kept_of(text: str) -> str | None:
    """What is kept of what was typed, which may be several commands; None if nothing is."""
    if not text.strip() or text.startswith((" ", "\t")) or looks_secret(text):
        return None
    found: list[str] = []
    for block in blocks(text):
        line = _kept_of_one(block.typed)
        if line is None:
            return None
        found.append(line)
    return "\n".join(found)


def _kept_of_one(line: str) -> str | None:
    """The same of one command, which may stand behind a directive."""
    if is_blank(line):
        return line
    from .directives.table import names as directives  # here: the first prompt does not wait for them

    name = words(line)[0].text
    if not name.startswith("\\"):
        return kept(line)
    before = line[: line.index(name) + len(name)] + " "
    rest = line[len(before) :]
    directive = directives().get(name)
    inner = rest if name == EDIT else None if directive is None else directive.command(rest)
    if not inner:
        return line
    shown = _kept_of_one(inner.lstrip())
    return None if shown is None else f"{before}{rest[: len(rest) - len(inner)]}{shown}"


class ShellHistory(History):
    """The lines of a file, which the explorer's command line keeps its own in too."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._lines = LineHistory(path, kept_of)

    def load_history_strings(self) -> Iterable[str]:
        """The lines, the newest first."""
        return reversed(self._lines.lines())

    def store_string(self, string: str) -> None:
        """Add a line, or what may be kept of it."""
        self._lines.add(string)
