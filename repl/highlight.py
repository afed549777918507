"""The colours of the line that is being typed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer

from blockdb.commands.colour import json_spans
from blockdb.commands.command import Where
from blockdb.commands.line import Word, is_blank, words
from blockdb.commands.table import available

__all__ = ["LineLexer"]


class LineLexer(Lexer):
    """Marks commands, flags, quoted words, JSON, and what cannot be run."""

    def __init__(self) -> None:
        self._commands = {name for command in available(Where.SHELL) for name in (command.name, *command.aliases)}

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
        for index, word in enumerate(words(line)):
            yield "", line[position : word.start]
            yield from self._word(line, word, is_command=index == 0)
            position = word.end
        yield "", line[position:]

    def _word(self, line: str, word: Word, is_command: bool) -> Iterator[tuple[str, str]]:
        text = line[word.start : word.end]
        if is_command:
            known = word.text in self._commands
            half_typed = word.end == len(line) and any(name.startswith(word.text) for name in self._commands)
            yield ("class:command" if known else "" if half_typed else "class:problem"), text
        elif word.problem and word.end != len(line):
            yield "class:problem", text
        elif text.lstrip("'")[:1] in ("{", "["):
            for role, piece in json_spans(text):
                yield f"class:json.{role}", piece
        elif word.quote:
            yield "class:quoted", text
        else:
            yield ("class:flag" if text.startswith("-") and len(text) > 1 else ""), text
