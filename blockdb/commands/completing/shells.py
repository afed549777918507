"""Completion for bash, zsh and fish: their lines cut into words, and offers as each of them takes them.

Each gives its line up to the cursor, and gets lines back. bash gets what replaces its own idea of a word, which ends at
each of `COMP_WORDBREAKS` (`users:42` is three of its words); zsh gets the word, a tab, `+` if more of it may follow,
`.` if not, a tab, and what it means; fish gets the word unquoted, a tab, and what it means.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from blockdb.commands.command import Need, Where
from blockdb.commands.display import printable, shortened
from blockdb.commands.failures import DONE, FAILED, USAGE
from blockdb.commands.line import to_bytes
from blockdb.commands.parsing import GLOBAL_ARGUMENTS, destination

from .candidate import Offer
from .matching import BEGINS
from .source import LiveSource, Source
from .words import offered, value_of

if TYPE_CHECKING:
    from blockdb import AnyDatabase

__all__ = ["SHELLS", "Cut", "answers", "cut", "run_for_shell", "source_of"]

T = TypeVar("T")

PATIENCE_S: Final = 0.3
"""How long the database is waited for while somebody holds Tab."""
MEANING_CHARACTERS: Final = 72

_PLAIN: Final = re.compile(r"[\w@%+=:,./^~-]")
_IN_DOUBLE_QUOTES: Final = re.compile(r'["\\$`]')


@dataclass(frozen=True)
class Cut:
    """A line of a shell: the words before the cursor's, and that one: what it says, as it stands, and its open quote.

    `breaks_at` is how many of the characters that it says stand before the last of the characters that part words for
    bash, and are not quoted.
    """

    before: list[str]
    typed: str = ""
    quote: str = ""
    breaks_at: int = 0


def cut(line: str, breaks: str = "") -> Cut:
    """The words of a line as POSIX shells have them, its last quote perhaps open. Nothing is expanded. Never raises."""
    found, said, begun, mark, breaks_at = [], "", False, "", 0
    at = 0
    while at < len(line):
        character = line[at]
        if mark:
            if character == mark:
                mark = ""
            elif character == "\\" and mark == '"' and line[at + 1 : at + 2] in ('"', "\\", "$", "`"):
                at += 1
                said += line[at : at + 1]
            else:
                said += character
        elif character in " \t\n":
            if begun:
                found.append(said)
            said, begun, breaks_at = "", False, 0
            at += 1
            continue
        elif character in "'\"":
            mark = character
        elif character == "\\":
            at += 1
            said += line[at : at + 1]
        else:
            said += character
            if character in breaks:
                breaks_at = len(said)
        begun = True
        at += 1
    return Cut(found, said, mark, breaks_at)


def answers(
    shell: str, line: str, breaks: str = "", source: Callable[[Sequence[str]], Source] | None = None
) -> list[str]:
    """The lines that a shell gets for its own up to the cursor. `source` gives the database that words are about."""
    place = cut(line, breaks)
    before, typed, glued = place.before[1:], place.typed, ""
    flag, equals, value = typed.partition("=")
    if equals and flag.startswith("--"):
        before, typed, glued = [*before, flag], value, f"{flag}="
    found = offered(before, typed, Where.COMMAND_LINE, (source or source_of)(before))
    if glued:
        found = [replace(it, word=glued + it.word) for it in found]
    return _ANSWERS[shell](_single(found), place)


def _single(found: Sequence[Offer]) -> list[Offer]:
    """The same with the first word alone of those that have two, each once: `collection` of `collection list`."""
    firsts = {it.word.partition(" ")[0]: it for it in reversed(found) if it.kind == "plain" and " " in it.word}
    whole = [it for it in found if not (it.kind == "plain" and " " in it.word)]
    return [*whole, *(replace(it, word=word, shown=word, meaning="…") for word, it in reversed(firsts.items()))]


# ── one shell each ──


def _bash(found: Sequence[Offer], place: Cut) -> list[str]:
    near = [it for it in found if it.score >= BEGINS - 1]
    if len(found) > 1:  # else bash would put what they have in common in place of what was typed: nothing, perhaps
        found = near
    lines = []
    for offer in found:
        word = _quoted(offer.word[place.breaks_at :], place.quote, starts_word=not place.breaks_at)
        if word is None or not offer.word.startswith(place.typed[: place.breaks_at]):
            continue
        guard = "-- " if offer.is_literal and not place.quote and not place.breaks_at else ""
        lines.append(guard + word + ("" if offer.goes_on or place.quote else " "))
    if place.quote and len(lines) == 1 and found[0].goes_on:
        lines.append(f"{lines[0]} ")  # else bash would close the quote, and the text be over
    return lines


def _zsh(found: Sequence[Offer], place: Cut) -> list[str]:
    lines = []
    for offer in found:
        word = _quoted(offer.word, place.quote, starts_word=True)
        if word is not None:
            guard = "-- " if offer.is_literal and not place.quote else ""
            lines.append(f"{guard}{word}\t{'+' if offer.goes_on or place.quote else '.'}\t{_told(offer)}")
    return lines


def _fish(found: Sequence[Offer], place: Cut) -> list[str]:
    shown = [it for it in found if printable(it.word) == it.word and not it.is_literal]
    lines = [f"{it.word}\t{_meaning(it)}" for it in shown]
    if len(shown) == 1 and shown[0].goes_on:
        lines.append(f"{shown[0].word} \t{_meaning(shown[0])}")  # else fish would close the quote, and the text be over
    return lines


_ANSWERS: Final[Mapping[str, Callable[[Sequence[Offer], Cut], list[str]]]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
}

SHELLS: Final = tuple(_ANSWERS)


def _meaning(offer: Offer) -> str:
    return shortened(offer.meaning, MEANING_CHARACTERS)


def _told(offer: Offer) -> str:
    return f"{offer.shown}  {_meaning(offer)}".rstrip()


def _quoted(text: str, mark: str, *, starts_word: bool) -> str | None:
    """Text as it stands in a line of bash or zsh, inside of the open quote; None where it cannot stand there."""
    if printable(text) != text:  # it has to be spelled, which only a word of its own can be
        return _spelled(text) if starts_word and not mark and "\0" not in text else None
    if mark == '"':
        return _IN_DOUBLE_QUOTES.sub(r"\\\g<0>", text)
    if mark == "'":
        return None if "'" in text else text
    plain = "".join(it if _PLAIN.match(it) else "\\" + it for it in text)
    return "\\" + plain if starts_word and plain.startswith("~") and "/" not in plain else plain


def _spelled(text: str) -> str:
    shown = (
        it if it.isascii() and it.isprintable() else "".join(f"\\x{byte:02x}" for byte in to_bytes(it)) for it in text
    )
    return "$'" + "".join("\\" + it if it in "\\'" else it for it in shown) + "'"


# ── the answer of a process ──


def run_for_shell(words: Sequence[str]) -> None:
    """Answer a shell that completes, and end the process: somebody waits with a finger on Tab.

    Nothing is said but the answer, whatever goes wrong; and a database that is still being opened is not waited for.
    """
    sys.stdin = None  # nobody is asked for a passphrase in the middle of a line
    if not 2 <= len(words) <= 3 or words[0] not in SHELLS:
        os.write(2, b"Error: Usage: usage: blockdb complete SHELL LINE; `blockdb completions` prints what calls it\n")
        os._exit(USAGE)
    try:
        shell, line, *breaks = words
        lines = (f"{found}\n" for found in answers(shell, line, "".join(breaks)))
        data = "".join(lines).encode("utf-8", "surrogateescape")
        while data:
            data = data[os.write(1, data) :]
    except Exception:
        os._exit(FAILED)
    os._exit(DONE)


# ── the database that is asked ──


def source_of(words: Sequence[str]) -> Source:
    """The database that words of the command line are about, which is not waited for long. Never raises."""
    given = {destination(it): value_of(words, it) for it in GLOBAL_ARGUMENTS if it.takes_value}
    return _Briefly(lambda: _open(given), patience_s=PATIENCE_S)


class _Briefly(LiveSource):
    """Asks once. What this program takes to load is not counted."""

    def _answer(self, ask: Callable[..., Sequence[T]], *words: object) -> Sequence[T]:
        import blockdb.commands.locating
        import blockdb.commands.opening

        blockdb.Database  # noqa: B018  # loads the engine, as naming it does
        return super()._answer(ask, *words)


def _open(given: Mapping[str, Any]) -> AnyDatabase:
    from blockdb.commands.locating import locate
    from blockdb.commands.opening import open_database

    wanted = {name: value if value is None else os.path.expanduser(value) for name, value in given.items()}
    limits = {"attempts": 1, "timeout_s": PATIENCE_S, "connect_timeout_s": PATIENCE_S, "read_timeout_s": PATIENCE_S}
    location = locate(wanted)
    return open_database(location, Need.READ, **limits)
