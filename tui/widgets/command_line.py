"""Around the line on which commands are typed: what may come next above it, how the command is used below it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.strip import Strip
from textual.widget import Widget

from blockdb.commands.completing import Candidate, Usage
from blockdb.commands.display import printable

from ..drawing import fit, fitted_line
from ..theme import grounded, palette

__all__ = ["Offered", "UsageHint"]

MOST_SHOWN = 8


class Offered(Widget):
    """What may come next, a line each, as far as there is room."""

    def __init__(self) -> None:
        super().__init__(id="command-offered")
        self.found: Sequence[Candidate] = ()
        self.chosen = -1
        self.display = False

    def show(self, found: Sequence[Candidate], chosen: int = -1) -> None:
        """Shows candidates, one of them perhaps chosen."""
        self.found, self.chosen = found, chosen
        self.display = bool(found)
        self.styles.height = min(len(found), MOST_SHOWN)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        style, width = palette(self.app).style, self.size.width
        top = max(0, min(self.chosen - MOST_SHOWN // 2, len(self.found) - MOST_SHOWN))
        if not top <= top + y < len(self.found):
            return grounded(self, Strip.blank(width))
        it = self.found[top + y]
        ground = "selection" if top + y == self.chosen else None
        left = min(max(cell_len(each.shown) for each in self.found) + 2, max(width // 2, 12))
        more = len(self.found) - MOST_SHOWN
        last = y == MOST_SHOWN - 1 and more > 0 and top < more
        pieces = [
            (f" {fit(it.shown, left)} ", style("key", ground)),
            (f"… {more - top} more" if last else it.meaning, style("muted", ground)),
        ]
        return grounded(self, fitted_line(pieces, width, style("text", ground)))


class UsageHint(Widget):
    """How the command that is being typed is used, and what the argument at the cursor means; a line for each."""

    def __init__(self) -> None:
        super().__init__(id="command-usage")
        self._lines = ("", "")

    def show(self, usage: Usage | None, otherwise: tuple[str, str]) -> None:
        """Shows it; where there is no command yet, other words."""
        self._lines = otherwise if usage is None else (printable(usage.usage), printable(usage.meaning))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        style = palette(self.app).style("key" if y == 0 else "muted")
        words = self._lines[y] if y < len(self._lines) else ""
        return grounded(self, fitted_line([(words, style)], self.size.width))
