"""What a command printed: rows that come while they are looked at, painted in the theme that is worn."""

from __future__ import annotations

from textual.content import Content
from textual.strip import Strip

from ..drawing import fitted_line
from ..running import Caught
from .lines import Lines

__all__ = ["Transcript"]

FEWEST_ROWS, BORDER_ROWS = 3, 2


class Transcript(Lines):
    """The rows of one output. While the end is in view, it stays there."""

    HELP = """What the command printed, as on a terminal. Of an output without end the newest 10,000 rows are kept; \
any other stops when it has so many, and says so. Esc stops the command that runs, then closes. Y copies the line that \
prints the same in a terminal; E saves the lines that are kept to a new file."""

    def __init__(self) -> None:
        super().__init__(id="transcript")
        self.caught: Caught | None = None
        self._gone = 0

    def show(self, caught: Caught) -> None:
        """Shows an output from its beginning, or what came of it since."""
        if caught is not self.caught:
            self.caught, self.top, self.total, self._gone = caught, 0, 0, 0
        was_at_end = caught.rolls and self.top >= self.last_top
        gone, self._gone = caught.gone - self._gone, caught.gone
        self.total = len(caught.rows)
        self.top = self.last_top if was_at_end else max(0, self.top - gone)
        self.styles.height = min(max(self.total, FEWEST_ROWS) + BORDER_ROWS, self.screen.size.height * 3 // 5)
        self.refresh()

    def draw_line(self, index: int, width: int) -> Strip:
        rows = self.caught.rows if self.caught is not None else ()
        spans = rows[index] if index < len(rows) else ()
        return fitted_line([(text, self.palette.style(_role(role))) for role, text in spans], width)

    def say(self, title: str, told: str, role: str) -> None:
        """Sets what stands on the border."""
        self.entitle(Content(f" {title} "), Content.assemble((f" {told} ", f"$role-{role}")))


def _role(role: str) -> str:
    return role or "text"
