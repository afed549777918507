"""The lanes of a cluster at one moment: a line for each node, with what it is and how far it has come."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from blockdb.commands.display import human_count, printable
from blockdb.commands.recordings.lanes import STATES, Lane, Sample

from ..drawing import fit, looks
from ..theme import grounded, palette

__all__ = ["LaneTable", "state_of"]

MARK, NODE, ROLE, TERM, NUMBER, LAG, CHAIN, HEARD, BLOCK, ADDRESS = 2, 8, 15, 5, 8, 6, 11, 7, 26, 24
WIDE_NUMBER = 13
FROM_BLOCK, FROM_ADDRESS = 110, 140
"""From so many cells on there is room for more."""


def state_of(lane: Lane) -> tuple[str, str, str]:
    """How the state of a lane is shown: a glyph, a word, a role of the palette."""
    if lane.fault in STATES:
        return STATES[lane.fault]
    glyph, word, role = STATES.get(lane.state, ("?", printable(lane.state.lower()), "muted"))
    return (glyph, f"cut {word}", "warning") if lane.fault else (glyph, word, role)


class LaneTable(Widget, can_focus=True):
    """Lines of which one is chosen. Their number is small, so all of them are drawn."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "Up", show=False, id="lanes.up"),
        Binding("down,j", "step(1)", "Down", show=False, id="lanes.down"),
    ]

    HELP_TITLE = "The nodes"
    HELP = """The nodes of the cluster at the moment under the cursor of the time line. ROLE: ◆ leader, ○ follower, \
▲ candidate (it stands for election), △ asking (whether it would be elected), ◌ learner (it gets the log and does not \
vote yet), ◇ replica (it never votes), ✚ mending, × unreachable. TERM counts elections. LAST is the last entry of the \
node's log, COMMIT what it knows to be agreed on, APPLIED what its database has. LAG is how many agreed entries it has \
not applied.

CHAIN: = agrees, the node has sealed the same blocks with the same hashes; ≠ DIFFERS, it has not, and serves nothing \
any more; · unknown, nobody has compared yet. HEARD is how long ago anybody heard of it."""

    class Chosen(Message):
        """Another lane is chosen."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.sample: Sample | None = None
        self.chosen = 0
        self._titles = looks(Content(""), Content(""))

    @property
    def lane(self) -> Lane | None:
        """The lane that is chosen."""
        lanes = self.sample.lanes if self.sample is not None else ()
        return lanes[min(self.chosen, len(lanes) - 1)] if lanes else None

    def show(self, sample: Sample | None, title: Content, subtitle: Content) -> None:
        """Shows a moment."""
        if (now := looks(title, subtitle)) != self._titles:
            self._titles = now
            self.border_title, self.border_subtitle = title, subtitle
        if sample != self.sample:
            self.sample = sample
            self.refresh()

    def action_step(self, by: int) -> None:
        """Chooses the lane above or below."""
        count = len(self.sample.lanes) if self.sample is not None else 0
        self._choose(min(max(self.chosen + by, 0), max(0, count - 1)))

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is not None and self.sample is not None and 1 <= at.y <= len(self.sample.lanes):
            self._choose(self._top + at.y - 1)

    def _choose(self, number: int) -> None:
        self.chosen = number
        self.refresh()
        self.post_message(self.Chosen())

    @property
    def _top(self) -> int:
        """The first lane that is drawn, where there is no room for all."""
        return max(0, self.chosen - max(1, self.size.height - 1) + 1)

    # ── drawing ──

    def render_line(self, y: int) -> Strip:
        return grounded(self, self._row(y, self.size.width))

    def _row(self, y: int, width: int) -> Strip:
        style = palette(self.app).style
        if y == 0:
            return _strip([(text, style("muted")) for text, _ in self._cells(None, width)], width)
        number = self._top + y - 1
        lanes = self.sample.lanes if self.sample is not None else ()
        if number >= len(lanes):
            return Strip.blank(width)
        is_chosen = lanes[number] is self.lane
        ground = "selection" if is_chosen else None
        mark = ("▸ " if is_chosen else "  ", style("accent", ground))
        cells = [(text, style(role, ground)) for text, role in self._cells(lanes[number], width)]
        return _strip([mark, *cells[1:]], width, style("text", ground))

    def _cells(self, lane: Lane | None, width: int) -> list[tuple[str, str]]:
        """The cells of a line, or of the heading."""
        number = NUMBER if width < FROM_BLOCK else WIDE_NUMBER
        cells = [
            (" " * MARK, "text"),
            (_left("NODE" if lane is None else printable(lane.id), NODE), "key"),
            _state(lane),
            (fit("TERM" if lane is None else _number(lane.term, TERM), TERM, right=True), "number"),
            *(
                (
                    fit(name.upper() if lane is None else _number(getattr(lane, name), number), number, right=True),
                    "number",
                )
                for name in ("last", "commit", "applied")
            ),
            _lag(lane),
            _chain(lane),
            (fit("HEARD" if lane is None else self._heard(lane), HEARD, right=True), "muted"),
        ]
        if width >= FROM_BLOCK:
            cells.append(("   " + _left("SEALED" if lane is None else _block(lane.head), BLOCK - 3), "secondary"))
        if width >= FROM_ADDRESS:
            cells.append(("  " + _left("ADDRESS" if lane is None else printable(lane.address), ADDRESS), "muted"))
        return cells

    def _heard(self, lane: Lane) -> str:
        if not lane.heard_ms or self.sample is None:
            return "never"
        since_s = max(0, self.sample.time_ms - lane.heard_ms) / 1000
        for size, unit in ((3600, "h"), (60, "m")):
            if since_s >= size:
                return f"{since_s / size:.0f} {unit}"
        return f"{since_s:.1f} s"


def _state(lane: Lane | None) -> tuple[str, str]:
    if lane is None:
        return fit("ROLE", ROLE), "text"
    glyph, word, role = state_of(lane)
    return fit(f"{glyph} {word}", ROLE), role


def _number(number: int, room: int) -> str:
    """A count in fewer cells than `room`: with commas if that can be."""
    ways = (human_count(number), str(number), human_count(number, compact=True))
    return "·" if not number else next((text for text in ways if len(text) < room), ways[-1])


def _lag(lane: Lane | None) -> tuple[str, str]:
    if lane is None:
        return fit("LAG", LAG, right=True), "text"
    is_known = lane.applied or lane.commit
    words = human_count(lane.lag, compact=lane.lag >= 10_000) if is_known else "·"
    return fit(words, LAG, right=True), "warning" if lane.lag else "text"


def _chain(lane: Lane | None) -> tuple[str, str]:
    words, role = {True: ("= agrees", "success"), False: ("≠ DIFFERS", "error"), None: ("· unknown", "muted")}[
        None if lane is None else lane.agrees
    ]
    return "  " + fit("CHAIN" if lane is None else words, CHAIN - 2), role


def _block(head: str) -> str:
    """`<collection id> <block number> <hash>` in short."""
    parts = printable(head).split(" ")
    return f"block {parts[1]} {parts[2][:12]}" if len(parts) == 3 else printable(head)


def _left(text: str, width: int) -> str:
    return fit(text, width - 1) + " "


def _strip(pieces: list[tuple[str, Style]], width: int, rest: Style | None = None) -> Strip:
    strip = Strip([Segment(text, style) for text, style in pieces])
    return strip.adjust_cell_length(width, rest)
