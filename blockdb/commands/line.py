r"""The language of a line: how the shell, scripts and the explorer's command line cut it into words.

- Blanks separate words. A line whose first character is `#` is a comment.
- A word in single quotes is taken as it stands, up to the next single quote.
- A word in double quotes may hold escapes: `\n \t \r \0 \\ \" \'`, `\xNN` for a byte, `\uNNNN` and
  `\UNNNNNNNN` for a character; so every key and value can be typed. An unknown escape is an error.
- A quote opens only at the beginning of a word, or after the `=` of a flag (`--prefix="a b"`). Anywhere else quotes
  and backslashes are ordinary characters, so that `it's`, `C:\temp` and `{"a":1}` mean what they look like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .display import printable
from .failures import UsageError

__all__ = ["Word", "is_blank", "quote", "split", "to_bytes", "to_text", "words"]

_WORD = re.compile(
    r"(?P<flag>--[A-Za-z0-9-]+=)?"
    r"(?:\"(?P<double>(?:[^\"\\]|\\.)*)(?P<double_end>\"?)|'(?P<single>[^']*)(?P<single_end>'?)|(?P<plain>\S*))"
    r"(?P<rest>\S*)",
    re.ASCII | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
_BARE = re.compile(r"(?!--)[^\s\"']\S*", re.ASCII)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\", '"': '"', "'": "'"}


@dataclass(frozen=True)
class Word:
    """A word of a line, from `start` to `end`. `problem` says why it is not one that can be run (None: it can)."""

    text: str
    start: int
    end: int
    quote: str
    problem: str | None


def to_bytes(text: str) -> bytes:
    """The bytes that a word stands for; the inverse of `to_text`. Raises `UsageError` for half of a surrogate pair."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise UsageError("there is half of a surrogate pair, which is no character") from error


def to_text(data: bytes) -> str:
    """A word that stands for these bytes, whatever they are."""
    return data.decode("utf-8", "surrogateescape")


def is_blank(line: str) -> bool:
    """Whether the line says nothing: empty, or a comment."""
    stripped = line.strip(" \t\r\n\f\v")
    return not stripped or stripped.startswith("#")


def split(line: str) -> list[str]:
    """The words of a line. Raises `UsageError` for an open quote or an unknown escape."""
    found = [] if is_blank(line) else words(line)
    for word in found:
        if word.problem:
            raise UsageError(word.problem)
    return [word.text for word in found]


def words(line: str) -> list[Word]:
    """The words of a line that may still be half typed. Never raises; problems are marked on the words."""
    found: list[Word] = []
    position = 0
    while True:
        while position < len(line) and line[position] in " \t\r\n\f\v":
            position += 1
        if position == len(line):
            return found
        match = _WORD.match(line, position)
        assert match is not None  # the pattern matches anything that is not blank
        found.append(_word(match))
        position = match.end()


def _word(match: re.Match[str]) -> Word:
    flag = match["flag"] or ""
    if match["plain"] is not None:
        return Word(flag + match["plain"], match.start(), match.end(), "", None)
    mark = '"' if match["double"] is not None else "'"
    text, problem = _unescape(match["double"]) if mark == '"' else (match["single"], None)
    if not (match["double_end"] or match["single_end"]):
        problem = f"the quote {mark} is not closed on its line (in double quotes, \\n is a newline)"
    elif match["rest"]:
        problem = f"there is {match['rest']} right after a closing quote; put a blank between words"
    return Word(flag + text, match.start(), match.end(), mark, problem)


def _unescape(text: str) -> tuple[str, str | None]:
    problem = None

    def character(match: re.Match[str]) -> bytes:
        nonlocal problem
        code = match[1]
        if code in _SIMPLE:
            return _SIMPLE[code].encode()
        point = int(code[1:], 16) if len(code) > 1 else -1
        if code[0] == "x" and point >= 0:
            return bytes([point])
        if 0 <= point < 0x110000 and not 0xD800 <= point < 0xE000:
            return chr(point).encode()
        problem = f"unknown escape \\{code} in double quotes; use single quotes, or \\\\ for a backslash"
        return b""

    parts = []
    position = 0
    for match in _ESCAPE.finditer(text):
        parts += [to_bytes(text[position : match.start()]), character(match)]
        position = match.end()
    return to_text(b"".join([*parts, to_bytes(text[position:])])), problem


def quote(data: bytes) -> str:
    """A word that stands for `data` and is safe to show: as it is where it can be, else in double quotes."""
    text = to_text(data)
    if _BARE.fullmatch(text) and printable(text) == text:
        return text
    return '"' + "".join(map(_quoted_character, text)) + '"'


def _quoted_character(character: str) -> str:
    if character in '\\"':
        return "\\" + character
    if character == " " or printable(character) == character:
        return character
    for letter in "ntr":
        if _SIMPLE[letter] == character:
            return "\\" + letter
    point = ord(character)
    if 0xDC80 <= point <= 0xDCFF:
        return f"\\x{point - 0xDC00:02x}"
    return f"\\x{point:02x}" if point < 0x80 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
