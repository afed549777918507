"""Words in place of a view: what is being waited for, or what went wrong and what can be done."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from blockdb.commands.display import printable

from ..theme import palette

__all__ = ["Notice"]


class Notice(Static, can_focus=True):
    """A title, what happened, and what to do."""

    def __init__(self) -> None:
        super().__init__("", id="notice", markup=False)

    def say(self, title: str, words: str = "", advice: str = "", *, role: str = "muted") -> None:
        """Shows it, the title in the colour of `role`. All of it may hold stored bytes."""
        colours = palette(self.app)
        text = Text()
        text.append(printable(title) + "\n", colours.style(role, bold=True))
        text.append(printable(words, keep_newlines=True) + "\n", colours.style("text"))
        text.append("\n" + printable(advice, keep_newlines=True), colours.style("muted"))
        self.update(text)
