"""Writes docs/CLI.md from the table of commands: `python -m blockdb.commands.reference > docs/CLI.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from .command import Argument, Command, Where
from .pages import meaning
from .parsing import GLOBAL_ARGUMENTS
from .table import commands

__all__ = ["reference"]

_HEAD = """\
# Command line and shell

This page is made from the table of commands (`blockdb/commands/table.py`) by `python -m blockdb.commands.reference`;
a test fails when it is out of date.

`blockdb` and `blockdb-cli` are the same program. `blockdb COMMAND ...` runs one command; `blockdb repl` (or
`blockdb interactive`) starts a shell with the same commands, and runs scripts.
"""

_CONVENTIONS = """\
## Where things go

Data goes to standard output, words to standard error. On the command line the answer of a command that has no data
("Successfully stored key-value pair") counts as its data and goes to standard output too; in scripts it does not, so
that standard output holds data and nothing else.

What is stored reaches a terminal only after it was made printable: a control character shows as its picture (`␛`), a
byte that is not UTF-8 as `<0x9B>`, an invisible or direction-changing character as `<U+202E>`. Pipes and files get the
bytes as they are. `NO_COLOR` turns colours off, `BLOCKDB_THEME` chooses a theme.

| exit code | means |
| --- | --- |
| 0 | done (also: `get` found nothing) |
| 1 | a command failed |
| 2 | wrong usage, or a wrong setting |
| 3 | the database cannot be opened |
| 130 | interrupted by ^C |

An error is one line on standard error: `Error: <Kind>: <what happened, and what to do>`.

## Formats

| format | is | of records |
| --- | --- | --- |
| `table` | for people; cut to the width of a terminal, never cut elsewhere | `KEY  VALUE` |
| `vertical` | for people; a field a line, never cut | `--- 1 ---`, then `key` and `value` |
| `json` | one JSON value | an array of the objects of `jsonl` |
| `jsonl` | a JSON object a line | `{"key":"a","value":"1"}`; `import` takes it back |
| `csv` | RFC 4180 with a header line | `key,value,encoding`; `import` takes it back |
| `raw` | bytes as they were stored | the values, or the keys with `--keys-only` |
| `hex` | a dump: offset, 16 bytes, those that are ASCII; the last line is the length | each value below its key |

Where a key or value is not UTF-8, both are base64 and the field `encoding` is `"base64"`. Formats for programs do not
depend on the terminal, its width or the locale. Without `--format`, listings are a table on a terminal and `jsonl`
elsewhere.

A command that only reads opens the database read-only, so it works beside a process that writes. If there is no
database it fails with exit code 3; `put`, `import`, `stats` and the shell make one.

## Help, manual pages, completion

`blockdb help COMMAND` is a page of a manual. On a terminal, what is longer than the screen goes through a pager
(`BLOCKDB_PAGER`, else `PAGER`, else `less -FRX`; `off`, or `--no-pager`: none), never in a pipe.
`python -m blockdb.commands.manual DIR` writes the same as pages for man(1): `man -M DIR blockdb-get`.

`source <(blockdb completions bash)` in `~/.bashrc` completes commands, flags, files, profiles, collections, keys, and
what may follow in a filter; `zsh` and `fish` as well. The database that the line names is asked, for 0.3 s at most.

## Lines of the shell and of scripts

- Blanks separate words. A line that begins with `#` is a comment; empty lines are left out.
- In 'single quotes' everything is literal. In "double quotes" there are escapes: `\\n \\t \\r \\0 \\\\ \\" \\'`,
  `\\xNN` for a byte, `\\uNNNN` and `\\UNNNNNNNN` for a character. An unknown escape is an error.
- A quote opens only at the beginning of a word, or after the `=` of a flag (`--prefix="a b"`). Anywhere else quotes and
  backslashes are ordinary characters: `put k {"a":1}` stores `{"a":1}`.
- `--` ends the flags: `get -- --key-that-looks-like-a-flag`.
- A line that begins with a backslash is about the shell: `\\?` lists what there is. Behind `\\|` stands a program that
  reads what a command gives; `:{name}` is a variable. See [SHELL.md](SHELL.md).

A script stops at the first line that fails, unless it runs with `--on-error continue`. The line is named on standard
error (`line 3: Error: DuplicateKey: ...`). The exit code is 2 if a line was no command, else 1 if one failed.

The shell keeps its history in `$XDG_STATE_HOME/blockdb/history` (`~/.local/state/blockdb/history`), which only its
owner can read. Values of `put` are not kept in it, nor are lines that begin with a blank or look as if they held a
secret. Of a block of lines that is pasted, none runs unless all can be understood.
"""


def reference() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_globals(), _CONVENTIONS, "## Commands", *map(_command, commands())])


def _globals() -> Iterator[str]:
    yield "## Options of every command\n\nThey stand before or after the command.\n"
    yield from _table("option", GLOBAL_ARGUMENTS, None)
    yield ""


def _need(command: Command) -> str:
    others = [f"; with `--{name}`, {need.value}" for name, need in command.need_with.items()]
    return "".join([command.need.value, *others])


def _command(command: Command) -> str:
    prompt = "> " if command.where is Where.SHELL else "blockdb "
    title = " / ".join(f"`{name}`" for name in (command.name, *command.aliases))
    only = "" if command.where is Where.EVERYWHERE else f" Of the {command.where.value} only."
    lines = [f"\n### {title}\n", f"{command.summary}{only}\n", "```", f"{prompt}{command.usage}", "```"]
    if command.details:
        lines += ["", command.details]
    places = [argument for argument in command.arguments if not argument.is_flag]
    flags = [argument for argument in command.arguments if argument.is_flag]
    for heading, arguments in (("argument", places), ("option", flags)):
        if arguments:
            lines += ["", *_table(heading, arguments, command)]
    formats = f" Output formats: {', '.join(command.formats)}." if len(command.formats) > 1 else ""
    lines += ["", f"Needs {_need(command)}.{formats}", "", "```bash"]
    width = max(len(line) for line, _ in command.examples)
    lines += [f"{prompt}{line.ljust(width)}  # {comment}" for line, comment in command.examples]
    return "\n".join([*lines, "```"])


def _table(heading: str, arguments: Iterable[Argument], command: Command | None) -> list[str]:
    rows = [f"| `{argument.heading}` | {meaning(argument, command)} |" for argument in arguments]
    return [f"| {heading} | meaning |", "| --- | --- |", *rows]


if __name__ == "__main__":
    sys.stdout.write(reference() + "\n")
