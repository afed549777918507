"""The card at the bottom that tells where the tour is. It takes room of its own, and so covers nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget

from blockdb.commands.display import printable

from ..drawing import fitted_line
from ..theme import grounded, palette
from .step import Phase

if TYPE_CHECKING:
    from .engine import Tour

__all__ = ["TourCard"]

MOST_LINES = 4
ROLES = {
    Phase.READY: "muted",
    Phase.DOING: "warning",
    Phase.DONE: "success",
    Phase.FAILED: "error",
    Phase.SKIPPED: "warning",
}
Pieces = list[tuple[str, str]]


class TourCard(Widget):
    """Title and words of the step, its keys, and what came of it."""

    def __init__(self, tour: Tour) -> None:
        super().__init__(id="tour-card")
        self._tour = tour
        self._lines: list[Pieces] = []
        self._shown: object = None

    def on_mount(self) -> None:
        self.update()

    def on_resize(self) -> None:
        self.update()

    def update(self) -> None:
        """Shows where the tour is."""
        tour = self._tour
        width = max(20, self.app.size.width - 4)
        done = "".join(outcome.phase.value for outcome in tour.outcomes)
        lines: list[Pieces] = [*([(line, "text")] for line in wrapped(tour.step.words, width)), *self._told(width)]
        shown = (lines, done, tour.number, tour.is_playing)
        if shown == self._shown:
            return
        self._shown, self._lines = shown, lines
        self.styles.height = len(self._lines) + 2
        place = f"Tour {tour.number + 1} of {len(tour.script)} · "
        self.border_title = Content.assemble(place, (tour.step.title, "bold"))
        play = "space pauses" if tour.is_playing else "space plays"
        self.border_subtitle = Content(f"{done} · n next · b back · {play} · Esc leaves")
        self.refresh()

    def _told(self, width: int) -> list[Pieces]:
        tour, outcome = self._tour, self._tour.outcome
        shown = tour.keys.replace("␣", " ")
        keys: Pieces = [("keys  ", "muted"), (shown, "accent")] if shown else [("no keys: only look", "muted")]
        if outcome.phase is Phase.READY:
            return [keys, [("n does it", "muted")]]
        if outcome.phase is Phase.DOING:
            return [keys, [("◐ under way …", "warning")]]
        words = wrapped(f"{outcome.phase.value} {printable(outcome.words)}", width)
        return [keys, *([(line, ROLES[outcome.phase])] for line in words)]

    def render_line(self, y: int) -> Strip:
        style = palette(self.app).style
        pieces = self._lines[y] if y < len(self._lines) else []
        line = [(" ", style("text")), *((text, style(role, bold=role == "accent")) for text, role in pieces)]
        return grounded(self, fitted_line(line, self.size.width, style("text")))


def wrapped(words: str, width: int) -> list[str]:
    """Words in lines of at most so many cells, and at most a few of them."""
    lines = [""]
    for word in words.split():
        if lines[-1] and cell_len(lines[-1]) + 1 + cell_len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".lstrip()
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], lines[MOST_LINES - 1] + " …"]
    return lines
