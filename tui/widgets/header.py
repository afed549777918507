"""The line at the top: where one is, the views, how far the collection has grown, and whether it is alive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from blockdb.commands.display import human_count, printable

from ..drawing import fit
from ..offloop import in_background
from ..theme import palette

if TYPE_CHECKING:
    from ..history import Moment
    from ..navigation import Navigation

__all__ = ["VIEWS", "Header"]

VIEWS = {
    "collections": "Collections",
    "records": "Records",
    "blocks": "Blocks",
    "metrics": "Metrics",
    "lab": "Lab",
    "schema": "Schema",
    "changes": "Changes",
    "acts": "Acts",
    "cluster": "Cluster",
}
"""The views by the number of their key, from 0. The first is the way up out of a collection, and wears its name. The
last is shown where there is a cluster."""

LONGEST_NAME = 24


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
        shown = (counts, state, self._explorer.inside)
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
        titles = list(self._views().values())
        short = [title if view in ("collections", self._view) else "" for view, title in self._views().items()]
        way, name = self._way_up(), self._where()
        yield self._left(" ▚ BlockDB " if long else " ▚ ", [way, *titles[1:]], " "), self._right(long=long)
        yield self._left(" ▚ ", [way, *titles[1:]], " "), self._right(long=False)
        yield self._left(" ▚ ", [name, *titles[1:]], " "), self._right(long=False, counts=False)
        yield self._left(" ▚", [name, *titles[1:]], ""), self._right(long=False, counts=False)
        yield self._left(" ▚", [name, *titles[1:]], ""), [self._light()]
        yield self._left(" ▚", [name, *short[1:]], " "), self._right(long=False)
        yield self._left(" ▚", [name, *short[1:]], ""), self._right(long=False, counts=False)
        yield self._left(" ▚", ["" for _ in titles], ""), []

    def _views(self) -> dict[str, str]:
        """The views that have something to show."""
        return VIEWS if self._explorer.scene is not None else {view: VIEWS[view] for view in VIEWS if view != "cluster"}

    def _way_up(self) -> str:
        """The first tab where there is room: it leads to all collections, and tells which one was entered."""
        inside = self._explorer.inside
        title = VIEWS["collections"]
        return title if inside is None else f"{title} › {_shortened(inside, LONGEST_NAME)}"

    def _where(self) -> str:
        """The first tab in short: the collection that is looked at."""
        collection = self._explorer.collection
        if collection is None or self._view == "collections":
            return VIEWS["collections"]
        return f"{_shortened(collection.name, LONGEST_NAME // 2)} ›"

    def _left(self, name: str, titles: list[str], gap: str) -> list[Segment]:
        segments = [Segment(name, self._ground("accent", bold=True))]
        for number, (view, title) in enumerate(zip(self._views(), titles, strict=True)):
            here = view == self._view
            way_up = view == "collections" and self._explorer.inside is not None
            role = "accent" if here else "key" if way_up else "muted"
            ground = self._ground(role, bold=here or way_up, on="background" if here else "panel")
            segments.append(Segment(f" {number} {title}{gap}" if title else f" {number}{gap}", ground))
        return segments

    def _remember(self, left: list[Segment]) -> None:
        """Where each view can be clicked."""
        self._tabs, at = [], _length(left[:1])
        for view, segment in zip(self._views(), left[1:], strict=False):
            self._tabs.append((at, at + segment.cell_length, view))
            at += segment.cell_length

    def _middle(self, room: int) -> list[Segment]:
        path = printable(self._explorer.origin.name)
        text = path if len(path) + 2 <= room else "…" + path[len(path) - max(0, room - 3) :]
        return [Segment(text + "  ", self._ground("muted"))] if room >= 12 else []

    def _light(self) -> Segment:
        """The state as its sign alone."""
        words, role = self._state
        return Segment(f" {words[:1]} ", self._ground(role))

    def _right(self, *, long: bool, counts: bool = True) -> list[Segment]:
        words, role = self._state
        state = [Segment(" " + words + " ", self._ground(role))]
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


def _shortened(name: str, longest: int) -> str:
    """A name of a collection in at most so many cells, fit to be shown."""
    shown = printable(name)
    return fit(shown, longest) if cell_len(shown) > longest else shown


def _length(segments: list[Segment]) -> int:
    return sum(segment.cell_length for segment in segments)
