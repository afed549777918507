"""The ground of every long thing on screen: a widget that scrolls over any number of lines and draws those in view.

Textual's own scrolling lays the screen out anew whenever the number of lines changes, which a database that grows
does all day; here that is an attribute and a repaint.
"""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from ..drawing import looks
from ..theme import Palette, grounded, palette

__all__ = ["Lines"]

WHEEL_LINES = 3


class Lines(Widget, can_focus=True):
    """`total` lines, of which those from `top` on are in view, below `fixed` lines that stay."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "Up", show=False, id="lines.up"),
        Binding("down,j", "step(1)", "Down", show=False, id="lines.down"),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", show=False, id="lines.page_up"),
        Binding("pagedown,ctrl+d", "page(1)", "Page down", show=False, id="lines.page_down"),
        Binding("home,g", "first", "First", show=False, id="lines.first"),
        Binding("end,G", "last", "Last", show=False, id="lines.last"),
    ]

    fixed = 0

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.total = 0
        self.top = 0
        self._dragging = False
        self._titles = (Content(""), Content(""))

    # ── what a subclass says ──

    def draw_line(self, index: int, width: int) -> Strip:
        """Line `index` (0 … total - 1) in `width` cells."""
        raise NotImplementedError

    def draw_fixed(self, y: int, width: int) -> Strip:
        """One of the lines that stay."""
        raise NotImplementedError

    def moved(self) -> None:
        """Called when other lines came into view."""

    def entitle(self, title: Content, subtitle: Content | None = None) -> None:
        """Sets the words on the border, and repaints only if they are others."""
        words = (title, subtitle or Content(""))
        if looks(*words) != looks(*self._titles):
            self._titles = words
            self.border_title, self.border_subtitle = words

    def entitle_alone(self, title: Content, subtitle: Content) -> None:
        """The same; of the widget no more is repainted than the border above and below."""
        words = (title, subtitle)
        if looks(*words) != looks(*self._titles):
            self._titles = words
            # The descriptors of these would have all lines drawn anew.
            self._border_title, self._border_subtitle = (each.expand_tabs(4).split()[0] for each in words)
            width, height = self.size
            self.refresh(Region(0, -1, width, 1), Region(0, height, width, 1))

    def refresh_lines(self, *indexes: int) -> None:
        """Has single lines repainted, as far as they are in view."""
        rows = (self.fixed + index - self.top for index in indexes)
        regions = [Region(0, row, self.size.width, 1) for row in rows if self.fixed <= row < self.size.height]
        if regions:
            self.refresh(*regions)

    # ── geometry ──

    @property
    def palette(self) -> Palette:
        """The colours of the theme worn now."""
        return palette(self.app)

    @property
    def rows_in_view(self) -> int:
        """How many lines there is room for, at least one."""
        return max(1, self.size.height - self.fixed)

    @property
    def line_width(self) -> int:
        """The cells for a line: all but the scroll bar."""
        return max(0, self.size.width - 1)

    @property
    def last_top(self) -> int:
        """The greatest `top` that leaves no room empty."""
        return max(0, self.total - self.rows_in_view)

    def scroll_lines_to(self, top: int) -> None:
        """Brings line `top` to the top, or as near as there are lines."""
        wanted = min(max(top, 0), self.last_top)
        if wanted != self.top:
            self.top = wanted
            self.refresh()
            self.moved()

    # ── drawing ──

    def render_line(self, y: int) -> Strip:
        return grounded(self, self.draw_row(y))

    def draw_row(self, y: int) -> Strip:
        """Row `y` of the widget: a line, and its part of the scroll bar."""
        width = self.line_width
        if y < self.fixed:
            return Strip([*self.draw_fixed(y, width), Segment(" ")], width + 1)
        index = self.top + y - self.fixed
        line = self.draw_line(index, width) if index < self.total else Strip.blank(width)
        return Strip([*line, self._scrollbar_cell(y - self.fixed)], width + 1)

    def _scrollbar_cell(self, y: int) -> Segment:
        if self.total <= self.rows_in_view:
            return Segment(" ")
        first, length = self._thumb()
        role = "accent" if self.has_focus and first <= y < first + length else "border"
        return Segment("┃" if first <= y < first + length else "│", self._scrollbar_style(role))

    def _scrollbar_style(self, role: str) -> Style:
        return self.palette.style(role)

    def _thumb(self) -> tuple[int, int]:
        length = max(1, self.rows_in_view * self.rows_in_view // self.total)
        return (self.rows_in_view - length) * self.top // max(1, self.last_top), length

    # ── keys and mouse ──

    def action_step(self, lines: int) -> None:
        """Moves by single lines."""
        self.scroll_lines_to(self.top + lines)

    def action_page(self, pages: int) -> None:
        """Moves by what is in view."""
        self.action_step(pages * max(1, self.rows_in_view - 1))

    def action_first(self) -> None:
        """To the first line."""
        self.scroll_lines_to(0)

    def action_last(self) -> None:
        """To the last line."""
        self.scroll_lines_to(self.last_top)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_lines_to(self.top + WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_lines_to(self.top - WHEEL_LINES)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        at = event.get_content_offset(self)
        if at is not None and at.x == self.line_width and at.y >= self.fixed and self.total > self.rows_in_view:
            event.stop()
            self._dragging = True
            self.capture_mouse()
            self._drag_to(at.y)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragging:
            self._drag_to(event.get_content_offset_capture(self).y)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self._dragging:
            self._dragging = False
            self.release_mouse()

    def _drag_to(self, y: int) -> None:
        span = max(1, self.rows_in_view - 1)
        self.scroll_lines_to(self.last_top * min(max(y - self.fixed, 0), span) // span)

    def on_resize(self) -> None:
        self.top = min(self.top, self.last_top)
        self.moved()
