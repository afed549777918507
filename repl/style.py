"""The one place where a theme becomes the style of the shell."""

from __future__ import annotations

import os

from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from blockdb.commands.colour import default_theme, theme_roles, wants_colour

__all__ = ["colour_depth", "shell_style"]


def shell_style(theme: str | None) -> Style:
    """The style of a theme (the terminal's default one if None). Raises `UsageError` if there is no such theme."""
    if not wants_colour():
        return Style([("bottom-toolbar", "reverse"), ("problem", "underline")])
    roles = theme_roles(theme or default_theme())
    menu = f"bg:{roles['panel']} {roles['text']}"
    chosen = f"bg:{roles['selection']} {roles['text']} bold noreverse"
    return Style(
        [
            ("prompt", f"bold {roles['accent']}"),
            ("transaction", roles["warning"]),
            ("command", f"bold {roles['primary']}"),
            ("flag", roles["secondary"]),
            ("problem", f"underline {roles['error']}"),
            ("quoted", roles["string"]),
            *((f"json.{role}", roles[role]) for role in ("key", "string", "number", "boolean", "null", "muted")),
            ("auto-suggestion", roles["muted"]),
            ("bottom-toolbar", f"noreverse bg:{roles['panel']} {roles['text']}"),
            ("bottom-toolbar.label", roles["muted"]),
            ("bottom-toolbar.warning", roles["warning"]),
            ("completion-menu", menu),
            ("completion-menu.completion", menu),
            ("completion-menu.completion.current", chosen),
            ("completion-menu.meta.completion", f"bg:{roles['surface']} {roles['muted']}"),
            ("completion-menu.meta.completion.current", f"bg:{roles['selection']} {roles['muted']}"),
            ("scrollbar.background", f"bg:{roles['surface']}"),
            ("scrollbar.button", f"bg:{roles['border']}"),
        ]
    )


def colour_depth() -> ColorDepth:
    """As many colours as the terminal of this environment has."""
    if not wants_colour():
        return ColorDepth.DEPTH_1_BIT
    full = os.environ.get("COLORTERM", "") in ("truecolor", "24bit")
    return ColorDepth.DEPTH_24_BIT if full else ColorDepth.DEPTH_8_BIT
