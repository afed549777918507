"""What happened in a cluster, up to the moment that is shown, the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from textual.content import Content
from textual.strip import Strip

from blockdb.commands.display import human_count, human_time, printable
from blockdb.commands.recordings.events import Event, words_of

from ..cluster.story import Story
from ..drawing import fit, fitted_line
from .lines import Lines

__all__ = ["Happenings"]


class Eventful(Protocol):
    """A story, or a recording."""

    @property
    def events(self) -> Sequence[Event]: ...

    def events_to(self, time_ms: int, /) -> int:
        """How many there were up to a moment."""


class Happenings(Lines):
    """A list of events. It has no cursor: the time line has one."""

    HELP_TITLE = "What happened"
    HELP = """What the nodes told, the newest first, up to the moment under the cursor of the time line: ◆ a leader \
was elected, ◇ a node knows of none, ▲ a node stood for election, • a vote, × a node was lost by another, ○ it was \
reached, ▼ a snapshot was sent or taken, ± a member came or went, ✚ a damaged log was mended, ≠ a node's chain \
differs, ! something was done here with a key. n and N go to the next event and to the one before.

A recording has the engine's events, too: ▪ blocks were sealed, ▾ a memtable was flushed, ≡ tables were merged, ‖ a \
write had to wait, ! an alert began, ○ it is over, ✗ something fails."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._story: Eventful = Story()
        self._shown: tuple[int, int] = (0, 0)

    def show(self, story: Eventful, time_ms: int) -> None:
        """Shows what had happened by then."""
        total = story.events_to(time_ms)
        shown = (total, len(story.events))
        if story is not self._story or shown != self._shown:
            self._story, self._shown, self.total = story, shown, total
            self.top = min(self.top, self.last_top)
            self.entitle(Content("What happened"), Content(f"{human_count(total)} of {human_count(len(story.events))}"))
            self.refresh()

    def draw_line(self, index: int, width: int) -> Strip:
        event = self._story.events[self.total - 1 - index]
        style, shown = self.palette.style, event.shown
        return fitted_line(
            [
                (f" {human_time(event.time_ms)[11:23]}  ", style("muted")),
                (fit(printable(event.where), 9) + " ", style("key")),
                (fit(f"{shown.glyph} {shown.word}", 13), style(shown.role)),
                (words_of(event), style("text")),
            ],
            width,
        )
