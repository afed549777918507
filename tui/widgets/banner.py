"""A line over the view that tells that what is shown may be out of date."""

from __future__ import annotations

from textual.strip import Strip
from textual.widget import Widget

from blockdb.commands.display import printable

from ..drawing import fitted_line
from ..theme import palette

__all__ = ["Banner"]


class Banner(Widget):
    """Nothing, until there is something to tell."""

    def __init__(self) -> None:
        super().__init__(id="banner")
        self._words = ""

    def show(self, words: str) -> None:
        """Tells it, or with no words goes away."""
        self._words = printable(words)
        self.display = bool(words)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        style = palette(self.app).style
        pieces = [(" ◌ ", style("error", "panel", bold=True)), (self._words, style("warning", "panel", bold=True))]
        return fitted_line(pieces, self.size.width, style("text", "panel"))
