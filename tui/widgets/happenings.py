"""What happened in a cluster, up to the moment that is shown, the newest first."""

from __future__ import annotations

from textual.content import Content
from textual.strip import Strip

from blockdb.commands.display import human_count, human_time, printable

from ..cluster.story import Happening, Story
from ..drawing import fit, fitted_line
from .lane_table import STATES
from .lines import Lines

__all__ = ["Happenings", "words_of"]


def words_of(event: Happening) -> str:
    """What happened, in words."""
    other, what = printable(event.other), printable(event.what)
    said = {
        "leader": f"{other} leads" if other else "nobody leads",
        "vote": f"votes for {other}",
        "election": "stands for election",
        "term": "goes on to a new term",
    }.get(event.kind, "")
    if event.kind == "snapshot" and other:
        said = f"{other}:" if what else other
    if event.kind == "contact":
        said, what = other, "" if other and what in ("lost", "reached") else what
    if event.kind == "state":
        said, what = f"is {STATES[what][1] if what in STATES else what} now", ""
    parts = [said, what if what != said else ""]
    if event.term:
        parts.append(f"· term {human_count(event.term)}")
    if event.index:
        parts.append(f"· entry {human_count(event.index)}")
    return " ".join(filter(None, parts)).removeprefix("· ")


class Happenings(Lines):
    """A list of events. It has no cursor: the time line has one."""

    HELP_TITLE = "What happened"
    HELP = """What the nodes told, the newest first, up to the moment under the cursor of the time line: ◆ a leader \
was elected, ◇ a node knows of none, ▲ a node stood for election, • a vote, × a node was lost by another, ○ it was \
reached, ▼ a snapshot was sent or taken, ± a member came or went, ✚ a damaged log was mended, ≠ a node's chain \
differs, ! something was done here with a key. n and N go to the next event and to the one before."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._story = Story()
        self._shown: tuple[int, int] = (0, 0)

    def show(self, story: Story, time_ms: int) -> None:
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
                (fit(printable(event.node_id), 9) + " ", style("key")),
                (fit(f"{shown.glyph} {shown.word}", 13), style(shown.role)),
                (words_of(event), style("text")),
            ],
            width,
        )
