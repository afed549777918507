"""Writes a manual page for every command: `python -m blockdb.commands.manual DIR`, then `man -M DIR blockdb-get`.

The pages are roff with the macros of man(7), in `DIR/man1/`. Everything that is text is escaped, so that no line of it
is taken for a request, and a hyphen to be typed stays one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from .command import Command, Where
from .pages import Block, Lines, Paragraph, Section, Terms, described, page, related
from .parsing import GLOBAL_ARGUMENTS
from .table import available, commands

__all__ = ["main", "pages", "roff"]

_ESCAPED: Final = {"\\": r"\(rs", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}
_SPECIAL: Final = re.compile("[" + re.escape("".join(_ESCAPED)) + "]")


def roff(text: str) -> str:
    """A text as it stands in a line of roff: as it is, whatever it begins with."""
    escaped = _SPECIAL.sub(lambda match: _ESCAPED[match[0]], " ".join(text.split("\n")))
    return rf"\&{escaped}" if escaped.startswith(".") else escaped


def pages() -> Iterator[tuple[str, str]]:
    """The names of all pages, `blockdb-get.1`, and what is in them; first that of the program."""
    yield "blockdb.1", _whole()
    for command in commands():
        yield f"{_named(command)}.1", _page(command)


def _named(command: Command) -> str:
    return "blockdb-" + command.name.replace(" ", "-")


def _head(name: str) -> str:
    from blockdb import __version__

    return f'.TH "{roff(name.upper())}" 1 "" "blockdb {roff(__version__)}" "BlockDB"\n.nh\n.ad l\n'


def _page(command: Command) -> str:
    where = Where.SHELL if command.where is Where.SHELL else Where.COMMAND_LINE
    sections = [section for section in page(command, where) if section.title not in ("NAME", "SEE ALSO")]
    summary = f"{command.summary[0].lower()}{command.summary[1:].rstrip('.')}"
    see = ["blockdb(1)", *(f"{_named(other)}(1)" for other in related(command, where))]
    return "".join(
        [
            _head(_named(command)),
            f".SH NAME\n{roff(_named(command))} \\- {roff(summary)}\n",
            *map(_section, sections),
            f".SH SEE ALSO\n{roff(', '.join(see))}\n",
        ]
    )


def _whole() -> str:
    commands = [(f"{_named(it)}(1)", it.summary) for it in available(Where.COMMAND_LINE)]
    sections = (
        Section("SYNOPSIS", (Paragraph("blockdb [OPTIONS] COMMAND [ARGUMENTS]", literal=True),)),
        Section("DESCRIPTION", (Paragraph("A database to which records are added, and in which each can be proven."),)),
        Section("COMMANDS", (Terms(tuple(commands)),)),
        Section("OPTIONS", (Paragraph("Before or after the command:"), Terms(tuple(described(GLOBAL_ARGUMENTS))))),
    )
    name = ".SH NAME\nblockdb \\- an append\\-only database whose every record can be proven\n"
    return "".join([_head("blockdb"), name, *map(_section, sections)])


def _section(section: Section) -> str:
    return f".SH {roff(section.title)}\n" + "".join(map(_block, section.blocks))


def _block(block: Block) -> str:
    match block:
        case Paragraph(text, literal):
            return f".PP\n\\fB{roff(text)}\\fR\n" if literal else f".PP\n{roff(text)}\n"
        case Terms(rows):
            return "".join(f".TP\n\\fB{roff(word)}\\fR\n{roff(told)}\n" for word, told in rows)
        case Lines(rows):
            return "".join(f".PP\n{roff(told)}:\n.RS 4\n.nf\n{roff(line)}\n.fi\n.RE\n" for line, told in rows)


def main(words: Sequence[str]) -> int:
    """Write all pages into `DIR/man1/`. Gives the exit code."""
    if len(words) != 1 or words[0].startswith("-"):
        print("usage: python -m blockdb.commands.manual DIR", file=sys.stderr)
        return 2
    folder = Path(words[0]) / "man1"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages():
            (folder / name).write_text(text, "utf-8")
    except OSError as error:
        print(f"Error: IoError: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
