"""themes list, themes show, themes check: the colours of the explorer, the shell and these commands."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .colour import chosen_theme, default_theme
from .command import Command, Completes, Need, positional
from .context import Context
from .failures import FAILED, UsageError
from .results import Column, Result, Table, Words

if TYPE_CHECKING:
    from blockdb_themes import Theme

__all__ = ["COMMANDS"]

_LEAST_CONTRAST = 4.5
_LEAST_DIFFERENCE = 10
_SHOWN = ("background", "selection", "text", "accent", "success", "warning", "error")


def show_all(_: Context, __: Namespace) -> Result:
    """List the themes."""
    import blockdb_themes

    columns = (
        Column("name", "NAME", role="key"),
        Column("worn", "WORN", role="accent"),
        Column("ground", "GROUND"),
        Column("where", "WHERE", role="muted"),
        Column("colours", "COLOURS", "swatch"),
    )
    own = blockdb_themes.own_names()
    more = f"Your own are *.toml in {blockdb_themes.directory()}; WORN is the one that BLOCKDB_THEME or a default chose"
    return Table(columns, (_row(name, own) for name in blockdb_themes.names()), more=more)


def _row(name: str, own: list[str]) -> dict[str, Any]:
    import blockdb_themes

    row: dict[str, Any] = {
        "name": name,
        "worn": "yes" if name == default_theme() else "",
        "where": "your own" if name in own else "BlockDB",
    }
    try:
        theme = blockdb_themes.load(name)
    except blockdb_themes.ThemeError:
        return {**row, "ground": "broken", "colours": []}
    return {**row, "ground": _ground(theme), "colours": [theme.roles[role] for role in _SHOWN]}


def _ground(theme: Theme) -> str:
    return "terminal's" if theme.is_native else "dark" if theme.dark else "light"


def show(_: Context, arguments: Namespace) -> Result:
    """Show the roles of a theme."""
    from blockdb_themes import MEANINGS

    theme = chosen_theme(arguments.name)
    columns = (
        Column("role", "ROLE", role="key"),
        Column("colour", "COLOUR"),
        Column("swatch", "", "swatch"),
        Column("style", "STYLE"),
        Column("meaning", "FOR", role="muted"),
    )
    rows = (
        {
            "role": role,
            "colour": colour,
            "swatch": [colour],
            "style": " ".join(sorted(theme.style(role))),
            "meaning": MEANINGS[role],
        }
        for role, colour in theme.roles.items()
    )
    return Table(columns, rows)


def check(_: Context, arguments: Namespace) -> Result:
    """Check the file of a theme."""
    import blockdb_themes

    path = Path(os.path.expanduser(arguments.file))
    try:
        theme = blockdb_themes.read(path, blockdb_themes.load)
    except blockdb_themes.ThemeError as error:
        raise UsageError(str(error)) from error
    found = list(_illegible(theme))
    if not found:
        return Words(f"The theme {theme.name} can be used", {"name": theme.name, "problems": []}, role="success")
    failures = tuple(found)
    data = {"name": theme.name, "problems": found}
    return Words(f"The theme {theme.name} can be used, but not by everybody", data, failures=failures, exit_code=FAILED)


def _illegible(theme: Theme) -> Iterator[str]:
    """What some people cannot read or tell apart. Nobody knows that of the terminal's own colours."""
    from blockdb_themes import seeing

    if theme.is_native:
        return
    for role, ground, contrast in seeing.faint(theme, _LEAST_CONTRAST):
        yield f"roles.{role}: its contrast on {ground} is {contrast:.1f}; words need {_LEAST_CONTRAST} to be read"
    for one, other, kind, _ in seeing.alike(theme, _LEAST_DIFFERENCE):
        yield f"roles.{one}, roles.{other}: they look alike to people with {kind}; make one lighter or darker"


COMMANDS = (
    Command(
        "themes list",
        "List the themes, with their colours.",
        show_all,
        details="The same themes colour the explorer, the shell and what commands print. BLOCKDB_THEME chooses one, or "
        "--theme NAME of the explorer and of the shell. With NO_COLOR there are no colours.",
        examples=(("themes list", "What there is"), ("themes", "The same")),
        aliases=("themes",),
        need=Need.NOTHING,
        formats=("table", "json", "jsonl", "csv"),
    ),
    Command(
        "themes show",
        "Show the roles of a theme, and what they are for.",
        show,
        (positional("name", "A theme; else the one that is worn.", Completes.THEME, nargs="?"),),
        examples=(("themes show fjord", "Its roles"),),
        need=Need.NOTHING,
        formats=("table", "json", "jsonl", "csv"),
    ),
    Command(
        "themes check",
        "Check the file of a theme: whether it is whole, and can be read by everybody.",
        check,
        (positional("file", "A theme file.", Completes.FILE),),
        details="Of colours that are given in full it tells words with too little contrast (below 4.5), and states and "
        "series of graphs that people with a kind of colour blindness cannot tell apart. The exit code is 1 then, "
        "and 2 if the theme cannot be used.",
        examples=(("themes check ~/.config/blockdb/themes/mine.toml", "One's own"),),
        need=Need.NOTHING,
        formats=("table", "json"),
    ),
)
