"""The line at the top: where one is, the views, how far the collection has grown, and whether it is alive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from blockdb.commands.display import human_count, printable

from ..offloop import in_background
from ..theme import palette
from ..views import views_of

if TYPE_CHECKING:
    from ..history import Moment
    from ..navigation import Navigation

__all__ = ["Header"]

LEAST_PATH = 28
"""Below so many cells, the end of a path tells nothing."""


class Header(Widget):
    """Views at the left, state at the right, the path in what is left between them."""

    def __init__(self, view: str, explorer: Navigation) -> None:
        super().__init__(id="header")
        self._view = view
        self._explorer = explorer
        self._moment: Moment | None = None
        self._state = ("opening …", "muted")
        self._shown: object = None
        self._tabs: list[tuple[int, int, str]] = []

    def show(self, moment: Moment | None, state: tuple[str, str]) -> None:
        """Shows a moment, and the state as (words, role of the palette)."""
        counts = None if moment is None else (moment.statistics.records, moment.statistics.blocks)
        shown = (counts, state, self._explorer.inside, self._explorer.armed)
        if shown != self._shown:
            self._shown, self._moment, self._state = shown, moment, state
            self.refresh()

    def forget(self) -> None:
        """Shows no counts until those of another collection come."""
        self._shown = self._moment = None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        left, right = next(
            (parts for parts in self._layouts(width) if _length(parts[0]) + _length(parts[1]) <= width), ([], [])
        )
        self._remember(left)
        room = width - _length(left) - _length(right)
        middle = self._middle(room)
        gap = Segment(" " * max(0, room - _length(middle)), self._ground("text"))
        return Strip([*left, gap, *middle, *right]).adjust_cell_length(width, self._ground("text"))

    def _ground(self, role: str, *, bold: bool = False, on: str = "panel") -> Style:
        return palette(self.app).style(role, on, bold=bold)

    def _layouts(self, width: int) -> Iterator[tuple[list[Segment], list[Segment]]]:
        """Ways to say it, each shorter than the one before."""
        long = width >= 100
        titles = [view.title for view in views_of(self._explorer)]
        short = [view.title if view.mode == self._view else "" for view in views_of(self._explorer)]
        yield self._left(" ▚ BlockDB " if long else " ▚ ", titles, " "), self._right(long=long)
        yield self._left(" ▚ ", titles, " "), self._right(long=False)
        yield self._left(" ▚", titles, ""), self._right(long=False)
        if long:
            yield self._left(" ▚ BlockDB ", short, " "), self._right(long=True)
        yield self._left(" ▚ ", short, " "), self._right(long=False)
        yield self._left(" ▚", short, ""), self._right(long=False)
        yield self._left(" ▚", short, ""), self._right(long=False, counts=False)
        yield self._left(" ▚", ["" for _ in titles], ""), self._light()
        yield self._left(" ▚", ["" for _ in titles], ""), self._warnings()

    def _left(self, name: str, titles: list[str], gap: str) -> list[Segment]:
        segments = [Segment(name, self._ground("accent", bold=True))]
        for view, title in zip(views_of(self._explorer), titles, strict=True):
            here = view.mode == self._view
            ground = self._ground("accent" if here else "muted", bold=here, on="background" if here else "panel")
            key = self._explorer.shown_key(f"view.{view.mode}")
            segments.append(Segment(f" {key} {title}{gap}" if title else f" {key}{gap}", ground))
        return segments

    def _remember(self, left: list[Segment]) -> None:
        """Where each view can be clicked."""
        self._tabs, at = [], _length(left[:1])
        for view, segment in zip(views_of(self._explorer), left[1:], strict=False):
            self._tabs.append((at, at + segment.cell_length, view.mode))
            at += segment.cell_length

    def tabs(self) -> list[tuple[int, str, str]]:
        """Where the key of each view stands, the key, and its mode."""
        return [(start, self._explorer.shown_key(f"view.{mode}"), mode) for start, _, mode in self._tabs]

    def _middle(self, room: int) -> list[Segment]:
        path = printable(self._explorer.origin.name)
        text = path if len(path) + 2 <= room else "…" + path[len(path) - max(0, room - 3) :]
        return [Segment(text + "  ", self._ground("muted"))] if room >= min(len(path) + 2, LEAST_PATH) else []

    def _light(self) -> list[Segment]:
        """The state as its sign alone."""
        words, role = self._state
        return [*self._warnings(), Segment(f" {words[:1]} ", self._ground(role))]

    def _warnings(self) -> list[Segment]:
        """What must be seen however little room there is: that it is recorded, that it can write."""
        told = (("● REC", "error", self._explorer.is_recording), ("ARMED", "warning", self._explorer.armed))
        return [Segment(f" {words} ", self._ground(role, bold=True)) for words, role, is_on in told if is_on]

    def _right(self, *, long: bool, counts: bool = True) -> list[Segment]:
        words, role = self._state
        state = [*self._warnings(), Segment(" " + words + " ", self._ground(role))]
        if self._moment is None or not counts:
            return state
        statistics = self._moment.statistics
        return [
            Segment(" " + human_count(statistics.records, compact=not long), self._ground("text", bold=True)),
            Segment(" records  " if long else " rec  ", self._ground("muted")),
            Segment(human_count(statistics.blocks, compact=not long), self._ground("text", bold=True)),
            Segment(" blocks " if long else " blk ", self._ground("muted")),
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
