"""Which node keeps which partition, at the moment that is shown."""

from __future__ import annotations

from rich.style import Style
from textual.content import Content
from textual.strip import Strip

from blockdb.commands.display import human_count, plural, printable
from blockdb.commands.recordings.lanes import STATES, Placed, Sample

from ..drawing import fit, fitted_line
from .lines import Lines

__all__ = ["Placements"]

LABEL, LEADER, TERM, DECIDED = 14, 9, 5, 9


class Placements(Lines):
    """A line for each partition. It has no cursor."""

    HELP_TITLE = "The partitions"
    HELP = """Which nodes keep which partition, with the engine jetstream: first who leads its stream (· where no node \
that was asked keeps it), the term, how many entries of its log are decided, then the nodes that keep it: ◆ the \
leader, ○ a follower, ◌ one that is on its way, × one that nothing is heard of, each with how many entries it is \
behind. P goes back to what happened."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._placed: tuple[Placed, ...] | None = None

    def show(self, sample: Sample | None) -> None:
        """Shows a moment."""
        placed = sample.partitions if sample is not None else ()
        if placed != self._placed:
            self._placed, self.total = placed, len(placed)
            self.top = min(self.top, self.last_top)
            led = sum(bool(each.leader) for each in placed)
            self.entitle(Content("Partitions"), Content(f"{plural(len(placed), 'partition')}, {human_count(led)} led"))
            self.refresh()

    def draw_line(self, index: int, width: int) -> Strip:
        assert self._placed is not None
        each, style = self._placed[index], self.palette.style
        return fitted_line(
            [
                (" " + fit(printable(each.label), LABEL), style("key")),
                (fit("◆ " + printable(each.leader) if each.leader else "·", LEADER), style("accent")),
                (fit(f"{each.term or '·'}", TERM, right=True), style("number")),
                (fit(human_count(each.commit) if each.commit else "·", DECIDED, right=True) + "   ", style("number")),
                *(piece for holder in each.holders for piece in self._holder(*holder)),
            ],
            width,
        )

    def _holder(self, id_: str, state: str, lag: int) -> list[tuple[str, Style]]:
        glyph, _, role = STATES.get(state, ("·", "", "muted"))
        late = f" −{human_count(lag, compact=lag >= 10_000)}" if lag else ""
        return [
            (f"{glyph} ", self.palette.style(role)),
            (printable(id_), self.palette.style("text")),
            (late + "   ", self.palette.style("warning")),
        ]
