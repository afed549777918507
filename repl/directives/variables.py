r"""`\set` and `\unset`: words to use in later lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from blockdb.commands.display import printable
from blockdb.commands.failures import DONE, UsageError
from blockdb.commands.line import split
from blockdb.commands.secret_words import looks_secret

from .directive import Directive, a_word, word_and_rest

if TYPE_CHECKING:
    from ..session import Session

__all__ = ["DIRECTIVES"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HIDDEN = "(not shown)"


def _assignment(text: str) -> tuple[str, str] | None:
    name, value = word_and_rest(text)
    if not name:
        return None
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name} is no name: letters, digits and _, and no digit first")
    if not value:
        raise UsageError(rf"a value is missing ('' is an empty one, and \unset {name} forgets it)")
    if len(split(value)) != 1:
        raise UsageError("the value is one word; put it into quotes")
    return name, value


def _set(session: Session, given: tuple[str, str] | None) -> int:
    if given is None:
        for name, value in sorted(session.variables.items()):
            session.output.line(f"{name} = {_HIDDEN if looks_secret(name) else printable(value)}")
        return DONE
    name, value = given
    [session.variables[name]] = split(value, session.known())
    return DONE


def _unset(session: Session, name: str) -> int:
    if session.variables.pop(name, None) is None:
        raise UsageError(rf"there is no variable {name}; \set lists those that there are")
    return DONE


DIRECTIVES = (
    Directive(
        "set",
        "Set a variable, or list them all.",
        _assignment,
        _set,
        "[NAME VALUE]",
        details="VALUE is one word, quoted as in any line. :{NAME} stands for it in later lines: in words without "
        "quotes and in double quotes, and not in single quotes, where all is literal. What it stands for stays part of "
        r"the one word, whatever it holds: nothing in it is looked at again. A name that was not set is an error; "
        r"':{NAME}' in single quotes, or :\x7bNAME} in double ones, is the text itself. Of a variable with a name "
        "like a secret's the value is not listed, and the line is not kept in the history.",
        examples=(
            (r'\set day "2024-01-15"', "Set it"),
            ("scan --prefix order/:{day}/", "Use it"),
            (r"\set", "List them"),
        ),
    ),
    Directive("unset", "Forget a variable.", a_word, _unset, "NAME", examples=((r"\unset day", "Forget day"),)),
)
