"""A strip over time, or over the chain: how many records of a prefix came when, and the moment that is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from blockdb import AsOf
from blockdb.commands.display import human_count, human_time, printable

from ..drawing import fit
from ..theme import grounded, palette

if TYPE_CHECKING:
    from blockdb.commands.standing import Standing

    from ..course import Course

__all__ = ["CourseStrip"]

EIGHTHS = " ▁▂▃▄▅▆▇█"


class CourseStrip(Widget, can_focus=True):
    """One line of bars and one of words. The cursor on it is the moment that is looked at; moving it moves that."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "Earlier", key_display="←", id="course.earlier"),
        Binding("right,l", "step(1)", "Later", key_display="→", id="course.later"),
        Binding("home,g", "first", "First", show=False, id="course.first"),
        Binding("end,G", "last", "Now", show=False, id="course.last"),
    ]

    HELP_TITLE = "The course of the records"
    HELP = """How many of the records that are listed came when: of those with the prefix that is filtered by, or of \
all. From left to right it is time, or the chain (B takes the other one); the tallest bar is told at the end.

The cursor is the moment that all views show. Left and right move it, a click puts it there, End comes back to now. \
Of a chain of more than 256 blocks every second, fourth … block is looked at, and the strip says that it is a sample."""

    class Moved(Message):
        """Another moment is chosen; None for now."""

        def __init__(self, as_of: AsOf | None) -> None:
            super().__init__()
            self.as_of = as_of

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.over_time = True
        self._course: Course | None = None
        self._then: Standing | None = None
        self._drawn: tuple[object, ...] = ()
        self._parts: list[float] = []

    def show(self, course: Course | None, then: Standing | None) -> None:
        """Shows a course as far as it is known, and where on it the moment is."""
        self._course, self._then = course, then
        self.refresh()

    def turn(self) -> None:
        """Over the chain instead of over time, or back."""
        self.over_time = not self.over_time
        self.refresh()

    # ── places and moments ──

    @property
    def cursor(self) -> int | None:
        """The cell of the moment that is looked at; None for now."""
        course, then, width = self._course, self._then, self.size.width
        if course is None or then is None or not course.stretches or not width:
            return None
        begin, end = course.span_ms
        if self.over_time:
            place = (then.time_ms - begin) * width // max(1, end - begin)
        else:
            place = (then.records - 1) * width // max(1, course.stretches[-1].end)
        return min(max(0, place), width - 1)

    def _moment(self, cell: int) -> AsOf | None:
        """The moment at the end of a cell; now at the end of the last one."""
        course, width = self._course, self.size.width
        if course is None or not course.stretches or cell >= width - 1:
            return None
        if not self.over_time:
            return AsOf(sequence=max(0, (cell + 1) * course.stretches[-1].end // width - 1))
        begin, end = course.span_ms
        return AsOf(time_ms=begin + ((cell + 1) * (end - begin) - 1) // width)

    def _go(self, cell: int) -> None:
        if self._course is not None and self._course.stretches:
            self.post_message(self.Moved(self._moment(max(0, cell))))

    def action_step(self, cells: int) -> None:
        """To an earlier moment, or a later one."""
        here = self.cursor
        self._go((self.size.width - 1 if here is None else here) + cells)

    def action_first(self) -> None:
        """To the first of the records."""
        self._go(0)

    def action_last(self) -> None:
        """Back to now."""
        self._go(self.size.width)

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            self._go(event.x)

    # ── drawing ──

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        return grounded(self, (self._bars(width) if y == 0 else self._words(width)).adjust_cell_length(width))

    def _values(self, width: int) -> list[float]:
        course = self._course
        if course is None:
            return []
        drawn = (course, course.stretches, width, self.over_time)
        if drawn != self._drawn:
            self._drawn = drawn
            self._parts = course.by_time(width) if self.over_time else course.by_block(width)
        return self._parts

    def _bars(self, width: int) -> Strip:
        style, cursor = palette(self.app).style, self.cursor
        values = self._values(width)
        ceiling = max(values, default=0.0)
        segments = []
        for cell, value in enumerate(values):
            eighths = 0 if not ceiling else max(1 if value > 0 else 0, round(value / ceiling * 8))
            is_later = cursor is not None and cell > cursor
            role = "border" if is_later else "graph1"
            if cell == cursor:
                segments.append(
                    Segment(EIGHTHS[eighths] if eighths else "│", style("background", "warning", bold=True))
                )
            else:
                segments.append(Segment(EIGHTHS[eighths] or " ", style(role)))
        return Strip(segments)

    def _words(self, width: int) -> Strip:
        style, course = palette(self.app).style, self._course
        if course is None or not course.stretches:
            words = " Several chains have no one course." if course is not None and course.has_many_chains else " …"
            return Strip([Segment(fit(words, width), style("muted"))])
        begin, end = (human_time(time_ms)[:19] for time_ms in course.span_ms)
        of = f"{printable(course.prefix)}… " if course.prefix else ""
        about = "about " if course.is_sample else ""
        tallest = human_count(round(max(self._values(width), default=0.0)))
        parts = [
            f" {begin}" if self.over_time else " #0",
            f"{of}{about}{human_count(course.count)} records · tallest {about}{tallest}"
            + (" · from a sample" if course.is_sample else ""),
            f"{end} " if self.over_time else f"#{human_count(course.stretches[-1].end - 1)} ",
        ]
        if sum(map(len, parts)) + 4 > width:
            parts = ["", parts[1], ""]
        gap = max(0, width - sum(map(len, parts)))
        left, role = gap // 2, "accent" if self.has_focus else "muted"
        line = parts[0] + " " * left + parts[1] + " " * (gap - left) + parts[2]
        return Strip([Segment(fit(line, width), style(role))])

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()
