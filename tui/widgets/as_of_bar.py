"""The line under the header that says which moment of the past is looked at; or that a view shows now all the same."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from ..drawing import fitted_line
from ..theme import palette

__all__ = ["AsOfBar"]

KEYS = " [ ] a block back, on · A another · A now "
SHORT_KEYS = " [ ] · A "


class AsOfBar(Widget):
    """Nothing, while everything is shown as it is now. A click asks for another moment."""

    def __init__(self) -> None:
        super().__init__(id="as-of")
        self.words = ""
        self.live = ""
        self.counts = ""
        """How much there was, of how much there is."""

    def show(self, words: str, live: str, counts: str = "") -> None:
        """Shows the moment; `live` says what is shown of now in spite of it. With no words it goes away."""
        if (words, live, counts) == (self.words, self.live, self.counts):
            return
        self.words, self.live, self.counts = words, live, counts
        self.display = bool(words)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        style, width = palette(self.app).style, self.size.width
        if self.live:
            first, role = f" ● now · {self.live} ", "success"
            rest = f" (elsewhere as of {self.words.split(' · ')[0]})"
        else:
            first, role = f" ◂ as of {self.words} ", "warning"
            rest = f" {self.counts}"
        keys = next((keys for keys in (KEYS, SHORT_KEYS, "") if cell_len(first + rest + keys) <= width), "")
        gap = " " * max(0, width - cell_len(first + rest + keys))
        pieces = [
            (first, style("background", role, bold=True)),
            (rest + gap, style("muted", "panel")),
            (keys, style("muted", "panel")),
        ]
        return fitted_line(pieces, width, style("text", "panel"))

    async def on_click(self, event: events.Click) -> None:
        event.stop()
        await self.app.run_action("as_of")
