"""Palettes as data: each TOML file, beside this one or of one's own, names a theme and gives every role its colour.

Nothing here knows a terminal library. The explorer, the shell and the commands each turn a `Theme` into what their
library wants, in one place of their own.
"""

from __future__ import annotations

from .finding import directory, load, load_shipped, names, own_names, shipped_names, stamp
from .reading import read
from .theme import ANSI_COLOURS, DEFAULT, MEANINGS, MONOCHROME, ROLES, STYLES, Theme, ThemeError

__all__ = [
    "ANSI_COLOURS",
    "DEFAULT",
    "MEANINGS",
    "MONOCHROME",
    "ROLES",
    "STYLES",
    "Theme",
    "ThemeError",
    "directory",
    "load",
    "load_shipped",
    "names",
    "own_names",
    "read",
    "shipped_names",
    "stamp",
]
