"""The door of the shell: on a terminal the shell itself, elsewhere a plain reader of lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from blockdb.commands.colour import theme_roles
from blockdb.commands.command import Need
from blockdb.commands.failures import CannotOpen
from blockdb.commands.opening import open_database
from blockdb.commands.output import Output, is_terminal
from blockdb.errors import DatabaseLocked

from .session import Session

if TYPE_CHECKING:
    from blockdb import Database
    from blockdb.config import DatabaseConfig

__all__ = ["run"]


def run(
    *,
    config: DatabaseConfig,
    sources: Sequence[tuple[str, str]] = (),
    on_error: str = "stop",
    format: str | None = None,
    theme: str | None = None,
    read_only: bool = False,
) -> int:
    """Run the shell, or the `sources` (`("line", text)` or `("file", path)`), or the lines of standard input.

    Gives the exit code. Raises `CannotOpen` and `UsageError`.
    """
    if theme is not None:
        theme_roles(theme)
    if not sources and is_terminal(sys.stdin) and is_terminal(sys.stdout):
        from .shell import run_shell

        output = Output(words_are_data=True, theme=theme)
        return run_shell(lambda: _open(config, read_only), output, config, format=format, theme=theme)

    from .script import run_script

    output = Output(words_are_data=False, theme=theme)
    with closing(_open(config, read_only)) as database:
        if database.read_only and not read_only:
            output.note(f"Another process writes {config.data_dir}: opened to read only.", "warning")
        session = Session(lambda: database, output, config, format=format, in_script=True)
        return run_script(session, sources or [("file", "-")], stop_on_error=on_error == "stop")


def _open(config: DatabaseConfig, read_only: bool) -> Database:
    """The database to write; where another process has it, to read."""
    if read_only:
        return open_database(config, Need.READ)
    try:
        return open_database(config, Need.WRITE_OR_MAKE)
    except CannotOpen as error:
        if not isinstance(error.__cause__, DatabaseLocked):
            raise
        return open_database(config, Need.READ)
