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

__all__ = ["Palette", "Wardrobe", "grounded", "palette", "textual_theme"]


class Palette:
    """The colours of one theme by role, as the theme has them and as rich styles."""

    def __init__(self, theme: blockdb_themes.Theme) -> None:
        self.theme = theme
        self.style = lru_cache(maxsize=512)(self._style)

    def __getitem__(self, role: str) -> str:
        return self.theme.roles[role]

    def _style(self, role: str, on: str | None = None, *, bold: bool = False, reverse: bool = False) -> Style:
        """`role` as the colour of the words and `on` as their ground; either may be a colour `#rrggbb` itself."""
        ground = None if on is None else self.colour(on)
        styles = self.theme.style(role, on)
        return Style(
            color=role if role.startswith("#") else self.theme.colour(role, on),
            bgcolor=ground,
            bold=bold or "bold" in styles or None,
            dim="dim" in styles or None,
            italic="italic" in styles or None,
            underline="underline" in styles or None,
            reverse=(reverse != ("reverse" in styles)) or None,
        )

    def colour(self, role: str) -> str:
        """The colour of a role, as rich knows it; a colour stays what it is."""
        return role if role.startswith("#") else self.theme.roles[role]

    def blend(self, role: str, other: str, share: float) -> str:
        """The colour that is `share` (0…1) of the way from one role's to another's.

        Of the terminal's own colours nobody knows what is between them: there it is the nearer role.
        """
        if self.theme.is_native:
            return role if share <= 0.5 else other
        one, two = self.colour(role), self.colour(other)
        mixed = (round(_channel(one, at) + (_channel(two, at) - _channel(one, at)) * share) for at in (1, 3, 5))
        return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _channel(colour: str, at: int) -> int:
    return int(colour[at : at + 2], 16)


_GROUND = ("-ground",)


def grounded(widget: Widget, strip: Strip) -> Strip:
    """A line drawn by a widget, on the widget's own ground wherever the line says nothing of one."""
    known = widget._rich_style_cache  # which textual empties with each `refresh`; it is slow to find out for every line
    if _GROUND not in known:
        known[_GROUND] = (widget.rich_style, Style.null())
    return strip.apply_style(known[_GROUND][0])


class Wardrobe:
    """The themes that an explorer can wear: those that come with BlockDB, and those of its user as they are now."""

    def __init__(self, first: str = blockdb_themes.DEFAULT, *, alone: bool = False) -> None:
        """`first` is loaded at once, all others of its user's by `look`; `alone`: there is no other.

        Raises `ThemeError` if `first` cannot be used.
        """
        self.palettes = {} if alone else dict(_shipped())
        self.palettes[first] = Palette(blockdb_themes.load(first))
        self.alone = alone
        self._stamp: object = None

    @property
    def names(self) -> list[str]:
        """The names of what can be worn, the default first."""
        return sorted(self.palettes, key=lambda name: (name != blockdb_themes.DEFAULT, name))

    def look(self) -> tuple[list[blockdb_themes.Theme], list[blockdb_themes.ThemeError]] | None:
        """The user's themes that are others than they were, and what is wrong with those that cannot be used.

        None where nothing has changed since the last look. It reads files, so it is not for the event loop; `take`
        is. A theme that is not there any more, or that cannot be used, stays what it was.
        """
        now = blockdb_themes.stamp()
        if self.alone or now == self._stamp:
            return None
        changed, broken = [], []
        for name in blockdb_themes.own_names():
            try:
                theme = blockdb_themes.load(name)
            except blockdb_themes.ThemeError as error:
                broken.append(error)
            else:
                if name not in self.palettes or self.palettes[name].theme != theme:
                    changed.append(theme)
        self._stamp = now
        return changed, broken

    def take(self, theme: blockdb_themes.Theme) -> None:
        """Has a theme, instead of the one of that name."""
        self.palettes[theme.name] = Palette(theme)


@cache
def _shipped() -> dict[str, Palette]:
    return {name: Palette(blockdb_themes.load_shipped(name)) for name in blockdb_themes.shipped_names()}


def palette(app: App[Any]) -> Palette:
    """The palette of the theme that `app`, an explorer, wears now."""
    wardrobe: Wardrobe | None = getattr(app, "wardrobe", None)
    known = _shipped() if wardrobe is None else wardrobe.palettes
    return known.get(app.theme) or known[blockdb_themes.DEFAULT]


def textual_theme(theme: blockdb_themes.Theme) -> Theme:
    """A palette as a textual theme; each role is also a variable `$role-<name>` for the style sheets."""
    roles = {role: f"ansi_{colour}" if theme.is_native else colour for role, colour in theme.roles.items()}
    return Theme(
        name=theme.name,
        dark=theme.dark,
        ansi=theme.is_native,
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
        variables={f"role-{role}": colour for role, colour in roles.items()} | _overrides(theme, roles),
    )


def _overrides(theme: blockdb_themes.Theme, roles: dict[str, str]) -> dict[str, str]:
    """Textual's own variables that would otherwise be derived into something less legible."""
    chosen = " ".join(sorted(theme.style("text", "selection"))) or "none"
    return {
        "surface": roles["surface"],
        "panel": roles["panel"],
        "text": roles["text"],
        "text-muted": roles["muted"],
        "text-disabled": roles["muted"],
        "border": roles["accent"],
        "border-blurred": roles["border"],
        "block-cursor-background": roles["selection"],
        "block-cursor-foreground": roles["text"],
        "block-cursor-text-style": f"bold {chosen}" if chosen != "none" else "bold",
        "block-cursor-blurred-background": roles["selection"],
        "block-cursor-blurred-foreground": roles["text"],
        "block-cursor-blurred-text-style": chosen,
        "input-selection-background": roles["selection"],
        "scrollbar": roles["border"],
        "scrollbar-hover": roles["accent"],
        "scrollbar-active": roles["accent"],
        "scrollbar-background": roles["background"],
        "ansi-background": roles["background"],
        "ansi-foreground": roles["text"],
    }
