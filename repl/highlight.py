"""The colours of the line that is being typed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer

from blockdb.commands.colour import json_spans
from blockdb.commands.command import Where
from blockdb.commands.line import Word, is_blank, words
from blockdb.commands.table import members, names

__all__ = ["LineLexer"]


class LineLexer(Lexer):
    """Marks commands, flags, quoted words, JSON, and what cannot be run."""

    def __init__(self) -> None:
        self._commands = set(names(Where.SHELL))
        self._first_words = {name.partition(" ")[0] for name in self._commands}

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """The styled pieces of each line of the input."""

        def line(number: int) -> StyleAndTextTuples:
            return list(self._pieces(document.lines[number])) if number < len(document.lines) else []

        return line

    def _pieces(self, line: str) -> Iterator[tuple[str, str]]:
        if is_blank(line):
            yield "class:json.muted", line
            return
        position = 0
        command = ""
        for index, word in enumerate(words(line)):
            yield "", line[position : word.start]
            if index == 0 or (index == 1 and members(command, Where.SHELL)):
                command = f"{command} {word.text}".strip()
                yield self._command_style(command, word.end == len(line)), line[word.start : word.end]
            else:
                yield from self._word(line, word)
            position = word.end
        yield "", line[position:]

    def _command_style(self, command: str, is_last: bool) -> str:
        if command in self._commands or command in self._first_words:
            return "class:command"
        return "" if is_last and any(name.startswith(command) for name in self._commands) else "class:problem"

    def _word(self, line: str, word: Word) -> Iterator[tuple[str, str]]:
        text = line[word.start : word.end]
        if word.problem and word.end != len(line):
            yield "class:problem", text
        elif text.lstrip("'")[:1] in ("{", "["):
            for role, piece in json_spans(text):
                yield f"class:json.{role}", piece
        elif word.quote:
            yield "class:quoted", text
        else:
            yield ("class:flag" if text.startswith("-") and len(text) > 1 else ""), text
