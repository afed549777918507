"""The one place where a theme becomes the style of the shell."""

from __future__ import annotations

import os
from functools import partial

from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

import blockdb_themes
from blockdb.commands.colour import chosen_theme, wants_colour

__all__ = ["colour_depth", "shell_style"]

_PROMPT_TOOLKIT = {"white": "gray", "bright_black": "brightblack", "bright_white": "white"}
"""The terminal's colours that prompt_toolkit calls by other names."""


def shell_style(theme: str | None) -> Style:
    """The style of a theme (the terminal's default one if None). Raises `UsageError` if there is no such theme."""
    worn = chosen_theme(theme if wants_colour() else blockdb_themes.MONOCHROME)
    of = partial(_of, worn)
    return Style(
        [
            ("prompt", f"{of('accent')} bold"),
            ("transaction", of("warning")),
            ("command", f"{of('primary')} bold"),
            ("flag", of("secondary")),
            ("problem", f"{of('error')} underline"),
            ("quoted", of("string")),
            *((f"json.{role}", of(role)) for role in ("key", "string", "number", "boolean", "null", "muted")),
            ("auto-suggestion", of("muted")),
            ("bottom-toolbar", of("text", "panel")),
            ("bottom-toolbar.label", of("muted", "panel")),
            ("bottom-toolbar.warning", of("warning", "panel")),
            ("completion-menu", of("text", "panel")),
            ("completion-menu.completion", of("text", "panel")),
            ("completion-menu.completion.current", f"{of('text', 'selection')} bold"),
            ("completion-menu.meta.completion", of("muted", "surface")),
            ("completion-menu.meta.completion.current", of("muted", "selection")),
            ("scrollbar.background", of("text", "surface")),
            ("scrollbar.button", f"bg:{_named(worn.roles['border'])} {'reverse' if worn.is_native else ''}"),
        ]
    )


def _of(theme: blockdb_themes.Theme, role: str, on: str | None = None) -> str:
    """Words of a role, on a ground, as prompt_toolkit writes it; what is not reversed says so, since menus would be."""
    styles = theme.style(role, on)
    ground = [] if on is None else [f"bg:{_named(theme.roles[on])}"]
    words = [_named(theme.colour(role, on)), *ground, *sorted(styles)]
    return " ".join(words if "reverse" in styles or on is None else [*words, "noreverse"])


def _named(colour: str) -> str:
    """A colour of a theme as prompt_toolkit calls it."""
    return colour if colour.startswith("#") else f"ansi{_PROMPT_TOOLKIT.get(colour, colour.replace('_', ''))}"


def colour_depth() -> ColorDepth:
    """As many colours as the terminal of this environment has."""
    if not wants_colour():
        return ColorDepth.DEPTH_1_BIT
    full = os.environ.get("COLORTERM", "") in ("truecolor", "24bit")
    return ColorDepth.DEPTH_24_BIT if full else ColorDepth.DEPTH_8_BIT
