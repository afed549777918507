"""The commands of BlockDB: one table, from which the command line, the shell, scripts and the explorer all draw.

A front end runs a line with `run_line` and shows the result; `render` turns a result into a format. Everything that was
stored goes through `display.printable` before it is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockdb import AnyDatabase

    from .results import Result

__all__ = ["run_line"]


def run_line(database: AnyDatabase, line: str) -> Result:
    """Run a line as the shell would and give its result; rows are read from the database as they are taken.

    Raises `blockdb.BlockDBError`: `failures.UsageError` if the line is no command, else what the command raises.
    `failures.describe` makes an error one line.
    """
    from .context import Context
    from .invocation import parse_line

    invocation = parse_line(line)
    return invocation.run(Context(lambda: database, on_screen=True, in_shell=True))
