"""What a command is: a declaration from which parsers, help, completion and the reference page are drawn."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .context import Context
    from .results import Result

__all__ = [
    "COLUMNAR_FORMATS",
    "FLAT",
    "FORMATS",
    "FOR_PEOPLE",
    "Argument",
    "Command",
    "Completes",
    "Need",
    "Where",
    "flag",
    "option",
    "positional",
]

FORMATS = ("table", "vertical", "json", "jsonl", "csv", "raw", "hex")
"""The output formats of text; a command lists those that it has in `Command.formats`.

What has a table for people and JSON for programs is also had `vertical`, and what is had `raw` is also had `hex`: these
two need not be listed.
"""

FLAT = ("table", "json", "jsonl", "csv")
"""Of an answer that is a table, or facts that have names: as csv these are `name,value`."""
FOR_PEOPLE = (None, "table", "vertical")
"""The formats in which a long listing stops at a screenful, where there is a screen."""

COLUMNAR_FORMATS = ("arrow", "parquet")
"""An Arrow IPC stream, and a Parquet file."""


class Need(Enum):
    """What a command needs of the database, and whether it makes one where there is none."""

    NOTHING = "no database"
    CONFIGURATION = "no database, and says itself what is wrong with the configuration"
    READ = "a database to read"
    READ_OR_MAKE = "a database to read, made if there is none"
    PROVE = "a database to write, or, where somebody else has it open, to read"
    WRITE = "a database to write"
    WRITE_OR_MAKE = "a database to write, made if there is none"


class Where(Enum):
    """Where a command can be given."""

    EVERYWHERE = "command line and shell"
    COMMAND_LINE = "command line"
    SHELL = "shell"


class Completes(Enum):
    """What may stand in the place of an argument, for completion."""

    NOTHING = "anything"
    KEY = "a stored key"
    FILE = "a path"
    COMMAND = "the name of a command"
    COLLECTION = "the name of a collection"
    INDEX = "the name of an index"
    FILTER = "a filter"
    ORDER = "an order"
    FIELDS = "names of fields"
    MOMENT = "a moment to go back to"
    PROFILE = "the name of a profile"
    DATABASE = "the name of a profile, or a path"
    THEME = "the name of a theme"


@dataclass(frozen=True, eq=False)
class Argument:
    """One argument: `names` is `("key",)` or `("--limit", "-n")`, `options` goes to argparse as it is."""

    names: tuple[str, ...]
    help: str
    completes: Completes = Completes.NOTHING
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_flag(self) -> bool:
        """Whether it is given by name (`--limit 3`) and not by its place."""
        return self.names[0].startswith("-")

    @property
    def takes_value(self) -> bool:
        """Whether a word of its own follows the name, or stands for it."""
        return "action" not in self.options or self.options["action"] == "append"

    @property
    def metavar(self) -> str:
        """The word that stands for the value in usage and help; empty if it takes none."""
        return str(self.options.get("metavar", self.names[0].upper())) if self.takes_value else ""

    @property
    def heading(self) -> str:
        """The argument as it is explained: `-n, --limit N`, or `KEY`."""
        return f"{', '.join(self.names)} {self.metavar}".strip() if self.is_flag else self.metavar

    @property
    def usage(self) -> str:
        """The argument as it stands in a line of usage."""
        word = f"{self.names[-1]} {self.metavar}".strip() if self.is_flag else self.metavar
        if self.options.get("action") == "append":
            return f"[{word}]..."
        if self.options.get("nargs") == "+":
            return f"{word}..."
        is_optional = self.options.get("nargs") in ("?", "*") or (self.is_flag and not self.options.get("required"))
        return f"[{word}]" if is_optional else word


@dataclass(frozen=True, eq=False)
class Command:
    """A command, declared once. Its name is a word, or two (`anchor add`) where several belong together.

    `run(context, arguments)` does the work and returns data; it prints nothing. `summary` is one line, `details` says
    the rest; each of `examples` is a line of the command and what it does. Without `default_format` the result and
    whether there is a terminal decide.
    """

    name: str
    summary: str
    run: Callable[[Context, argparse.Namespace], Result]
    arguments: tuple[Argument, ...] = ()
    details: str = ""
    examples: tuple[tuple[str, str], ...] = ()
    aliases: tuple[str, ...] = ()
    need: Need = Need.READ
    need_with: Mapping[str, Need] = field(default_factory=dict)
    """What it needs instead where an argument of that name is given."""
    where: Where = Where.EVERYWHERE
    formats: tuple[str, ...] = ("table", "json", "jsonl")
    default_format: str | None = None
    directory_only: bool = False
    """Whether it is about a directory on this machine: then it does not go over a network."""
    in_transaction: bool = False
    """Whether a command that writes can be given while the shell has a transaction open."""
    changes: bool = False
    """Whether it changes something though it needs no database to write: a cluster, tokens, keys."""
    changes_with: tuple[str, ...] = ()
    """The arguments with one of which it does: `("repair",)`."""
    dangerous: bool = False
    """Whether what it does cannot be taken back: the explorer has what it is about typed out before."""

    def __post_init__(self) -> None:
        listed = set(self.formats)
        if "table" in listed and listed & {"json", "jsonl"}:
            listed.add("vertical")
        if "raw" in listed:
            listed.add("hex")
        in_order = (
            *(name for name in FORMATS if name in listed),
            *(name for name in COLUMNAR_FORMATS if name in listed),
        )
        object.__setattr__(self, "formats", in_order)

    def need_of(self, arguments: argparse.Namespace) -> Need:
        """What it needs, given these arguments."""
        given = (need for name, need in self.need_with.items() if getattr(arguments, name, None) is not None)
        return next(given, self.need)

    def writes(self, arguments: argparse.Namespace) -> bool:
        """Whether it changes anything that was there, given these arguments."""
        needs = self.need_of(arguments) in (Need.WRITE, Need.WRITE_OR_MAKE)
        return needs or self.changes or any(getattr(arguments, name, None) for name in self.changes_with)

    def about(self, arguments: argparse.Namespace) -> str:
        """What it is about: the first of its arguments that has a place; without one, its own name."""
        places = (getattr(arguments, argument.names[-1], None) for argument in self.arguments if not argument.is_flag)
        given = next((place for place in places if place), None)
        if isinstance(given, list):
            given = " ".join(str(word) for word in given)
        return self.name if given is None else str(given)

    @property
    def usage(self) -> str:
        """`scan [--prefix TEXT] [--limit N]`."""
        places = [argument.usage for argument in self.arguments if not argument.is_flag]
        flags = [argument.usage for argument in self.arguments if argument.is_flag]
        return " ".join([self.name, *places, *flags])


def positional(name: str, help: str, completes: Completes = Completes.NOTHING, **options: Any) -> Argument:
    """An argument given by its place."""
    return Argument((name,), help, completes, {"metavar": name.upper(), **options})


def option(*names: str, metavar: str, help: str, completes: Completes = Completes.NOTHING, **options: Any) -> Argument:
    """An argument given by name, with a value: `--limit 3`."""
    return Argument(names, help, completes, {"metavar": metavar, **options})


def flag(*names: str, help: str) -> Argument:
    """An argument that is there or not: `--reverse`."""
    return Argument(names, help, options={"action": "store_true"})
