"""The ground of the panels of metrics: a frame that draws a history, line by line, in a fraction of a millisecond."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget

from blockdb.commands.display import human_count

from ..drawing import area, bar, fitted_line
from ..history import History, Moment
from ..theme import Palette, grounded, palette

__all__ = ["Panel", "Pieces", "gauge", "packed", "rate_text"]

Pieces = list[tuple[str, str]]
"""Texts and the roles that colour them."""


class Panel(Widget, can_focus=True):
    """A frame with a title. Subclasses say what stands in it in `rows`; it is painted only when that has changed."""

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(id=id)
        self.border_title = Content(title)
        self.history = History()
        self.step = 1
        self._rows: list[Strip] = []
        self._words = ""

    @property
    def palette(self) -> Palette:
        """The colours of the theme worn now."""
        return palette(self.app)

    def entitle(self, words: str) -> None:
        """Sets the words at the lower edge, and repaints only if they are others."""
        if words != self._words:
            self._words = words
            self.border_subtitle = Content(words)

    def show(self, history: History, step: int) -> None:
        """Draws the history, `step` moments to a dot."""
        self.history, self.step = history, step
        rows, self._rows = self._rows, []
        if self._drawn() != rows:
            self.refresh()

    def rows(self, now: Moment, width: int, height: int) -> list[Strip]:
        """The lines of the panel."""
        raise NotImplementedError

    def line(self, pieces: Pieces, width: int) -> Strip:
        """A line of pieces."""
        style = self.palette.style
        return fitted_line([(text, style(role)) for text, role in pieces], width)

    def hill(
        self, values: Sequence[float], width: int, height: int, ceiling: float, role: str, *, hanging: bool = False
    ) -> list[Strip]:
        """The values as an area of `height` lines, brighter toward its top; `hanging`, it grows down."""
        colours, rows = self.palette, area(values, width, height, ceiling, hanging=hanging)
        shades = [colours.blend(role, "background", 0.5 * y / max(1, height - 1)) for y in range(height)]
        if hanging:
            shades.reverse()
        return [fitted_line([(row, colours.style(shade))], width) for row, shade in zip(rows, shades, strict=True)]

    def render_line(self, y: int) -> Strip:
        rows = self._drawn()
        return grounded(self, rows[y] if y < len(rows) else Strip.blank(self.size.width))

    def _drawn(self) -> list[Strip]:
        if not self._rows and (now := self.history.latest) is not None and self.size:
            self._rows = self.rows(now, self.size.width, self.size.height)
        return self._rows

    def on_resize(self) -> None:
        self._rows = []  # it may have been painted in its new size already, with lines for the old one
        self.refresh()

    def notify_style_update(self) -> None:
        self._rows = []  # perhaps another theme
        super().notify_style_update()


def rate_text(rate: float) -> str:
    """A rate as few digits as tell it: `0.4`, `12`, `13,019`."""
    return f"{rate:.1f}" if 0 < rate < 9.95 and rate != int(rate) else human_count(round(rate))


def gauge(share: float, width: int) -> Pieces:
    """A level that warns when it is nearly full."""
    filled = bar(min(1.0, share), max(4, width))
    words = filled.rstrip()
    role = "error" if share >= 1 else "warning" if share >= 0.85 else "graph2"
    return [(words, role), ("·" * (len(filled) - len(words)), "border")]


def packed(groups: Iterable[Pieces], width: int) -> list[Pieces]:
    """Groups of pieces on as few lines as hold them, none broken."""
    lines: list[Pieces] = []
    room = 0
    for group in groups:
        length = sum(len(text) for text, _ in group)
        if length > room:
            lines.append([])
            room = width
        lines[-1].extend(group)
        room -= length
    return lines
