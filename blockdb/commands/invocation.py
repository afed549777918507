"""A line of the shell, understood but not yet run."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from .command import Command, Need, Where
from .context import Context
from .entering import run_and_enter
from .failures import UsageError
from .line import split
from .parsing import HelpWanted, parse_arguments
from .results import Result
from .table import find, take

__all__ = ["Invocation", "parse_line"]

_WRITING = frozenset((Need.WRITE, Need.WRITE_OR_MAKE))


@dataclass(frozen=True)
class Invocation:
    """A command and its arguments. `format` is what the line asks for (None: nothing)."""

    command: Command
    arguments: argparse.Namespace
    format: str | None = None

    def run(self, context: Context) -> Result:
        """Run it. Raises `blockdb.BlockDBError`."""
        command, transaction = self.command, context.transaction
        if transaction is not None and command.need in _WRITING and not command.in_transaction:
            open_ = f"{transaction.id} is open; commit or abort it first"
            raise UsageError(f"{command.name} cannot be part of a transaction, and {open_}")
        if command.directory_only:
            context.insist_on_directory(command.name)
        return run_and_enter(command, context, self.arguments)


def parse_line(line: str, variables: Mapping[str, str] | None = None) -> Invocation:
    """The command that a line of the shell gives; None means that there are no variables. Raises `UsageError`."""
    words = split(line, variables)
    if not words:
        raise UsageError("the line is empty; help lists the commands")
    command, rest = take(words, Where.SHELL)
    try:
        arguments = parse_arguments(command, rest)
    except HelpWanted:
        return Invocation(find("help", Where.SHELL), argparse.Namespace(topic=command.name.split()))
    return Invocation(command, arguments, getattr(arguments, "format", None))
