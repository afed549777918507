"""Palettes as data: each TOML file beside this one names a theme and gives every role its colour.

Nothing here knows a terminal library. The explorer, the shell and the commands each turn a `Theme` into what their
library wants, in one place of their own.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

__all__ = ["DEFAULT", "ROLES", "Theme", "ThemeError", "load", "names", "read"]

DEFAULT = "basalt"

ROLES = (
    *("background", "surface", "panel", "border", "selection"),
    *("text", "muted", "accent", "primary", "secondary", "success", "warning", "error"),
    *("key", "string", "number", "boolean", "null"),
    *("graph1", "graph2", "graph3", "graph4"),
)
"""Every role that a theme must colour: grounds and lines, words and states, kinds of data, and series of a graph."""

_DIRECTORY = Path(__file__).parent
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


class ThemeError(ValueError):
    """A theme cannot be used. `file` is the file's name and `key` the entry at fault (None: the file as a whole)."""

    def __init__(self, file: str, key: str | None, what: str) -> None:
        self.file = file
        self.key = key
        self.what = what
        super().__init__(f"theme file {file}: {what}" if key is None else f"theme file {file}, {key}: {what}")

    def __reduce__(self) -> tuple[type[ThemeError], tuple[str, str | None, str]]:
        return type(self), (self.file, self.key, self.what)


@dataclass(frozen=True)
class Theme:
    """A palette: `roles` maps each name of `ROLES` to a colour `#rrggbb`; `dark` tells the ground it stands on."""

    name: str
    dark: bool
    roles: Mapping[str, str]


def names() -> list[str]:
    """The names of the themes that come with BlockDB: the default first, the others by alphabet."""
    found = (path.stem for path in _DIRECTORY.glob("*.toml"))
    return sorted(found, key=lambda name: (name != DEFAULT, name))


def load(name: str) -> Theme:
    """The theme of that name. Raises `ThemeError` if there is none, or if its file is broken."""
    if name not in names():
        raise ThemeError(f"{name}.toml", None, f"there is no such theme; there are {', '.join(names())}")
    return read(_DIRECTORY / f"{name}.toml")


def read(path: Path) -> Theme:
    """The theme in the file at `path`. Raises `ThemeError`, which names the file and the entry at fault."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ThemeError(path.name, None, f"cannot be read ({error})") from error
    for key in sorted(table.keys() - {"name", "dark", "roles"}):
        raise ThemeError(path.name, key, "is not an entry of a theme; known are name, dark and roles")
    return Theme(
        name=_entry(path, table, "name", str, "a text"),
        dark=_entry(path, table, "dark", bool, "true or false"),
        roles=MappingProxyType(_roles(path, _entry(path, table, "roles", dict, "a table of colours"))),
    )


def _entry(path: Path, table: dict[str, Any], key: str, kind: type, words: str) -> Any:
    if key not in table:
        raise ThemeError(path.name, key, "is missing")
    if not isinstance(table[key], kind):
        raise ThemeError(path.name, key, f"must be {words}")
    return table[key]


def _roles(path: Path, table: dict[str, Any]) -> dict[str, str]:
    for role in sorted(table.keys() - set(ROLES)):
        raise ThemeError(path.name, f"roles.{role}", "is not a role")
    named = {f"roles.{role}": colour for role, colour in table.items()}
    return {role: _colour(path, named, f"roles.{role}") for role in ROLES}


def _colour(path: Path, table: dict[str, Any], key: str) -> str:
    colour: str = _entry(path, table, key, str, "a text")
    if not _COLOUR.fullmatch(colour):
        raise ThemeError(path.name, key, f"must be a colour like #1a2b3c, not {colour!r}")
    return colour.lower()
