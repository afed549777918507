"""What a backslash command is: a declaration from which help, completion and the reference are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blockdb.commands.failures import UsageError
from blockdb.commands.line import is_blank, split, words

if TYPE_CHECKING:
    from ..session import Session

__all__ = ["Directive", "Switch", "a_word", "nothing", "perhaps_a_word", "switch", "the_rest", "word_and_rest"]


@dataclass(frozen=True, eq=False)
class Directive:
    r"""A backslash command, declared once. `name` has no backslash; `takes` is what stands behind it in its usage.

    `parse` makes of the text behind the name what `run` is called with, and does nothing else; it raises `UsageError`.
    `run` does the work in the session and gives the exit code; it raises `blockdb.BlockDBError`.
    """

    name: str
    summary: str
    parse: Callable[[str], Any]
    run: Callable[[Session, Any], int]
    takes: str = ""
    details: str = ""
    examples: tuple[tuple[str, str], ...] = ()
    aliases: tuple[str, ...] = ()
    on_terminal: bool = False
    """Whether it is about a terminal, and makes no sense in a script."""
    command: Callable[[str], str | None] = lambda _: None
    """The end of the text behind the name that is itself a command or a directive (None: there is none)."""
    choices: Callable[[], tuple[str, ...]] = tuple
    """The words that may stand behind the name, for completion."""

    @property
    def usage(self) -> str:
        r"""`\watch SECONDS COMMAND`."""
        return f"\\{self.name} {self.takes}".rstrip()

    def understand(self, text: str) -> Any:
        """What `run` takes. Raises `UsageError`, which tells the usage."""
        try:
            return self.parse(text)
        except UsageError as error:
            raise UsageError(f"{error}; usage: {self.usage}") from None


# How the text behind a name is read.

Switch = bool | None
"""On, off, or (None) the other of the two."""


def nothing(text: str) -> None:
    """No words. Raises `UsageError` if there are any."""
    if not is_blank(text):
        raise UsageError(f"there is {text.strip()} where nothing is expected")


def perhaps_a_word(text: str) -> str | None:
    """One word, or None. Raises `UsageError`."""
    found = split(text)
    if len(found) > 1:
        raise UsageError(f"there is {found[1]} where nothing more is expected")
    return found[0] if found else None


def a_word(text: str) -> str:
    """One word. Raises `UsageError`."""
    found = perhaps_a_word(text)
    if found is None:
        raise UsageError("a word is missing")
    return found


def switch(text: str) -> Switch:
    """`on`, `off`, or nothing. Raises `UsageError`."""
    word = perhaps_a_word(text)
    if word not in (None, "on", "off"):
        raise UsageError(f"{word} is neither on nor off")
    return None if word is None else word == "on"


def the_rest(text: str) -> str:
    """All that is there, as it stands. Raises `UsageError` if that is nothing."""
    if not text.strip():
        raise UsageError("something is missing")
    return text.strip()


def word_and_rest(text: str) -> tuple[str, str]:
    """The first word, and what follows as it stands; either may be empty. Raises `UsageError`."""
    found = words(text)
    if not found:
        return "", ""
    if found[0].problem:
        raise UsageError(found[0].problem)
    return found[0].text, text[found[0].end :].strip()
