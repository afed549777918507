"""The page of a command, as manuals have them: sections of paragraphs, lists and lines, before anybody formats them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from .command import Argument, Command, Need, Where
from .failures import CANNOT_OPEN, DONE, FAILED, INTERRUPTED, USAGE
from .parsing import FORMAT, common_arguments
from .table import available

__all__ = ["Block", "Lines", "Paragraph", "Section", "Terms", "meaning", "page", "program", "related"]


@dataclass(frozen=True)
class Paragraph:
    """Running text. What is `literal` is typed as it stands."""

    text: str
    literal: bool = False


@dataclass(frozen=True)
class Terms:
    """Words, and what each of them means."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Lines:
    """Lines to type, and what each of them does."""

    rows: tuple[tuple[str, str], ...]


Block: TypeAlias = Paragraph | Terms | Lines


@dataclass(frozen=True)
class Section:
    """A part of a page."""

    title: str
    blocks: tuple[Block, ...]


def program(where: Where) -> str:
    """What stands before a command: nothing in the shell."""
    return "" if where is Where.SHELL else "blockdb "


def page(command: Command, where: Where) -> list[Section]:
    """Everything about one command: NAME, SYNOPSIS, DESCRIPTION and so on."""
    before = program(where)
    names = ", ".join(f"{before}{name}" for name in (command.name, *command.aliases))
    sections = [
        Section("NAME", (Paragraph(f"{names} - {command.summary[0].lower()}{command.summary[1:].rstrip('.')}"),)),
        Section("SYNOPSIS", (Paragraph(f"{before}{command.usage}", literal=True),)),
        Section("DESCRIPTION", tuple(_description(command))),
    ]
    for title, arguments in (
        ("ARGUMENTS", [it for it in command.arguments if not it.is_flag]),
        ("OPTIONS", [it for it in command.arguments if it.is_flag]),
        ("COMMON OPTIONS", common_arguments(command, globals=where is not Where.SHELL)),
    ):
        if arguments:
            sections.append(Section(title, (Terms(tuple(described(arguments, command))),)))
    sections.append(Section("EXAMPLES", (Lines(tuple((f"{before}{line}", told) for line, told in command.examples)),)))
    if where is not Where.SHELL:
        sections.append(Section("EXIT STATUS", (Terms(tuple(_codes(command))),)))
    if others := related(command, where):
        told = ", ".join(f"{before}{other.name}" for other in others)
        sections.append(Section("SEE ALSO", (Paragraph(f"{told}."),)))
    return sections


def described(arguments: Iterable[Argument], command: Command | None = None) -> list[tuple[str, str]]:
    """Arguments, each with what it means."""
    return [(argument.heading, meaning(argument, command)) for argument in arguments]


def meaning(argument: Argument, command: Command | None) -> str:
    """What an argument means, with what it may be and what it is if it is not given."""
    text = argument.help
    if choices := command.formats if command and argument is FORMAT else argument.options.get("choices"):
        text += f" One of {', '.join(choices)}."
    default = argument.options.get("default")
    return text if default in (None, "", []) else f"{text} Default: {default}."


def related(command: Command, where: Where) -> list[Command]:
    """The commands that belong with one: of the same first word, or else of the same room of the house."""
    first, room = command.name.partition(" ")[0], command.run.__module__
    if " " in command.name:
        return [it for it in available(where) if it is not command and it.name.startswith(f"{first} ")]
    return [it for it in available(where) if it is not command and " " not in it.name and it.run.__module__ == room]


def _description(command: Command) -> list[Paragraph]:
    told = [Paragraph(command.summary), *map(Paragraph, command.details.split("\n\n") if command.details else ())]
    if command.need is not Need.NOTHING or len(command.formats) > 1:
        formats = f" Output formats: {', '.join(command.formats)}." if len(command.formats) > 1 else ""
        told.append(Paragraph(f"Needs {command.need.value}.{formats}"))
    return told


def _codes(command: Command) -> list[tuple[str, str]]:
    cannot_open = [] if command.need is Need.NOTHING else [(str(CANNOT_OPEN), "The database cannot be opened.")]
    return [
        (str(DONE), "Done."),
        (str(FAILED), "It failed; one line on standard error says why."),
        (str(USAGE), "Wrong usage, or a wrong setting."),
        *cannot_open,
        (str(INTERRUPTED), "Interrupted by ^C."),
    ]
