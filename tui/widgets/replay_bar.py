"""The time line of a recording, at the bottom of every view: where one is in it, and what happened when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from blockdb.commands.display import human_time

from ..drawing import fitted_line
from ..theme import palette

if TYPE_CHECKING:
    from blockdb.commands.recordings.events import Event

    from ..replay import Replay

__all__ = ["ReplayBar"]

Pieces = list[tuple[str, str]]


class ReplayBar(Widget):
    """The whole recording in a line, with its events; below it the moment. A click goes to its moment."""

    class Sought(Message):
        """Somebody pointed at a moment."""

        def __init__(self, time_ms: int) -> None:
            super().__init__()
            self.time_ms = time_ms

    def __init__(self, replay: Replay | None) -> None:
        """None: nothing is replayed."""
        super().__init__(id="replay")
        self._replay = replay
        self._marks: tuple[int, list[Event | None]] = (0, [])
        self.display = replay is not None

    def update(self) -> None:
        """Shows the moment."""
        if self._replay is not None:
            self.refresh()

    def render_line(self, y: int) -> Strip:
        style = palette(self.app).style
        pieces = [] if self._replay is None else self._line(self._replay) if y == 0 else self._words(self._replay)

        def styled(role: str) -> Style:
            return style(role, "panel", bold=role == "accent")

        return fitted_line([(text, styled(role)) for text, role in pieces], self.size.width, styled("text"))

    def on_click(self, event: events.Click) -> None:
        replay, columns = self._replay, self._columns
        if replay is not None and event.y == 0:
            first, last = replay.recording.first_ms, replay.recording.last_ms
            self.post_message(self.Sought(first + (last - first) * min(event.x, columns - 1) // max(1, columns - 1)))

    # ── drawing ──

    @property
    def _columns(self) -> int:
        return max(1, self.size.width)

    def _line(self, replay: Replay) -> Pieces:
        now = self._column(replay, replay.playhead.time_ms)
        pieces: Pieces = []
        for column, mark in enumerate(self._marked(replay)):
            if column == now:
                pieces.append(("█", "accent"))
            elif mark is not None:
                pieces.append((mark.shown.glyph, mark.shown.role))
            else:
                pieces.append(("━", "accent") if column < now else ("─", "border"))
        return pieces

    def _column(self, replay: Replay, time_ms: int) -> int:
        first, last = replay.recording.first_ms, replay.recording.last_ms
        return (time_ms - first) * (self._columns - 1) // max(1, last - first)

    def _marked(self, replay: Replay) -> list[Event | None]:
        """The weightiest event of each cell; worked out anew where the width is another one."""
        if self._marks[0] != self._columns:
            marks: list[Event | None] = [None] * self._columns
            for event in replay.recording.events:
                at = self._column(replay, event.time_ms)
                mark = marks[at]
                if not event.is_routine and (mark is None or mark.shown.weight <= event.shown.weight):
                    marks[at] = event
            self._marks = (self._columns, marks)
        return self._marks[1]

    def _words(self, replay: Replay) -> Pieces:
        playhead, recording = replay.playhead, replay.recording
        past_s, whole_s = ((at - recording.first_ms) / 1000 for at in (playhead.time_ms, recording.last_ms))
        sign = "▶ playing" if playhead.is_running else "‖ paused"
        pieces: Pieces = [
            (f" {sign} ×{playhead.speed:g}", "accent"),
            (f"  {_clock(past_s)} of {_clock(whole_s)}", "text"),
            (f"  {human_time(playhead.time_ms)[11:21]}  ", "muted"),
        ]
        count = recording.events_to(playhead.time_ms)
        if not count:
            return pieces
        from blockdb.commands.recordings.events import told_of  # few look at recordings

        event = recording.events[count - 1]
        pieces.append((f"{event.shown.glyph} {event.shown.word} ", event.shown.role))
        return [*pieces, (told_of(event), "muted")]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{int(rest * 10) / 10:04.1f}"
