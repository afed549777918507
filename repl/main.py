"""The door of the shell: on a terminal the shell itself, elsewhere a plain reader of lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from blockdb.commands.colour import chosen_theme
from blockdb.commands.command import Need
from blockdb.commands.failures import CannotOpen
from blockdb.commands.locating import title_of
from blockdb.commands.opening import open_database
from blockdb.commands.output import Output, is_terminal
from blockdb.commands.servers import Server
from blockdb.errors import DatabaseLocked

from .connection import Connection
from .session import Session

if TYPE_CHECKING:
    from blockdb import AnyDatabase
    from blockdb.commands.locating import Location

__all__ = ["run"]


def run(
    *,
    location: Location,
    sources: Sequence[tuple[str, str]] = (),
    on_error: str = "stop",
    format: str | None = None,
    theme: str | None = None,
    read_only: bool = False,
    style: str | None = None,
) -> int:
    """Run the shell, or the `sources` (`("line", text)` or `("file", path)`), or the lines of standard input.

    Gives the exit code. Raises `CannotOpen` and `UsageError`.
    """
    prompts = not sources and is_terminal(sys.stdin) and is_terminal(sys.stdout)
    if prompts or theme is not None:
        chosen_theme(theme)
    if prompts:
        from .shell import run_shell

        output = Output(words_are_data=True, theme=theme)
        return run_shell(
            lambda where: _open(where, read_only), output, location, format=format, theme=theme, style=style
        )

    from .script import run_script

    output = Output(words_are_data=False, theme=theme)
    with closing(Connection(location, lambda where: _open(where, read_only))) as connection:
        if connection().read_only and not (read_only or connection.is_server):
            output.note(f"Another process writes {title_of(location)}: opened to read only.", "warning")
        session = Session(connection, output, format=format, in_script=True)
        return run_script(session, sources or [("file", "-")], stop_on_error=on_error == "stop")


def _open(location: Location, read_only: bool) -> AnyDatabase:
    """The database to write; where another process has it, to read."""
    if read_only or isinstance(location, Server):
        return open_database(location, Need.READ)
    try:
        return open_database(location, Need.WRITE_OR_MAKE)
    except CannotOpen as error:
        if not isinstance(error.__cause__, DatabaseLocked):
            raise
        return open_database(location, Need.READ)
