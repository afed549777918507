"""Colour for command output: the one place where a theme becomes the escape codes of a terminal.

Only accents are coloured; plain text keeps the terminal's own colours, so that it can be read on any ground.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from .failures import UsageError

if TYPE_CHECKING:
    from blockdb_themes import Theme

__all__ = ["Palette", "chosen_theme", "default_theme", "json_spans", "palette", "wants_colour"]

_GROUNDS = frozenset({"background", "surface", "panel", "selection"})
_STYLE_CODES = {"bold": "1", "dim": "2", "italic": "3", "underline": "4", "reverse": "7"}
_JSON_TOKEN = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*"(?=\s*:))|(?P<string>"(?:[^"\\]|\\.)*"?)'
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|(?P<boolean>\b(?:true|false)\b)|(?P<null>\bnull\b)"
)


class Palette:
    """Paints text by the role it plays. Without codes it paints nothing.

    `full` says that the terminal has all colours, not 256.
    """

    def __init__(self, codes: Mapping[str, str] | None = None, *, full: bool = True) -> None:
        self._codes = codes or {}
        self._full = full

    def __bool__(self) -> bool:
        return bool(self._codes)

    def paint(self, role: str, text: str) -> str:
        """`text`, which is already safe to show, in the colour of `role`."""
        code = self._codes.get(role)
        return f"\x1b[{code}m{text}\x1b[0m" if code and text else text

    def swatch(self, colours: Sequence[str]) -> str:
        """Two cells of each colour of a theme; nothing where nothing is painted."""
        if not self:
            return ""
        return "".join(f"\x1b[{_code(colour, self._full) or '39'}m██\x1b[0m" for colour in colours)

    def paint_json(self, text: str) -> str:
        """A JSON text, already safe to show, with its parts coloured."""
        return "".join(self.paint(role, piece) for role, piece in json_spans(text)) if self else text


def json_spans(text: str) -> Iterator[tuple[str, str]]:
    """`(role, piece)` for the pieces of a JSON text: key, string, number, boolean, null, and `muted` between them."""
    position = 0
    for match in _JSON_TOKEN.finditer(text):
        if match.start() > position:
            yield "muted", text[position : match.start()]
        yield str(match.lastgroup), match.group()
        position = match.end()
    if position < len(text):
        yield "muted", text[position:]


def wants_colour(environ: Mapping[str, str] | None = None) -> bool:
    """Whether a terminal of this environment should get colours: not with NO_COLOR, nor on a dumb one."""
    environ = os.environ if environ is None else environ
    return not environ.get("NO_COLOR") and environ.get("TERM", "") not in ("", "dumb")


def default_theme(environ: Mapping[str, str] | None = None) -> str:
    """The theme that BLOCKDB_THEME names, else one that suits the terminal's ground as far as COLORFGBG tells it.

    With NO_COLOR it is the one without colours.
    """
    import blockdb_themes

    environ = os.environ if environ is None else environ
    if environ.get("NO_COLOR"):
        return blockdb_themes.MONOCHROME
    if chosen := environ.get("BLOCKDB_THEME"):
        return chosen
    ground = environ.get("COLORFGBG", "").rpartition(";")[2]
    return "paper" if ground in ("7", "15") else blockdb_themes.DEFAULT


def chosen_theme(name: str | None = None, environ: Mapping[str, str] | None = None) -> Theme:
    """The theme of that name, or the one that the environment chooses. Raises `UsageError` if it cannot be used."""
    import blockdb_themes

    try:
        return blockdb_themes.load(name or default_theme(environ))
    except blockdb_themes.ThemeError as error:
        raise UsageError(str(error)) from error


def palette(theme: str | None = None, environ: Mapping[str, str] | None = None) -> Palette:
    """The palette of a theme for this terminal. Raises `UsageError` if there is no such theme."""
    environ = os.environ if environ is None else environ
    if not wants_colour(environ):
        return Palette()
    full = environ.get("COLORTERM", "") in ("truecolor", "24bit")
    chosen = chosen_theme(theme, environ)
    codes = ((role, _codes(chosen, role, full)) for role in chosen.roles if role not in _GROUNDS)
    return Palette({role: code for role, code in codes if code}, full=full)


def _codes(theme: Theme, role: str, full: bool) -> str:
    """The codes of a role's colour and styles; words as such keep the terminal's own colour."""
    colour = "" if role == "text" else _code(theme.roles[role], full)
    return ";".join([*(_STYLE_CODES[style] for style in sorted(theme.style(role))), *([colour] if colour else [])])


def _code(colour: str, full: bool) -> str:
    """The code of a colour of a theme; none for the terminal's default one."""
    import blockdb_themes

    if colour in blockdb_themes.ANSI_COLOURS:
        at = blockdb_themes.ANSI_COLOURS.index(colour) - 1
        return "" if at < 0 else str(30 + at if at < 8 else 82 + at)
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    if full:
        return f"38;2;{red};{green};{blue}"
    return f"38;5;{_nearest(red, green, blue)}"


def _nearest(red: int, green: int, blue: int) -> int:
    """The nearest of the 256 colours: one of the cube of 6 x 6 x 6, or one of the 24 greys."""

    def distance(other: tuple[int, int, int]) -> int:
        return sum((a - b) ** 2 for a, b in zip((red, green, blue), other, strict=True))

    steps = (0, 95, 135, 175, 215, 255)
    indexes = [min(range(6), key=lambda index: abs(steps[index] - part)) for part in (red, green, blue)]
    cube = (steps[indexes[0]], steps[indexes[1]], steps[indexes[2]])
    level = min(range(24), key=lambda index: abs(8 + 10 * index - (red + green + blue) // 3))
    grey = 8 + 10 * level
    if distance((grey, grey, grey)) < distance(cube):
        return 232 + level
    return 16 + 36 * indexes[0] + 6 * indexes[1] + indexes[2]
