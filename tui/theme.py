"""The one place where the palettes of `themes/` become what textual and rich want."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from rich.style import Style
from textual.app import App
from textual.strip import Strip
from textual.theme import Theme
from textual.widget import Widget

import blockdb_themes

__all__ = ["Palette", "grounded", "palette", "palettes", "textual_theme"]


class Palette:
    """The colours of one theme by role, as strings `#rrggbb` and as rich styles."""

    def __init__(self, theme: blockdb_themes.Theme) -> None:
        self.theme = theme
        self.style = lru_cache(maxsize=512)(self._style)

    def __getitem__(self, role: str) -> str:
        return self.theme.roles[role]

    def _style(self, role: str, on: str | None = None, *, bold: bool = False, reverse: bool = False) -> Style:
        """`role` as the colour of the words and `on` as their ground; either may be a colour `#rrggbb` itself."""
        ground = None if on is None else self.colour(on)
        return Style(color=self.colour(role), bgcolor=ground, bold=bold or None, reverse=reverse or None)

    def colour(self, role: str) -> str:
        """The colour of a role; a colour stays what it is."""
        return role if role.startswith("#") else self.theme.roles[role]

    def blend(self, role: str, other: str, share: float) -> str:
        """The colour that is `share` (0…1) of the way from one role's to another's."""
        one, two = self.colour(role), self.colour(other)
        mixed = (round(_channel(one, at) + (_channel(two, at) - _channel(one, at)) * share) for at in (1, 3, 5))
        return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _channel(colour: str, at: int) -> int:
    return int(colour[at : at + 2], 16)


def grounded(widget: Widget, strip: Strip) -> Strip:
    """A line drawn by a widget, on the widget's own ground wherever the line says nothing of one."""
    return strip.apply_style(widget.rich_style)


@cache
def palettes() -> dict[str, Palette]:
    """Every palette that comes with BlockDB, by name, the default first."""
    return {name: Palette(blockdb_themes.load(name)) for name in blockdb_themes.names()}


def palette(app: App[Any]) -> Palette:
    """The palette of the theme that `app` wears now."""
    known = palettes()
    return known.get(app.theme) or known[blockdb_themes.DEFAULT]


def textual_theme(theme: blockdb_themes.Theme) -> Theme:
    """A palette as a textual theme; each role is also a variable `$role-<name>` for the style sheets."""
    roles = theme.roles
    return Theme(
        name=theme.name,
        dark=theme.dark,
        primary=roles["primary"],
        secondary=roles["secondary"],
        accent=roles["accent"],
        foreground=roles["text"],
        background=roles["background"],
        surface=roles["surface"],
        panel=roles["panel"],
        success=roles["success"],
        warning=roles["warning"],
        error=roles["error"],
        variables={f"role-{role}": colour for role, colour in roles.items()} | _overrides(theme),
    )


def _overrides(theme: blockdb_themes.Theme) -> dict[str, str]:
    """Textual's own variables that would otherwise be derived into something less legible."""
    roles = theme.roles
    return {
        "text": roles["text"],
        "text-muted": roles["muted"],
        "text-disabled": roles["muted"],
        "border": roles["accent"],
        "border-blurred": roles["border"],
        "block-cursor-background": roles["selection"],
        "block-cursor-foreground": roles["text"],
        "block-cursor-blurred-background": roles["selection"],
        "block-cursor-blurred-foreground": roles["text"],
        "input-selection-background": roles["selection"],
        "scrollbar": roles["border"],
        "scrollbar-hover": roles["accent"],
        "scrollbar-active": roles["accent"],
        "scrollbar-background": roles["background"],
    }
