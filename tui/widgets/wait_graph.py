"""Who waits for whom, as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.strip import Strip

from blockdb import TransactionInfo
from blockdb.commands.display import plural

from ..drawing import fitted_line
from ..waiting import Pieces, wait_lines
from .lines import Lines

__all__ = ["WaitGraph"]


class WaitGraph(Lines):
    """Trees of transactions: below each those that wait for it."""

    HELP = """Who waits for whom: below each transaction stand those that wait for what it has locked, with the key \
or the range that they want. A transaction that waits for several stands below each of them. A circle would be a \
deadlock: it is found at once, and its youngest transaction is aborted, so none is ever seen here for long."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._lines: list[Pieces] = []

    def show(self, infos: Sequence[TransactionInfo]) -> None:
        """Shows the waits of these."""
        lines = wait_lines(infos)
        waiting = sum(bool(info.waits_for) for info in infos)
        self.entitle(Content("Who waits for whom"), Content(f"{plural(waiting, 'transaction')} waiting"))
        if lines != self._lines:
            self._lines, self.total = lines, len(lines)
            self.top = min(self.top, self.last_top)
            self.refresh()

    def draw_line(self, index: int, width: int) -> Strip:
        style = self.palette.style
        return fitted_line([(text, style(role)) for text, role in self._lines[index]], width)

    def draw_row(self, y: int) -> Strip:
        if not self.total and y == 0:
            return fitted_line([(" Nobody waits.", self.palette.style("muted"))], self.size.width)
        return super().draw_row(y)
