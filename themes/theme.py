"""What a theme is: roles, the colours and styles that they have, and what is wrong with one that cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

__all__ = ["ANSI_COLOURS", "DEFAULT", "MEANINGS", "MONOCHROME", "ROLES", "STYLES", "Theme", "ThemeError"]

DEFAULT: Final = "basalt"
MONOCHROME: Final = "monochrome"
"""The theme that is worn where NO_COLOR is set."""

MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "background": "the ground of everything",
        "surface": "the ground of what lies on it: prompts, help, lists that are laid over a view",
        "panel": "the ground of the lines at the top and at the bottom, and of menus",
        "border": "frames, and lines between things",
        "selection": "the ground of the row that is chosen",
        "text": "words",
        "muted": "words that matter less: labels, times, units",
        "accent": "where one is: the focused frame, the view worn, the prompt",
        "primary": "names of commands, hashes",
        "secondary": "options, what belongs to something else",
        "success": "proven, whole, connected",
        "warning": "what to look at before it is too late",
        "error": "failed, damaged, refused",
        "key": "keys, of records and of JSON",
        "string": "texts in JSON",
        "number": "numbers in JSON",
        "boolean": "true and false",
        "null": "null",
        "graph1": "the first series of a graph",
        "graph2": "the second",
        "graph3": "the third",
        "graph4": "the fourth",
    }
)
"""What each role is for."""

ROLES: Final = tuple(MEANINGS)
"""Every role that a theme must colour: grounds and lines, words and states, kinds of data, and series of a graph."""

_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
ANSI_COLOURS: Final = ("default", *_NAMES, *(f"bright_{name}" for name in _NAMES))
"""The terminal's own colours: what its user has made of them; `default` is the one of words or of the ground."""

STYLES: Final = ("bold", "dim", "italic", "underline", "reverse")


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
    """A palette: `roles` maps each name of `ROLES` to a colour; `dark` tells the ground it stands on.

    All colours are `#rrggbb`, or all are names of `ANSI_COLOURS`. `styles` has, of roles that are told by more than a
    colour, some of `STYLES`; the one of a ground is that of all words on it.
    """

    name: str
    dark: bool
    roles: Mapping[str, str]
    styles: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_native(self) -> bool:
        """Whether the colours are the terminal's own, so that nobody but it knows what they look like."""
        return self.roles["background"] in ANSI_COLOURS

    def colour(self, role: str, on: str | None = None) -> str:
        """The colour of words of a role on a ground: where that is shown by reversing, they would be patches of it."""
        is_reversed = on is not None and "reverse" in self.styles.get(on, ())
        return self.roles["text" if is_reversed else role]

    def style(self, role: str, on: str | None = None) -> frozenset[str]:
        """The styles of words of a role on a ground. What is reversed on a ground that is reversed is not."""
        words = self.styles.get(role, frozenset())
        ground = self.styles.get(on, frozenset()) if on is not None else frozenset()
        return (words | ground) - (words & ground & {"reverse"})
