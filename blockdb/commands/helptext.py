"""Help, drawn from the table: for the command line, for the shell, and the parts of the reference page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from .command import Argument, Command, Where
from .parsing import FORMAT, GLOBAL_ARGUMENTS, common_arguments
from .table import available, find, members

__all__ = ["WIDTH", "command_help", "meaning", "overview", "program", "topic_help"]

WIDTH = 80


def program(where: Where) -> str:
    """What stands before a command: nothing in the shell."""
    return "" if where is Where.SHELL else "blockdb "


def topic_help(topic: str, where: Where) -> str:
    """Help on a command, on those that begin with a word (`anchor`), or, on no topic, on all. Raises `UsageError`."""
    if not topic:
        return overview(where)
    if group := members(topic, where):
        return "\n".join(["Commands:", *_columns(_summaries(group)), "", f"{program(where)}help COMMAND explains one."])
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
        return "\n".join(["Commands:", *_columns(rows), "", *_wrap(quoting), "", "help COMMAND explains a command."])
    return "\n".join(
        [
            "BlockDB: an append-only database whose every record can be proven.",
            "",
            "Usage: blockdb [OPTIONS] COMMAND [ARGUMENTS]",
            "",
            "Commands:",
            *_columns(rows),
            "",
            "Options (before or after the command):",
            *_columns(_described(GLOBAL_ARGUMENTS)),
            "",
            "blockdb COMMAND --help explains a command.",
        ]
    )


def command_help(command: Command, where: Where) -> str:
    """Everything about one command."""
    places = [argument for argument in command.arguments if not argument.is_flag]
    flags = [argument for argument in command.arguments if argument.is_flag]
    others = common_arguments(command, globals=where is not Where.SHELL)
    lines = [*_wrap(f"Usage: {program(where)}{command.usage}", "       "), "", *_wrap(command.summary)]
    for paragraph in command.details.split("\n\n") if command.details else ():
        lines += ["", *_wrap(paragraph)]
    for title, arguments in (("Arguments", places), ("Options", flags), ("Common options", others)):
        if arguments:
            lines += ["", f"{title}:", *_columns(_described(arguments, command))]
    lines += ["", "Examples:"]
    for line, meaning in command.examples:
        lines += [f"  {program(where)}{line}", f"      {meaning}"]
    return "\n".join(lines)


def meaning(argument: Argument, command: Command | None) -> str:
    """What an argument means, with what it may be and what it is if it is not given."""
    text = argument.help
    if choices := command.formats if command and argument is FORMAT else argument.options.get("choices"):
        text += f" One of {', '.join(choices)}."
    default = argument.options.get("default")
    return text if default is None else f"{text} Default: {default}."


def _described(arguments: Iterable[Argument], command: Command | None = None) -> list[tuple[str, str]]:
    return [(argument.heading, meaning(argument, command)) for argument in arguments]


def _columns(rows: list[tuple[str, str]]) -> list[str]:
    """Words at the left, what they mean at the right."""
    left = min(max(len(word) for word, _ in rows), 26) + 4
    lines = []
    for word, meaning in rows:
        first, *rest = textwrap.wrap(meaning, WIDTH - left)
        lines += [f"  {word}".ljust(left) + first] if len(word) + 4 <= left else [f"  {word}", " " * left + first]
        lines += [" " * left + line for line in rest]
    return lines


def _wrap(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
