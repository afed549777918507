"""A table over a listing of any length: pages are fetched off the event loop; what has not come is a placeholder.

A key press moves a number and repaints; it never waits. What is fetched is what is in view at that moment, so holding
a key down over ten million rows asks for a handful of pages. When the listing grows, the rows in view are fetched again
before anything moves, and the cursor stays on its row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.strip import Strip

import blockdb
from blockdb.commands.display import human_count

from ..drawing import fit
from ..listing import Listing
from ..offloop import in_background, off_loop
from ..pages import PAGE_ROWS, Pages, page_of
from .lines import Lines

__all__ = ["Column", "VirtualTable"]

T = TypeVar("T")


class Column(NamedTuple, Generic[T]):
    """A column: `width` cells, or a `share` of what the fixed ones leave.

    It is shown from `from_width` cells of table on, and below `below_width`, if that is given.

    `cell` gives text that is safe to show; `role` its colour, fixed or by row.
    """

    title: str
    cell: Callable[[T], str]
    width: int = 0
    share: int = 0
    role: str | Callable[[T], str] = "text"
    right: bool = False
    from_width: int = 0
    below_width: int = 0

    def is_shown(self, width: int) -> bool:
        """Whether it is shown in a table of so many cells."""
        return self.from_width <= width and (not self.below_width or width < self.below_width)


class _Survey(NamedTuple, Generic[T]):
    """A listing looked at anew: how long it is, where two known rows stand now, and the rows about them."""

    total: int
    cursor: int
    top: int
    pages: dict[int, Sequence[T]]


class VirtualTable(Lines, Generic[T]):
    """A table of rows `T` with a cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Open", show=False, id="table.choose"),
    ]

    fixed = 1

    class Event(Message):
        """Something about one table; `control` says which."""

        def __init__(self, table: VirtualTable[Any]) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> VirtualTable[Any]:
            """The table that sends it."""
            return self.table

    class Highlighted(Event):
        """The cursor stands on another row, or its row has come. It is `table.row`, None while it is being fetched."""

    class Chosen(Event):
        """Enter was pressed on `table.row`, or it was clicked twice."""

    class Failed(Event):
        """Rows could not be fetched; `error` says why."""

        def __init__(self, table: VirtualTable[Any], error: Exception) -> None:
            super().__init__(table)
            self.error = error

    def __init__(self, columns: Sequence[Column[T]], *, empty: str, words: str = "", id: str | None = None) -> None:
        """`empty` stands in a table without rows, `words` at the lower edge; by default the place of the cursor."""
        super().__init__(id=id)
        self.columns = columns
        self.empty = empty
        self.title = Content("")
        self.note = ""
        """Stands beside the place of the cursor."""
        self.words = words
        self._next_columns = columns
        self.cursor = 0
        self.follow_first = False
        self._listing: Listing[T] | None = None
        self._begin_at: int | Callable[[], int] = 0
        self._pages: Pages[T] = Pages(self, self._wanted_pages, self._arrived, self._fail)
        self._loaded = False
        self._surveying = False
        self._survey_again = False
        self._announced: tuple[int, T | None] | None = None

    # ── what is shown ──

    @property
    def listing(self) -> Listing[T] | None:
        """What the table lists now."""
        return self._listing

    @property
    def row(self) -> T | None:
        """The row under the cursor, if it has come."""
        return self.row_at(self.cursor)

    def row_at(self, index: int) -> T | None:
        """A row, if it is among the pages kept."""
        return self._pages.get(index)

    def show(
        self,
        listing: Listing[T] | None,
        cursor: int | Callable[[], int] = 0,
        *,
        columns: Sequence[Column[T]] | None = None,
    ) -> None:
        """Lists something else. `cursor` is the row to start on; a function is asked for it off the event loop."""
        self._listing, self._begin_at = listing, cursor
        self._next_columns = columns or self.columns
        self._loaded = self._survey_again = False  # until the first look is back, what was shown before stays on screen
        if listing is None:
            self._pages.use(None, 0, {})
            self.total = self.top = self.cursor = 0
            self.refresh()
            return
        in_background(self, self._start, listing, cursor, group="start", latest=True)

    def use_columns(self, columns: Sequence[Column[T]]) -> None:
        """Draws the same rows in other columns."""
        self.columns = self._next_columns = columns
        self.refresh()

    async def _start(self, listing: Listing[T], cursor: int | Callable[[], int]) -> None:
        rows = self.rows_in_view

        def look() -> _Survey[T]:
            total = listing.count()
            wanted = cursor() if callable(cursor) else cursor
            at = min(max(wanted, 0), max(total - 1, 0))
            top = min(max(0, at - rows // 2), max(0, total - rows)) if at >= rows else 0
            return _look(listing, total, at, top, rows)

        await self._apply_survey(listing, look, lambda survey: (survey.cursor, survey.top))
        if self._survey_again:  # what came while it looked may not be in what it saw
            self.grown()

    def grown(self) -> None:
        """Tells the table that its listing may have grown: it looks, and shows what came without moving the cursor."""
        if self._listing is None:
            return
        if self._surveying or not self._loaded:
            self._survey_again = True
            return
        self._surveying = True
        in_background(self, self._survey, self._listing, group="survey")

    def again(self) -> None:
        """Asks anew for what could not be had."""
        if self._listing is not None and not self._loaded:
            in_background(self, self._start, self._listing, self._begin_at, group="start", latest=True)
        else:
            self.grown()
        self._pages.fill()

    async def _survey(self, listing: Listing[T]) -> None:
        self._survey_again = False
        cursor, top, rows, follows = self.cursor, self.top, self.rows_in_view, self.follow_first
        marks = [(self.row_at(cursor), cursor), (self.row_at(top), top)]

        def look() -> _Survey[T]:
            total = listing.count()
            now = [at if row is None else listing.locate(row, total) for row, at in marks]
            if follows:
                now = [0, 0]
            return _look(listing, total, now[0], now[1], rows)

        def moved(survey: _Survey[T]) -> tuple[int, int]:
            if self.follow_first and self.cursor in (0, cursor):
                return 0, 0
            if follows:  # who has moved it meanwhile wants it there
                return self.cursor, self.top
            return self.cursor + survey.cursor - cursor, self.top + survey.top - top

        try:
            await self._apply_survey(listing, look, moved)
        finally:
            self._surveying = False
        if self._survey_again:
            self.grown()

    async def _apply_survey(
        self, listing: Listing[T], look: Callable[[], _Survey[T]], place: Callable[[_Survey[T]], tuple[int, int]]
    ) -> None:
        try:
            survey = await off_loop(look)
        except (blockdb.BlockDBError, OSError) as error:
            self._fail(error)
            return
        if listing is not self._listing:
            return
        before = self._in_view()
        self.cursor, top = place(survey)
        self.total = survey.total
        self.cursor = min(max(self.cursor, 0), max(self.total - 1, 0))
        self.top = min(max(top, 0), self.last_top)
        self._pages.use(listing.fetch, self.total, survey.pages)
        self._loaded = True
        self.columns = self._next_columns
        if self._in_view() != before:  # a listing that grows out of view costs a line on the border
            self.refresh()
        self.moved()

    def _in_view(self) -> object:
        """All that the rows are drawn from, to be compared."""
        thumb = self._thumb() if self.total > self.rows_in_view else None
        rows = [self.row_at(self.top + at) for at in range(self.rows_in_view)]
        return self._loaded, self.total == 0, self.top, self.cursor, thumb, self.columns, rows

    def redraw(self) -> None:
        """Draws the rows again: what a column tells of them has changed."""
        self.refresh()

    # ── fetching ──

    def moved(self) -> None:
        if self._loaded:
            self._announce()
            self._pages.fill()

    def _wanted_pages(self) -> Iterable[int]:
        """What is in view, the cursor's, then one more on each side."""
        first, last = page_of(self.top), page_of(min(self.top + self.rows_in_view, self.total) - 1)
        return (*range(first, last + 1), page_of(self.cursor), last + 1, first - 1)

    def _arrived(self) -> None:
        self.refresh()
        self._announce()

    def _fail(self, error: Exception) -> None:
        self.post_message(self.Failed(self, error))

    # ── the cursor ──

    def _announce(self) -> None:
        said = (self.cursor, self.row)
        self.retitle()
        if said != self._announced:
            self._announced = said
            self.post_message(self.Highlighted(self))

    def retitle(self) -> None:
        """Puts the title and the place of the cursor on the border."""
        place = f"{human_count(min(self.cursor + 1, self.total))} of {human_count(self.total)}"
        if self.note:
            place = f"{place} · {self.note}"
        self.entitle_alone(self.title, Content(self.words or place))

    def move_to(self, index: int) -> None:
        """Puts the cursor on a row and brings it into view."""
        before, self.cursor = self.cursor, min(max(index, 0), max(self.total - 1, 0))
        self.refresh_lines(before, self.cursor)
        if not self.top <= self.cursor < self.top + self.rows_in_view:
            below = self.cursor >= self.top + self.rows_in_view
            self.scroll_lines_to(self.cursor - self.rows_in_view + 1 if below else self.cursor)
        self.moved()

    def action_step(self, lines: int) -> None:
        self.move_to(self.cursor + lines)

    def action_first(self) -> None:
        self.move_to(0)

    def action_last(self) -> None:
        self.move_to(self.total - 1)

    def action_choose(self) -> None:
        """Opens the row under the cursor."""
        if self.total:
            self.post_message(self.Chosen(self))

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is None or at.y < self.fixed or at.x >= self.line_width or self.top + at.y - self.fixed >= self.total:
            return
        self.move_to(self.top + at.y - self.fixed)
        if event.chain == 2:
            self.action_choose()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    # ── drawing ──

    def _widths(self, width: int) -> list[tuple[Column[T], int]]:
        shown = [column for column in self.columns if column.is_shown(width)]
        shares = sum(column.share for column in shown)
        room = width - 1 - sum(column.width + 1 for column in shown)
        widths = [(c, c.width + max(0, room) * c.share // shares if c.share else c.width) for c in shown]
        left = width - 1 - sum(cells + 1 for _, cells in widths)
        return [(c, cells + max(0, left)) if c is _last_shared(shown) else (c, cells) for c, cells in widths]

    def draw_fixed(self, y: int, width: int) -> Strip:
        style = self.palette.style("muted")
        segments = [Segment(" ", style)]
        for column, cells in self._widths(width):
            segments.append(Segment(fit(column.title, cells, right=column.right) + " ", style))
        return Strip(segments).adjust_cell_length(width)

    def draw_line(self, index: int, width: int) -> Strip:
        here = index == self.cursor
        ground = "selection" if here else None
        rest = self.palette.style("text", ground)
        segments = [Segment("▌" if here and self.has_focus else " ", self.palette.style("accent", ground))]
        row = self.row_at(index)
        if row is None:
            segments.append(Segment(f"{human_count(index)} ···", self.palette.style("muted", ground)))
        else:
            segments.extend(self._cells(row, width, ground, rest))
        return Strip(segments).adjust_cell_length(width, rest)

    def _cells(self, row: T, width: int, ground: str | None, rest: Style) -> list[Segment]:
        segments = []
        for column, cells in self._widths(width):
            role = column.role if isinstance(column.role, str) else column.role(row)
            segments.append(Segment(fit(column.cell(row), cells, right=column.right), self.palette.style(role, ground)))
            segments.append(Segment(" ", rest))
        return segments

    def draw_row(self, y: int) -> Strip:
        if not self.total and y == self.fixed + 1 and self._loaded:
            return Strip([Segment(f"  {self.empty}", self.palette.style("muted"))]).adjust_cell_length(self.size.width)
        return super().draw_row(y)


def _look(listing: Listing[T], total: int, cursor: int, top: int, rows: int) -> _Survey[T]:
    """Fetches the pages that will be in view if the table starts at `top`, and the cursor's."""
    end = max(0, total - 1)
    wanted = {page_of(min(max(at, 0), end)) for at in (top, top + rows - 1, cursor)} if total else set()
    pages = {page: listing.fetch(page * PAGE_ROWS, PAGE_ROWS, total) for page in sorted(wanted)}
    return _Survey(total, cursor, top, pages)


def _last_shared(columns: Sequence[Column[T]]) -> Column[T] | None:
    return next((column for column in reversed(columns) if column.share), None)
