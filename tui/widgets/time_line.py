"""The time line of a cluster: a band for each node, marks where something happened, and the moment that is shown."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from blockdb.commands.display import human_time, printable
from blockdb.commands.recordings.events import KINDS, Happening
from blockdb.commands.recordings.lanes import UNREACHABLE, Lane

from ..cluster.playhead import Playhead
from ..cluster.story import Story
from ..drawing import fit, fitted_line, looks
from ..theme import grounded, palette

__all__ = ["TimeLine"]

LABEL = 9
TICK_CELLS = 12
BANDS = {
    "Leader": ("━", "accent"),
    "Follower": ("─", "muted"),
    "Candidate": ("╌", "warning"),
    "PreCandidate": ("╌", "warning"),
    "Learner": ("┄", "primary"),
    "Replica": ("┈", "secondary"),
    "Mending": ("~", "warning"),
    "Diverged": ("≠", "error"),
    UNREACHABLE: ("·", "error"),
    "killed": ("✗", "error"),
    "paused": ("‖", "warning"),
}
LEGEND_BANDS = (("━", "leads", "accent"), ("─", "follows", "muted"), ("╌", "stands", "warning"))
LEGEND_KINDS = ("leader", "election", "vote", "contact", "reached", "snapshot", "members", "fault")
LEGEND_FAULTS = (("·", "away", "error"), ("✗", "killed", "error"), ("‖", "paused", "warning"))


class TimeLine(Widget):
    """Bands over time. A click goes to its moment."""

    class Sought(Message):
        """Somebody pointed at a moment."""

        def __init__(self, time_ms: int) -> None:
            super().__init__()
            self.time_ms = time_ms

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.playhead: Playhead | None = None
        self._story = Story()
        self._rows: list[Strip] = []
        self._titles = looks(Content(""), Content(""))

    def show(self, story: Story, playhead: Playhead, title: Content, subtitle: Content) -> None:
        """Draws the stretch of time around the moment, and paints if it looks otherwise than before."""
        self._story, self.playhead = story, playhead
        if (now := looks(title, subtitle)) != self._titles:
            self._titles = now
            self.border_title, self.border_subtitle = title, subtitle
        rows = self._drawn()
        if rows != self._rows:
            self._rows = rows
            self.refresh()

    def render_line(self, y: int) -> Strip:
        return grounded(self, self._rows[y] if y < len(self._rows) else Strip.blank(self.size.width))

    def on_resize(self) -> None:
        self._rows = self._drawn()
        self.refresh()

    def notify_style_update(self) -> None:
        self._rows = self._drawn() if self.is_mounted else []  # perhaps another theme
        super().notify_style_update()

    @property
    def columns(self) -> int:
        """The cells of the bands."""
        return max(1, self.size.width - LABEL - 1)

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is not None and self.playhead is not None and LABEL <= at.x < LABEL + self.columns:
            cell = at.x - LABEL
            self.post_message(self.Sought(self.playhead.start_ms(self.columns) + cell * self.playhead.step_ms))

    # ── drawing ──

    def _drawn(self) -> list[Strip]:
        playhead = self.playhead
        if playhead is None or not self._story.samples or not self.size:
            return []
        start_ms = playhead.start_ms(self.columns)
        at = (playhead.time_ms - start_ms) // playhead.step_ms
        ids = self._story.ids()
        return [
            *(self._band(id_, playhead, start_ms, at) for id_ in ids),
            self._axis(playhead, start_ms, at),
            self._legend(),
        ]

    def _band(self, id_: str, playhead: Playhead, start_ms: int, at: int) -> Strip:
        story, step_ms = self._story, playhead.step_ms
        lanes = story.bands(id_, start_ms, step_ms, self.columns)
        marks = story.marks(id_, start_ms, step_ms, self.columns)
        style = palette(self.app).style
        pieces = [(f" {fit(printable(id_), LABEL - 2)} ", style("key"))]
        for column, (lane, mark) in enumerate(zip(lanes, marks, strict=True)):
            glyph, role = _cell(lane, mark)
            ground = "selection" if column == at else None
            pieces.append((glyph, style(role, ground, bold=mark is not None)))
        return fitted_line(pieces, self.size.width)

    def _axis(self, playhead: Playhead, start_ms: int, at: int) -> Strip:
        """Times along the line, and the moment that is shown."""
        style, step_ms = palette(self.app).style, playhead.step_ms
        words = f"▲{human_time(playhead.time_ms)[11:21]}"
        left = at
        if at + len(words) > self.columns:
            left, words = max(0, at - len(words) + 1), words[1:] + words[0]
        cells = [" "] * self.columns
        tick = _tick_ms(step_ms)
        for time_ms in range(-(-start_ms // tick) * tick, start_ms + self.columns * step_ms, tick):
            place, text = (time_ms - start_ms) // step_ms, "╵" + human_time(max(0, time_ms))[11:19]
            if place + len(text) < left or place > left + len(words):
                _put(cells, place, text)
        line = "".join(cells)
        return fitted_line(
            [
                (" " * LABEL, style("muted")),
                (line[:left], style("muted")),
                (words, style("accent", bold=True)),
                (line[left + len(words) :], style("muted")),
            ],
            self.size.width,
        )

    def _legend(self) -> Strip:
        style = palette(self.app).style
        marks = [(KINDS[kind].glyph, KINDS[kind].word, KINDS[kind].role) for kind in LEGEND_KINDS]
        pieces = [(" ", style("muted"))]
        for glyph, word, role in (*LEGEND_BANDS, *LEGEND_FAULTS, *marks):
            if sum(len(text) for text, _ in pieces) + len(word) + 3 <= self.size.width:
                pieces += [(f"{glyph} ", style(role)), (f"{word} ", style("muted"))]
        return fitted_line(pieces, self.size.width)


def _cell(lane: Lane | None, mark: Happening | None) -> tuple[str, str]:
    if mark is not None:
        return mark.shown.glyph, mark.shown.role
    if lane is None:
        return " ", "muted"
    if lane.fault in BANDS:
        return BANDS[lane.fault]
    glyph, role = BANDS.get(lane.state, ("?", "muted"))
    return glyph, "warning" if lane.fault else role


def _tick_ms(step_ms: int) -> int:
    """How far the times stand apart: a round number of seconds."""
    wanted = step_ms * TICK_CELLS
    seconds = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
    return next((second * 1000 for second in seconds if second * 1000 >= wanted), 7_200_000)


def _put(cells: list[str], at: int, words: str) -> None:
    if at + len(words) <= len(cells):
        cells[at : at + len(words)] = words
