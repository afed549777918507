"""Where themes are: beside this file, and in a directory of one's own, whose themes go before those of that name."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .reading import read
from .theme import DEFAULT, Theme, ThemeError

__all__ = ["directory", "load", "load_shipped", "names", "own_names", "shipped_names", "stamp"]

MOST_OWN: Final = 100
"""So many files of one's own are looked at, the first by alphabet."""
MOST_BASES: Final = 4

_SHIPPED = Path(__file__).parent
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,39}")


def directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Where one's own themes are: BLOCKDB_THEMES, else `$XDG_CONFIG_HOME/blockdb/themes`, or below `~/.config`."""
    if chosen := environ.get("BLOCKDB_THEMES"):
        return Path(chosen)
    base = environ.get("XDG_CONFIG_HOME", "")
    home = Path(environ.get("HOME") or os.path.expanduser("~"))
    return (Path(base) if os.path.isabs(base) else home / ".config") / "blockdb" / "themes"


def shipped_names() -> list[str]:
    """The names of the themes that come with BlockDB: the default first, the others by alphabet."""
    return _sorted({path.stem for path in _SHIPPED.glob("*.toml")})


def own_names(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The names of one's own themes, whether or not they can be used; none where there is no directory.

    A name has letters, digits, blanks and `._+-`, forty at most; other files are not looked at.
    """
    try:
        with os.scandir(directory(environ)) as entries:
            found = (entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))
            return sorted(name for name in found if _NAME.fullmatch(name))[:MOST_OWN]
    except (OSError, ValueError):
        return []


def names(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The names of all themes: the default first, the others by alphabet."""
    return _sorted({*shipped_names(), *own_names(environ)})


def load(name: str, environ: Mapping[str, str] = os.environ) -> Theme:
    """The theme of that name. Raises `ThemeError` if there is none, or if its file is broken."""
    return _load(name, environ, ())


def load_shipped(name: str) -> Theme:
    """The theme of that name that comes with BlockDB, which must be one of `shipped_names`."""
    return read(_SHIPPED / f"{name}.toml")


def stamp(environ: Mapping[str, str] = os.environ) -> tuple[tuple[str, int, int, int], ...]:
    """What becomes another when one of one's own themes is changed, comes or goes: names, times, sizes, inodes."""
    place = directory(environ)
    return tuple((name, *_of_file(place / f"{name}.toml")) for name in own_names(environ))


def _of_file(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:  # a link to itself, or to nothing
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino


def _load(name: str, environ: Mapping[str, str], begun: tuple[str, ...]) -> Theme:
    """The theme of that name; `begun` are those that extend it, of which it can extend none but one of its own name."""
    if len(begun) > MOST_BASES:
        raise ThemeError(f"{name}.toml", "extends", f"a theme that extends another that extends too many: {begun[0]}")
    if name in own_names(environ) and name not in begun:
        return read(directory(environ) / f"{name}.toml", lambda base: _load(base, environ, (*begun, name)))
    if name in shipped_names():
        return load_shipped(name)
    if name in begun:
        raise ThemeError(f"{name}.toml", "extends", f"goes round in a circle: {' → '.join((*begun, name))}")
    raise ThemeError(f"{name}.toml", None, f"there is no such theme; there are {', '.join(names(environ))}")


def _sorted(found: set[str]) -> list[str]:
    return sorted(found, key=lambda name: (name != DEFAULT, name))
