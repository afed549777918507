"""A theme out of its file. The file may be anything, since its user wrote it: what is wrong is said, and quickly."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable, Collection
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from .theme import ANSI_COLOURS, DEFAULT, ROLES, STYLES, Theme, ThemeError

__all__ = ["read"]

MOST_BYTES: Final = 16_384
"""A theme has less than a tenth of it."""
LONGEST_QUOTED: Final = 40

_ENTRIES = ("name", "extends", "dark", "roles", "styles")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def read(path: Path, load_base: Callable[[str], Theme] | None = None) -> Theme:
    """The theme in the file at `path`. Raises `ThemeError`, which names the file and the entry at fault.

    `load_base` gives the theme that one `extends`, and raises `ThemeError` if there is none.
    """
    table = _table(path)
    for key in sorted(table.keys() - set(_ENTRIES)):
        raise ThemeError(path.name, _shown(key), f"is not an entry of a theme{_nearest(key, _ENTRIES)}")
    if "name" in table and _entry(path, table, "name", str, "a text") != path.stem:
        raise ThemeError(path.name, "name", f'must be that of the file, so write name = "{path.stem}", or leave it out')
    base = _base(path, table, load_base)
    dark: bool = _entry(path, table, "dark", bool, "true or false", None if base is None else base.dark)
    roles = _roles(path, _entry(path, table, "roles", dict, "a table of colours", base and {}), base)
    styles = _styles(path, _entry(path, table, "styles", dict, "a table of styles", {}), base)
    return Theme(path.stem, dark, MappingProxyType(roles), MappingProxyType(styles))


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_bytes(path).decode())
    except OSError as error:
        raise ThemeError(path.name, None, f"cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise ThemeError(path.name, None, f"cannot be read (byte {error.start} is not UTF-8)") from error
    except tomllib.TOMLDecodeError as error:
        raise ThemeError(path.name, None, f"cannot be read ({error})") from error
    except ThemeError:
        raise
    except (RecursionError, ValueError):  # tables in tables in tables, a number of ten thousand digits
        raise ThemeError(path.name, None, "cannot be read (no theme is as deep or as large)") from None


def _bytes(path: Path) -> bytes:
    """What is in a file; nothing waits for a pipe that nobody writes, and nothing large comes into memory."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise ThemeError(path.name, None, "cannot be read (it is not a plain file)")
        data = os.read(file, MOST_BYTES + 1)
    finally:
        os.close(file)
    if len(data) > MOST_BYTES:
        raise ThemeError(path.name, None, f"cannot be read (it has more than {MOST_BYTES:,} bytes, which no theme has)")
    return data


def _base(path: Path, table: dict[str, Any], load_base: Callable[[str], Theme] | None) -> Theme | None:
    if "extends" not in table:
        return None
    name = _entry(path, table, "extends", str, "the name of a theme")
    if load_base is None:
        raise ThemeError(path.name, "extends", "a theme that comes with BlockDB extends no other")
    try:
        return load_base(name)
    except ThemeError as error:
        raise ThemeError(path.name, "extends", f"{_shown(name)} cannot be used: {error}") from error


def _entry(
    path: Path, table: dict[str, Any], key: str, kind: type, words: str, missing: Any = None, section: str = ""
) -> Any:
    whole = f"{section}{key}"
    if key not in table:
        if missing is None:
            advice = f'write it, or begin the file with extends = "{DEFAULT}"'
            raise ThemeError(path.name, whole, f"is missing; {advice}")
        return missing
    if not isinstance(table[key], kind):
        raise ThemeError(path.name, whole, f"must be {words}")
    return table[key]


def _roles(path: Path, table: dict[str, Any], base: Theme | None) -> dict[str, str]:
    _check_roles(path, table, "roles.")
    known = {} if base is None else base.roles
    roles = {
        role: _colour(path, _entry(path, table, role, str, "a text", known.get(role), "roles."), role) for role in ROLES
    }
    native = roles["background"] in ANSI_COLOURS
    for role, colour in roles.items():
        if (colour in ANSI_COLOURS) != native:
            kind = "a name, as those of the others are" if native else "like #1a2b3c, as those of the others are"
            raise ThemeError(path.name, f"roles.{role}", f"the colour must be {kind}, not {colour!r}")
    return roles


def _colour(path: Path, colour: str, role: str) -> str:
    if colour in ANSI_COLOURS or _COLOUR.fullmatch(colour):
        return colour.lower()
    raise ThemeError(
        path.name,
        f"roles.{role}",
        f"must be a colour like #1a2b3c, or a name of the terminal's own, as bright_blue, not {_shown(colour)!r}",
    )


def _styles(path: Path, table: dict[str, Any], base: Theme | None) -> dict[str, frozenset[str]]:
    _check_roles(path, table, "styles.")
    styles = {} if base is None else dict(base.styles)
    for role in table:
        words = _entry(path, table, role, str, "a text such as bold, or bold reverse", section="styles.").split()
        for word in words:
            if word not in STYLES:
                raise ThemeError(path.name, f"styles.{role}", f"{_shown(word)!r} is none of {', '.join(STYLES)}")
        styles[role] = frozenset(words)
    return styles


def _check_roles(path: Path, table: dict[str, Any], section: str) -> None:
    for role in sorted(table.keys() - set(ROLES)):
        raise ThemeError(path.name, f"{section}{_shown(role)}", f"is not a role{_nearest(role, ROLES)}")


def _nearest(word: str, known: Collection[str]) -> str:
    import difflib  # here: nearly every theme is as it should be

    near = difflib.get_close_matches(word[:LONGEST_QUOTED], known, 1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"


def _shown(text: str) -> str:
    return text if len(text) <= LONGEST_QUOTED else text[: LONGEST_QUOTED - 1] + "…"
