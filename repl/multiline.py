r"""Commands of several lines, as they are typed or pasted at the prompt.

A command goes on in the next line where a quote is open, where the brackets of JSON are, and where a backslash stands
alone at the end of the line, which is left out. At the prompt Enter in an empty line ends it in any case.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from blockdb.commands.line import is_blank, words

from .piping import PIPE

__all__ = ["Block", "blocks", "is_unfinished"]


@dataclass(frozen=True)
class Block:
    """A command: the number of its first line (from 0), its lines as they were typed, and what is to be run."""

    first: int
    typed: str
    command: str
    goes_on: bool
    """Whether it is not at its end."""


def is_unfinished(text: str) -> bool:
    """Whether the last command of a text goes on in a line that is yet to be typed."""
    return text.rpartition("\n")[2].strip() != "" and next(reversed(list(blocks(text)))).goes_on


def blocks(text: str) -> Iterator[Block]:
    """The commands of a text. Each line belongs to one of them."""
    first, typed, command = 0, "", ""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        typed += line
        command += line
        how = _goes_on(command)
        if how and number + 1 < len(lines):
            typed += "\n"
            command = f"{command.rstrip()[:-1].rstrip()} " if how == "\\" else f"{command}\n"
            continue
        yield Block(first, typed, command, bool(how))
        first, typed, command = number + 1, "", ""


def _goes_on(command: str) -> str:
    """The mark that says that a command goes on: a quote, a bracket or a backslash; empty where there is none."""
    if is_blank(command):
        return ""
    found = words(command)
    if found[-1].text == "\\" and not found[-1].quote:
        return "\\"
    if found[-1].is_open:
        return found[-1].quote
    if any(word.text == PIPE and not word.quote for word in found):  # the system's shell has a language of its own
        return ""
    bracket = next((word for word in found if not word.quote and word.text[:1] in ("{", "[")), None)
    return bracket.text[0] if bracket is not None and _is_open(command[bracket.start :]) else ""


def _is_open(json: str) -> bool:
    """Whether brackets are open at the end of what may become JSON."""
    depth, in_string, escaped = 0, False, False
    for character in json:
        if in_string:
            in_string, escaped = character != '"' or escaped, character == "\\" and not escaped
        elif character == '"':
            in_string = True
        else:
            depth += (character in "{[") - (character in "}]")
    return depth > 0
