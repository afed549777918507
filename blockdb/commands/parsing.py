"""From words to a command and its arguments. Parsers are built when they are needed, one command at a time."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NoReturn

from .command import COLUMNAR_FORMATS, FORMATS, Argument, Command, Completes, flag, option
from .failures import UsageError

__all__ = [
    "GLOBAL_ARGUMENTS",
    "HelpWanted",
    "VersionWanted",
    "common_arguments",
    "count",
    "destination",
    "parse_arguments",
    "parse_globals",
    "place_of_command",
]


class HelpWanted(Exception):
    """`--help` stands among the words."""


class VersionWanted(Exception):
    """`--version` stands among the words."""


def count(text: str) -> int:
    """A whole number, not negative."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


HELP = flag("-h", "--help", help="Show help and exit.")
FORMAT = option("--format", metavar="FORMAT", help="Output format.", choices=(*FORMATS, *COLUMNAR_FORMATS))
GLOBAL_ARGUMENTS = (
    option(
        *("-d", "--data-dir"),
        metavar="DIR",
        completes=Completes.FILE,
        help="Database directory; else BLOCKDB_DATA_DIR, else the configuration file, else ./blockdb_data.",
    ),
    option(
        "--key-file",
        metavar="FILE",
        completes=Completes.FILE,
        help="Where the signing key is kept apart from the data; else BLOCKDB_KEY_FILE, else with the data.",
    ),
    option(
        "--config",
        metavar="FILE",
        completes=Completes.FILE,
        help="Configuration file; else ./blockdb.toml if there is one.",
    ),
    option(
        "--master-key-file",
        metavar="FILE",
        completes=Completes.FILE,
        help="File with the master key of an encrypted database; else BLOCKDB_MASTER_KEY_FILE, BLOCKDB_MASTER_KEY.",
    ),
    option(
        "--url",
        metavar="URL",
        help="Address of a server that has the database, in place of a directory; else BLOCKDB_URL.",
    ),
    option(
        "--profile",
        metavar="NAME",
        completes=Completes.PROFILE,
        help="The server of a profile (`blockdb profile list` shows them).",
    ),
    option(
        "--token-file",
        metavar="FILE",
        completes=Completes.FILE,
        help="File with the token that the server is shown; else BLOCKDB_TOKEN.",
    ),
    option(
        "--ca",
        metavar="FILE",
        completes=Completes.FILE,
        help="File with the authority that the server's certificate is checked with; else the system's.",
    ),
    flag("--no-pager", help="Let what is longer than the screen run through, past the pager."),
    FORMAT,
    HELP,
    flag("-V", "--version", help="Show the version and exit."),
)
"""The arguments that stand before or after any command."""


class _Parser(argparse.ArgumentParser):
    """argparse that raises instead of printing and leaving."""

    def __init__(self, usage: str) -> None:
        super().__init__(add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
        self.usage_line = usage

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.replace(_LITERAL, '')}; usage: {self.usage_line}")

    def add(self, argument: Argument) -> None:
        """Take an argument as it was declared."""
        options: dict[str, Any] = dict(argument.options)
        if "-h" in argument.names or "-V" in argument.names:
            options = {"action": _Stop, "nargs": 0}
        elif argument.takes_value:
            options["type"] = _literal(options.get("type", str))
        self.add_argument(*argument.names, **options)


# What stands before the words after `--` while argparse has them, which itself gets `put -- key --` wrong: half of a
# surrogate pair, so that no word begins with it.
_LITERAL = "\ud800"


def _literal(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    def converted(text: str) -> Any:
        return convert(text.removeprefix(_LITERAL))

    return converted


class _Stop(argparse.Action):
    """`-h` and `-V`: whatever else is on the line, it is not looked at."""

    def __call__(self, *_: object) -> NoReturn:
        raise HelpWanted if "-h" in self.option_strings else VersionWanted


def parse_globals(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The arguments before the command, and the words from the command on (none, if there is none)."""
    parser = _Parser("blockdb [OPTIONS] COMMAND [ARGUMENTS]")
    for argument in GLOBAL_ARGUMENTS:
        parser.add(argument)
    place = place_of_command(words)
    return parser.parse_args(words[:place]), list(words[place:])


def place_of_command(words: Sequence[str]) -> int:
    """The first word that is neither an option nor the value of one."""
    with_value = {name for argument in GLOBAL_ARGUMENTS if argument.takes_value for name in argument.names}
    place = 0
    while place < len(words) and words[place].startswith("-"):
        place += 2 if words[place] in with_value else 1
    return min(place, len(words))


def parse_arguments(
    command: Command, words: Sequence[str], before: argparse.Namespace | None = None, *, globals: bool = False
) -> argparse.Namespace:
    """The arguments of a command, every one of them set. Raises `UsageError` or `HelpWanted`.

    `before` holds what stood before the command. With `globals` the arguments of the whole program are taken too;
    without them (a line of the shell) only `--format` and `--help`.
    """
    words = list(words)
    if "--" in words:
        place = words.index("--")
        words[place:] = [_LITERAL + word for word in words[place + 1 :]]
    parsed = _parser(command, globals).parse_args(words, before or argparse.Namespace())
    _check_format(command, getattr(parsed, "format", None))
    return parsed


@cache
def _parser(command: Command, globals: bool) -> _Parser:
    parser = _Parser(f"blockdb {command.usage}" if globals else command.usage)
    for argument in (*command.arguments, *common_arguments(command, globals)):
        parser.add(argument)
    parser.set_defaults(**{destination(argument): _default(argument) for argument in command.arguments})
    return parser


def common_arguments(command: Command, globals: bool) -> list[Argument]:
    """The arguments that a command has in common with others, without those that it has its own of."""
    own = {name for argument in command.arguments for name in argument.names}
    return [argument for argument in (GLOBAL_ARGUMENTS if globals else (FORMAT, HELP)) if not own & set(argument.names)]


def destination(argument: Argument) -> str:
    """Under which name an argument's value stands, once it is parsed."""
    return str(argument.options.get("dest", argument.names[-1].lstrip("-").replace("-", "_")))


def _default(argument: Argument) -> Any:
    return argument.options.get("default", None if argument.takes_value else False)


def _check_format(command: Command, format: str | None) -> None:
    if format is not None and format not in command.formats:
        raise UsageError(f"{command.name} has no format {format}; it has {', '.join(command.formats)}")
