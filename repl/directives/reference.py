r"""The table of backslash commands as Markdown, for docs/SHELL.md: `python -m blockdb_repl.directives.reference`."""

from __future__ import annotations

import sys
from pathlib import Path

from .directive import Directive
from .table import DIRECTIVES

__all__ = ["page_with_table", "table"]

_BEGIN = "<!-- The table is drawn: python -m blockdb_repl.directives.reference docs/SHELL.md -->\n"
_END = "<!-- The end of the table. -->\n"


def table() -> str:
    """A row for each."""
    return "| command | does | in scripts |\n| --- | --- | --- |\n" + "".join(map(_row, DIRECTIVES))


def _row(directive: Directive) -> str:
    usage = directive.usage.replace("|", "\\|")
    return f"| `{usage}` | {directive.summary} | {'no' if directive.on_terminal else 'yes'} |\n"


def page_with_table(page: str) -> str:
    """The page with the table of today. Raises `ValueError` where it has no place for one."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError("the page has no place for the table")
    return f"{before}{begin}\n{table()}\n{end}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(page_with_table(path.read_text()))
