"""The line that tells how one came here; a click on a place leads back to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from blockdb.commands.display import printable

from ..drawing import fit, fitted_line
from ..theme import palette
from ..trail import Crumb, trail

if TYPE_CHECKING:
    from ..navigation import Navigation

__all__ = ["Crumbs"]

BETWEEN = " › "
LONGEST, SHORTEST = 32, 6


class Crumbs(Widget):
    """Nothing while one is where one began."""

    def __init__(self, explorer: Navigation, over: str = "") -> None:
        """`over` names what stands over the view that is in front; the places before it close that."""
        super().__init__(id="crumbs")
        self._explorer, self._over = explorer, over
        self._crumbs: list[Crumb] = []
        self._places: list[tuple[int, int, Crumb]] = []
        self.display = False

    def renew(self) -> None:
        """Looks where one is now."""
        words = [crumb.words for crumb in self._crumbs]
        self._crumbs = self._trail()
        if [crumb.words for crumb in self._crumbs] != words:
            self.display = len(self._crumbs) > 1
            self.refresh()

    def on_mount(self) -> None:
        self.renew()

    def _trail(self) -> list[Crumb]:
        way = trail(self._explorer)
        if not self._over:
            return way
        return [*(Crumb(crumb.words, partial(self._leave, crumb.go)) for crumb in way), Crumb(self._over, None)]

    def _leave(self, go: Callable[[], object] | None) -> None:
        self.screen.dismiss()
        if go is not None:
            self._explorer.call_later(go)

    def render_line(self, y: int) -> Strip:
        style, width = palette(self.app).style, self.size.width
        shown = shortened([printable(crumb.words) for crumb in self._crumbs], width - 2)
        self._places, pieces, at = [], [(" ", style("muted", "panel"))], 1
        for crumb, words in zip(self._crumbs, shown, strict=True):
            if at > 1:
                pieces.append((BETWEEN, style("muted", "panel")))
                at += len(BETWEEN)
            is_here = crumb.go is None
            pieces.append((words, style("accent" if is_here else "key", "panel", bold=is_here)))
            self._places.append((at, at + cell_len(words), crumb))
            at += cell_len(words)
        return fitted_line(pieces, width, style("text", "panel"))

    def on_click(self, event: events.Click) -> None:
        for start, end, crumb in self._places:
            if start <= event.x < end and crumb.go is not None:
                crumb.go()


def shortened(words: Sequence[str], room: int) -> list[str]:
    """The places in as much room as there is: long ones are cut, and where that is not enough, those in the middle."""
    for longest in (LONGEST, LONGEST // 2, SHORTEST):
        cut = [fit(word, longest).rstrip() if cell_len(word) > longest else word for word in words]
        if sum(cell_len(word) + len(BETWEEN) for word in cut) - len(BETWEEN) <= room:
            return cut
    return [word if place in (0, len(cut) - 1) else "…" for place, word in enumerate(cut)]
