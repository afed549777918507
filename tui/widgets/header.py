"""The line at the top: the views, the database, how far it has grown, and whether it is alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from blockdb.commands.display import human_count, printable

from ..offloop import in_background
from ..theme import palette

if TYPE_CHECKING:
    from ..history import Moment

__all__ = ["VIEWS", "Header"]

VIEWS = {"records": "Records", "blocks": "Blocks", "metrics": "Metrics", "lab": "Lab"}


class Header(Widget):
    """Views at the left, state at the right, the path in what is left between them."""

    def __init__(self, view: str, path: str) -> None:
        super().__init__(id="header")
        self._view = view
        self._path = printable(path)
        self._moment: Moment | None = None
        self._state = ("opening …", "muted")
        self._shown: object = None
        self._tabs: list[tuple[int, int, str]] = []

    def show(self, moment: Moment | None, state: tuple[str, str]) -> None:
        """Shows a moment, and the state as (words, role of the palette)."""
        shown = (None if moment is None else (moment.statistics.records, moment.statistics.blocks), state)
        if shown != self._shown:
            self._shown, self._moment, self._state = shown, moment, state
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        left, right = self._left(width), self._right(width)
        room = width - _length(left) - _length(right)
        middle = self._middle(room)
        gap = Segment(" " * max(0, room - _length(middle)), self._ground("text"))
        return Strip([*left, gap, *middle, *right]).adjust_cell_length(width, self._ground("text"))

    def _ground(self, role: str, *, bold: bool = False, on: str = "panel") -> Style:
        return palette(self.app).style(role, on, bold=bold)

    def _left(self, width: int) -> list[Segment]:
        name = " ▚ BlockDB  " if width >= 100 else " ▚  "
        segments = [Segment(name, self._ground("accent", bold=True))]
        self._tabs, at = [], len(name)
        for number, (view, title) in enumerate(VIEWS.items(), 1):
            text = f" {number} {title} "
            here = view == self._view
            segments.append(
                Segment(
                    text, self._ground("accent" if here else "muted", bold=here, on="background" if here else "panel")
                )
            )
            self._tabs.append((at, at + len(text), view))
            at += len(text)
        return segments

    def _middle(self, room: int) -> list[Segment]:
        text = self._path if len(self._path) + 2 <= room else "…" + self._path[len(self._path) - max(0, room - 3) :]
        return [Segment(text + "  ", self._ground("muted"))] if room >= 12 else []

    def _right(self, width: int) -> list[Segment]:
        words, role = self._state
        state = [Segment(words + " ", self._ground(role))]
        if self._moment is None:
            return state
        statistics = self._moment.statistics
        long = width >= 100
        return [
            Segment(human_count(statistics.records, compact=not long), self._ground("text", bold=True)),
            Segment(" records  " if long else " rec  ", self._ground("muted")),
            Segment(human_count(statistics.blocks, compact=not long), self._ground("text", bold=True)),
            Segment(" blocks  " if long else " blk  ", self._ground("muted")),
            *state,
        ]

    def on_click(self, event: events.Click) -> None:
        for start, end, view in self._tabs:
            if start <= event.x < end:
                in_background(self, self._go, view, group="view")

    async def _go(self, view: str) -> None:
        await self.app.run_action(f"view('{view}')")


def _length(segments: list[Segment]) -> int:
    return sum(segment.cell_length for segment in segments)
