"""Help, drawn from the table: for the command line, for the shell, and the parts of the reference page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from .command import Command, Where
from .pages import Block, Lines, Paragraph, Section, Terms, described, page, program
from .parsing import GLOBAL_ARGUMENTS
from .table import available, find, members

__all__ = ["WIDTH", "columns", "command_help", "overview", "topic_help", "wrap"]

WIDTH = 80


def topic_help(topic: str, where: Where) -> str:
    """Help on a command, on those that begin with a word (`anchor`), or, on no topic, on all. Raises `UsageError`."""
    if not topic:
        return overview(where)
    if group := members(topic, where):
        return "\n".join(["Commands:", *columns(_summaries(group)), "", f"{program(where)}help COMMAND explains one."])
    return command_help(find(topic, where), where)


def _summaries(commands: Iterable[Command]) -> list[tuple[str, str]]:
    return [(" / ".join((command.name, *command.aliases)), command.summary) for command in commands]


def overview(where: Where) -> str:
    """All commands, a line each."""
    rows = _summaries(available(where))
    if where is Where.SHELL:
        quoting = (
            "Words are separated by blanks. In 'single quotes' all is literal; in \"double quotes\" \\n, \\t, \\xNN "
            "and \\uNNNN are escapes. Lines that begin with # are comments."
        )
        return "\n".join(["Commands:", *columns(rows), "", *wrap(quoting), "", "help COMMAND explains a command."])
    return "\n".join(
        [
            "BlockDB: an append-only database whose every record can be proven.",
            "",
            "Usage: blockdb [OPTIONS] COMMAND [ARGUMENTS]",
            "",
            "Commands:",
            *columns(rows),
            "",
            "Options (before or after the command):",
            *columns(described(GLOBAL_ARGUMENTS)),
            "",
            "blockdb COMMAND --help explains a command.",
        ]
    )


def command_help(command: Command, where: Where) -> str:
    """Everything about one command, as a page of a manual."""
    return "\n\n".join(f"{section.title}\n{_shown(section)}" for section in page(command, where))


def _shown(section: Section) -> str:
    return "\n\n".join("\n".join(_block(block)) for block in section.blocks)


def _block(block: Block) -> list[str]:
    match block:
        case Paragraph(text, literal):
            return [f"    {line}" for line in wrap(text, "    " if literal else "", WIDTH - 4)]
        case Terms(rows):
            return [f"  {line}" for line in columns(list(rows), WIDTH - 2)]
        case Lines(rows):
            return [line for example, told in rows for line in (f"    {example}", f"        {told}")]


def columns(rows: list[tuple[str, str]], width: int = WIDTH) -> list[str]:
    """Words at the left, what they mean at the right."""
    left = min(max(len(word) for word, _ in rows), 26) + 4
    lines = []
    for word, told in rows:
        first, *rest = textwrap.wrap(told, width - left)
        lines += [f"  {word}".ljust(left) + first] if len(word) + 4 <= left else [f"  {word}", " " * left + first]
        lines += [" " * left + line for line in rest]
    return lines


def wrap(text: str, indent: str = "", width: int = WIDTH) -> list[str]:
    """A text in lines, all but the first of them indented."""
    return textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
