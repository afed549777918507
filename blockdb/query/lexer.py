"""The words of the filter language: text in, tokens out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal, TypeAlias

from blockdb.documents.paths import Path
from blockdb.errors import InvalidData, QueryError

__all__ = ["KEYWORDS", "MAX_TEXT", "Kind", "Token", "near", "tokens"]

Kind: TypeAlias = Literal["keyword", "path", "text", "number", "parameter", "symbol", "end"]

KEYWORDS: Final = frozenset(
    "and or not in between exists contains starts ends with matches true false null".split()  # noqa: SIM905
)
"""In any case of their letters. A field with such a name stands in double quotes."""

MAX_TEXT: Final = 65_536
"""So many characters a filter may have. What is longer has its values in parameters."""

MAX_DIGITS: Final = 400

_NAME: Final = r"(?:[^\W\d]|\$)[\w$-]*"
_STEP: Final = rf'(?:{_NAME}|"(?:[^"\\\x00-\x1f]|\\.)*")(?:\[\])*'
_TOKEN: Final = re.compile(
    rf"""(?P<path>{_STEP}(?:\.{_STEP})*)
    |(?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![\w$]))
    |(?P<text>'(?:[^']|'')*')
    |(?P<parameter>:[^\W\d]\w*)
    |(?P<symbol><=|>=|!=|=(?!=)|<(?!>)|[>(),])""",
    re.VERBOSE,
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SPACE: Final = re.compile(r"\s*")
_ODD: Final = re.compile(r"==|<>|&&|\|\||[\w$.+-]+|.", re.DOTALL)
_INSTEAD: Final = {
    "==": "write `=`",
    "<>": "write `!=`",
    "&&": "write `and`",
    "||": "write `or`",
    "!": "write `not`",
    "'": "the text has no closing '; a ' inside of it is written twice",
    '"': "the name in double quotes does not end, or is not escaped as in JSON",
    ":": "a parameter is a `:` and a name, as `:city`",
    "?": "a parameter is a `:` and a name, as `:city`",
    "[": "`[]` directly after a name means each member of an array",
}


@dataclass(frozen=True, slots=True)
class Token:
    """A word: `value` is the keyword in small letters, the Path, the text, the number, or the parameter's name."""

    kind: Kind
    value: str | int | float | Path
    position: int
    source: str
    """As it is written."""


def tokens(text: str, keywords: frozenset[str] = KEYWORDS) -> list[Token]:
    """The words of a text, the last of them of kind `end`. Raises QueryError. O(length)."""
    if not isinstance(text, str):
        raise InvalidData(f"A filter is text, not {type(text).__name__}.")
    if len(text) > MAX_TEXT:
        raise QueryError(
            "", 0, f"A filter has at most {MAX_TEXT:,} characters, this has {len(text):,}: use parameters."
        )
    if odd := _SURROGATE.search(text):
        raise QueryError(text, odd.start(), "This is half of a character; no document has that.")
    found: list[Token] = []
    place = _skip(text, 0)
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _odd(text, place)
        found.append(_token(text, match, keywords))
        place = _skip(text, match.end())
    return [*found, Token("end", "", len(text), "")]


def near(word: str, words: Iterable[str]) -> str:
    """`; did you mean …?` where one of the words is like this one, else nothing."""
    like = get_close_matches(word.lower()[:100], sorted(words), n=1, cutoff=0.65)
    return f"; did you mean `{like[0]}`?" if like else ""


def _skip(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _token(text: str, match: re.Match[str], keywords: frozenset[str]) -> Token:
    source, place = match.group(), match.start()
    kind = match.lastgroup
    if kind == "path":
        if source.lower() in keywords:
            return Token("keyword", source.lower(), place, source)
        return Token("path", _path(text, place, source), place, source)
    if kind == "number":
        return Token("number", _number(text, place, source), place, source)
    if kind == "text":
        return Token("text", source[1:-1].replace("''", "'"), place, source)
    if kind == "parameter":
        return Token("parameter", source[1:], place, source)
    return Token("symbol", source, place, source)


def _path(text: str, place: int, source: str) -> Path:
    try:
        return Path.parse(source)
    except InvalidData as error:
        raise QueryError(text, place, str(error)) from None


def _number(text: str, place: int, source: str) -> int | float:
    if len(source) > MAX_DIGITS:
        raise QueryError(text, place, f"A number has at most {MAX_DIGITS} digits.")
    if source.lstrip("-").isdigit():
        return int(source)
    number = float(source)
    if number in (float("inf"), float("-inf")):
        raise QueryError(text, place, "This number is larger than any that a document can have.")
    return number


def _odd(text: str, place: int) -> QueryError:
    match = _ODD.match(text, place)
    word = match.group() if match else text[place]
    hint = _INSTEAD.get(word) or ("write `!=` or `not`" if word == "!" else "")
    return QueryError(text, place, f"`{_shown(word)}` has no meaning here{': ' + hint if hint else ''}.")


def _shown(word: str) -> str:
    return "".join(char if char.isprintable() else "·" for char in word[:40])
