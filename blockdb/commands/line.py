r"""The language of a line: how the shell, scripts and the explorer's command line cut it into words.

- Blanks separate words. A line whose first character is `#` is a comment.
- A word in single quotes is taken as it stands, up to the next single quote.
- A word in double quotes may hold escapes: `\n \t \r \0 \\ \" \'`, `\xNN` for a byte, `\uNNNN` and
  `\UNNNNNNNN` for a character; so every key and value can be typed. An unknown escape is an error.
- Where there are variables (in the shell), `:{name}` stands for one in a word without quotes and in double quotes. What
  it stands for is not looked at again.
- A word that begins with `{` or `[` goes to the end of the JSON that begins there, if it is whole, blanks and all.
- A quote opens only at the beginning of a word, or after the `=` of a flag (`--prefix="a b"`). Anywhere else quotes
  and backslashes are ordinary characters, so that `it's`, `C:\temp` and `{"a":1}` mean what they look like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from .display import printable
from .failures import UsageError

__all__ = ["Word", "has_variables", "is_blank", "quote", "quoted_start", "split", "to_bytes", "to_text", "words"]

_WORD = re.compile(
    r"(?P<flag>--[A-Za-z0-9-]+=)?"
    r"(?:\"(?P<double>(?:[^\"\\]|\\.)*)(?P<double_end>\"?)|'(?P<single>[^']*)(?P<single_end>'?)|(?P<plain>\S*))"
    r"(?P<rest>\S*)",
    re.ASCII | re.DOTALL,
)
_BLANKS = " \t\r\n\f\v"
_WHOLE_JSON = json.JSONDecoder()
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
_VARIABLE = re.compile(r":\{([A-Za-z0-9_]+)\}")
_BARE = re.compile(r"(?!--)[^\s\"']\S*", re.ASCII)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\", '"': '"', "'": "'"}


class Word(NamedTuple):
    """A word of a line, from `start` to `end`. `problem` says why it is not one that can be run (None: it can).

    `is_open` says that its quote is not closed.
    """

    text: str
    start: int
    end: int
    quote: str
    problem: str | None
    is_open: bool = False


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
    stripped = line.strip(_BLANKS)
    return not stripped or stripped.startswith("#")


def has_variables(line: str) -> bool:
    """Whether `:{name}` stands somewhere in it."""
    return _VARIABLE.search(line) is not None


def split(line: str, variables: Mapping[str, str] | None = None) -> list[str]:
    """The words of a line; `:{name}` stands for a variable, if any can be used (None: none can).

    Raises `UsageError` for an open quote, an unknown escape or an unknown variable.
    """
    found = [] if is_blank(line) else words(line, variables)
    for word in found:
        if word.problem:
            raise UsageError(word.problem)
    return [word.text for word in found]


def words(line: str, variables: Mapping[str, str] | None = None) -> list[Word]:
    """The words of a line that may still be half typed. Never raises; problems are marked on the words."""
    found: list[Word] = []
    position = 0
    while True:
        while position < len(line) and line[position] in _BLANKS:
            position += 1
        if position == len(line):
            return found
        match = _WORD.match(line, position)
        assert match is not None  # the pattern matches anything that is not blank
        end = _end_of_json(line, match.end(), position)
        if end is None:
            found.append(_word(match, variables))
        else:
            text, problem = _replaced(line[position:end], variables)
            found.append(Word(text, position, end, "", problem))
        position = found[-1].end


def _end_of_json(line: str, word_end: int, start: int) -> int | None:
    """The end of the JSON that begins here; None where none does, or where there are no blanks in it."""
    if line[start] not in "{[" or word_end == len(line):
        return None
    try:
        _, end = _WHOLE_JSON.raw_decode(line, start)
    except (ValueError, RecursionError):
        return None
    is_word = end > word_end and line[end : end + 1].strip(_BLANKS) == ""
    return end if is_word else None


def _word(match: re.Match[str], variables: Mapping[str, str] | None) -> Word:
    flag = match["flag"] or ""
    if match["plain"] is not None:
        text, problem = _replaced(match["plain"], variables)
        return Word(flag + text, match.start(), match.end(), "", problem)
    mark = '"' if match["double"] is not None else "'"
    text, problem = _unescape(match["double"], variables) if mark == '"' else (match["single"], None)
    is_open = not (match["double_end"] or match["single_end"])
    if is_open:
        problem = f"the quote {mark} is not closed on its line (in double quotes, \\n is a newline)"
    elif match["rest"]:
        problem = f"there is {match['rest']} right after a closing quote; put a blank between words"
    return Word(flag + text, match.start(), match.end(), mark, problem, is_open)


def _replaced(text: str, variables: Mapping[str, str] | None) -> tuple[str, str | None]:
    """A text with its variables replaced, and what is wrong with them."""
    if variables is None or ":{" not in text:
        return text, None
    unknown = next((name for name in _VARIABLE.findall(text) if name not in variables), None)
    if unknown is not None and unknown.isdigit():
        return text, f"a word is missing: there is none for :{{{unknown}}}"
    if unknown is not None:
        return text, rf"there is no variable {unknown}; \set lists them, and in single quotes :{{{unknown}}} is itself"
    return _VARIABLE.sub(lambda match: variables[match[1]], text), None


def _unescape(text: str, variables: Mapping[str, str] | None) -> tuple[str, str | None]:
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

    def plain(piece: str) -> bytes:
        nonlocal problem
        replaced, trouble = _replaced(piece, variables)
        problem = problem or trouble
        return to_bytes(replaced)

    parts = []
    position = 0
    for match in _ESCAPE.finditer(text):
        parts += [plain(text[position : match.start()]), character(match)]
        position = match.end()
    return to_text(b"".join([*parts, plain(text[position:])])), problem


def quote(data: bytes) -> str:
    """A word that stands for `data` and is safe to show: as it is where it can be, else in double quotes."""
    text = to_text(data)
    if _BARE.fullmatch(text) and printable(text) == text and not _VARIABLE.search(text):
        return text
    quoted = "".join(map(_quoted_character, text))
    return '"' + _VARIABLE.sub(r":\\x7b\1}", quoted) + '"'


def quoted_start(text: str, mark: str) -> str | None:
    """The beginning of a word in quotes of that mark, which stays open, safe to show; None where that cannot say it."""
    if mark == "'":
        return "'" + text if "'" not in text and printable(text) == text else None
    return '"' + "".join(map(_quoted_character, text))


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
