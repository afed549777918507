"""The colours of the line that is being typed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer

from blockdb.commands.colour import json_spans
from blockdb.commands.command import Where
from blockdb.commands.line import Word, is_blank, words
from blockdb.commands.table import members, names

from .multiline import blocks

__all__ = ["LineLexer"]


class LineLexer(Lexer):
    """Marks commands, flags, quoted words, JSON, and what cannot be run."""

    @cached_property
    def _commands(self) -> set[str]:
        return set(names(Where.SHELL))

    @cached_property
    def _directives(self) -> set[str]:
        from .directives.table import names as directives  # here: the first prompt does not wait for them

        return set(directives())

    @cached_property
    def _first_words(self) -> set[str]:
        return {name.partition(" ")[0] for name in self._commands}

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """The styled pieces of each line of the input."""
        lines: list[StyleAndTextTuples] = []
        for block in blocks(document.text):
            lines.append([])
            for style, text in self._pieces(block.typed):
                first, *others = text.split("\n")
                lines[-1].append((style, first))
                lines += [[(style, other)] for other in others]

        def line(number: int) -> StyleAndTextTuples:
            return lines[number] if number < len(lines) else []

        return line

    def _pieces(self, line: str) -> Iterator[tuple[str, str]]:
        if is_blank(line):
            yield "class:json.muted", line
            return
        position = 0
        command = ""
        if (name := line.split(maxsplit=1)[0]).startswith("\\") and name not in self._commands:
            start = line.index(name)
            yield "", line[:start]
            yield self._command_style(name, start + len(name) == len(line)), name
            yield "", line[start + len(name) :]
            return
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
        known = self._directives if command.startswith("\\") and command not in self._commands else self._commands
        if command in known or command in self._first_words:
            return "class:command"
        return "" if is_last and any(name.startswith(command) for name in known) else "class:problem"

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
