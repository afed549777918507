"""The chain as a belt of blocks: sealed ones linked by hash, the open one filling at the end.

Drawn line by line from the blocks in view; the rest of a chain of any length is a number, and a strip that shows where
on it one stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from blockdb.commands.display import human_bytes, human_count

from ..drawing import ago, fit, short_hash
from ..pages import Pages, page_of
from ..theme import Palette, grounded, palette

if TYPE_CHECKING:
    from blockdb import AnyCollection, Block, Statistics

__all__ = ["Belt"]

TILE = 16
LINK = 3
STRIDE = TILE + LINK
INSIDE = TILE - 2
ROWS = 5
"""The most lines that a tile has for words; where there is less room, it has the first of them."""
FRESH_S = 1.5
VERTICAL_EIGHTHS = " ▁▂▃▄▅▆▇█"
SEALED, SELECTED, OPEN = "╭─╮│╰╯", "┏━┓┃┗┛", "┌╌┐╎└┘"


class Belt(Widget, can_focus=True):
    """Blocks 0 … `sealed` - 1, and the open block as number `sealed`. One of them is `selected`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "Previous", id="belt.previous"),
        Binding("right,l", "step(1)", "Next", id="belt.next"),
        Binding("pageup,ctrl+u,H", "page(-1)", "Back a screen", show=False, id="belt.page_back"),
        Binding("pagedown,ctrl+d,L", "page(1)", "On a screen", show=False, id="belt.page_on"),
        Binding("home,g", "first", "First", show=False, id="belt.first"),
        Binding("end,G", "last", "Open block", show=False, id="belt.last"),
    ]

    HELP_TITLE = "The chain"
    HELP = """The chain, the oldest block at the left. Between two blocks stands whether the later one names the hash \
of the earlier one: ══ it does, ≠≠ it does not. The last one is the open block; it fills from the bottom, by records, \
and is sealed when it is full.

On its lower edge each block wears its trust: ✓ proven, recomputed here by a verification (v) from its records; \
✓ verified, recomputed so by the server that has it; · read, but not proven; ✗ failed, when a verification found \
something wrong in it.

While the open block is selected, the belt stays with it as blocks are sealed."""

    class Selected(Message):
        """Another block is selected, or it has come. `block` is None for the open one, and until it comes."""

        def __init__(self, number: int, block: Block | None) -> None:
            super().__init__()
            self.number = number
            self.block = block

    class Failed(Message):
        """Blocks could not be read; `error` says why."""

        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.selected = 0
        self._bad: frozenset[int] = frozenset()
        self._proven_to, self._good = 0, "proven"
        self._first = 0
        self._statistics: Statistics | None = None
        self._now_ms = 0
        self._fresh: int | None = None
        self._announced: tuple[int, Block | None] | None = None
        self._pages: Pages[Block] = Pages(self, self._wanted_pages, self._arrived, self._fail)

    # ── the chain ──

    @property
    def sealed(self) -> int:
        """How many blocks are sealed; the open block bears this number."""
        return self._statistics.blocks if self._statistics is not None else 0

    def open(self, collection: AnyCollection | None) -> None:
        """Shows the chain of another collection, from its open block."""

        def fetch(first: int, limit: int, total: int) -> list[Block]:
            assert collection is not None
            return list(collection.blocks(first, min(limit, total - first)))

        self._statistics = self._announced = self._fresh = None
        self._pages.use(fetch if collection is not None else None, 0, {})
        self.refresh()

    def grown(self, statistics: Statistics, now_ms: int) -> None:
        """Takes a snapshot. With the open block selected, the belt goes along with it."""
        with_open = self._statistics is None or self.selected == self.sealed
        if self._statistics is not None and statistics.blocks > self.sealed:
            self._fresh = statistics.blocks - 1
            self.set_timer(FRESH_S, self._settle)
        same = self._statistics is not None and self._statistics.records == statistics.records
        if same and (self.rows < ROWS or self._now_ms // 1000 == now_ms // 1000):
            return  # without the last line no tile tells how long ago it was
        self._statistics, self._now_ms = statistics, now_ms
        self._pages.total = statistics.blocks
        if with_open:
            self.selected = statistics.blocks
        self._show_selected()

    def again(self) -> None:
        """Asks anew for blocks that could not be had."""
        self._pages.fill()

    def _settle(self) -> None:
        self._fresh = None
        self.refresh()

    def block(self, number: int) -> Block | None:
        """A sealed block, if it has come."""
        return self._pages.get(number) if 0 <= number < self.sealed else None

    def mark(self, bad: Iterable[int], proven_to: int, good: str) -> None:
        """Marks the blocks in which something is wrong, and as `good` those before `proven_to` in which nothing is."""
        self._bad, self._proven_to, self._good = frozenset(bad), proven_to, good
        self.refresh()

    def _wanted_pages(self) -> Iterable[int]:
        first, last = self._first - 1, self._first + self.tiles_in_view
        return (
            *range(page_of(max(first, 0)), page_of(last) + 1),
            page_of(self.selected),
            page_of(max(self.selected - 1, 0)),
        )

    def _arrived(self) -> None:
        self.refresh()
        self._announce()

    def _fail(self, error: Exception) -> None:
        self.post_message(self.Failed(error))

    def _announce(self) -> None:
        said = (self.selected, self.block(self.selected))
        if said != self._announced and self._statistics is not None:
            self._announced = said
            self.post_message(self.Selected(*said))

    # ── moving ──

    @property
    def tiles_in_view(self) -> int:
        """How many whole tiles there is room for."""
        return max(1, (self.size.width + LINK) // STRIDE)

    def select(self, number: int) -> None:
        """Selects a block and brings it into view."""
        self.selected = min(max(number, 0), self.sealed)
        self._show_selected()

    def _show_selected(self) -> None:
        last = self.selected - self.tiles_in_view + 1
        self._first = max(0, min(max(self._first, last), self.selected, self.sealed - self.tiles_in_view + 1))
        self.refresh()
        self._announce()
        self._pages.fill()

    def action_step(self, blocks: int) -> None:
        """Along the chain by single blocks."""
        self.select(self.selected + blocks)

    def action_page(self, pages: int) -> None:
        """Along the chain by what is in view."""
        self.select(self.selected + pages * self.tiles_in_view)

    def action_first(self) -> None:
        """To the first block."""
        self.select(0)

    def action_last(self) -> None:
        """To the open block."""
        self.select(self.sealed)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_step(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_step(-1)

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is None:
            return
        if at.y < self.rows + 2:
            number, within = divmod(at.x - self._margin, STRIDE)
            if 0 <= number < self.tiles_in_view and within < TILE:
                self.select(self._first + number)
        else:
            self.select(at.x * (self.sealed + 1) // max(1, self.size.width))

    def on_resize(self) -> None:
        self._show_selected()

    # ── drawing ──

    @property
    def rows(self) -> int:
        """How many lines a tile has for words: what is left beside its edges and, where there is room, the map."""
        height = self.size.height
        return min(ROWS, max(1, height - 2 - (height > 4)))

    @property
    def _margin(self) -> int:
        """What is left over stands at the left, so that the open block touches the right edge."""
        return max(0, self.size.width - self.tiles_in_view * STRIDE + LINK) if self.sealed >= self.tiles_in_view else 1

    def render_line(self, y: int) -> Strip:
        return grounded(self, self._row(y))

    def _row(self, y: int) -> Strip:
        colours, width = palette(self.app), self.size.width
        if self._statistics is None:
            return Strip.blank(width)
        if y >= self.rows + 2:
            return self._map(colours, width)
        lead = "═══" if y == 1 + self.rows // 2 and self._first else ""
        segments = [Segment(lead.rjust(self._margin)[-self._margin :] if self._margin else "", colours.style("border"))]
        for number in range(self._first, min(self._first + self.tiles_in_view, self.sealed + 1)):
            if number > self._first:
                segments.append(self._link(colours, number, y))
            segments.extend(self._tile(colours, number, y))
        return Strip(segments).adjust_cell_length(width)

    def _link(self, colours: Palette, number: int, y: int) -> Segment:
        if y != 1 + self.rows // 2:
            return Segment(" " * LINK)
        if number == self.sealed:
            return Segment("╌╌▸", colours.style("border"))
        block, before = self.block(number), self.block(number - 1)
        if block is None or before is None:
            return Segment("───", colours.style("border"))
        whole = block.previous_hash == before.hash
        return Segment("═══" if whole else "≠≠≠", colours.style("success" if whole else "error", bold=not whole))

    def _tile(self, colours: Palette, number: int, y: int) -> list[Segment]:
        is_open = number == self.sealed
        chosen = number == self.selected
        role = self._edge_role(number)
        edge = colours.style(role, bold=chosen)
        shape = SELECTED if chosen else OPEN if is_open else SEALED
        if y == 0:
            return [Segment(shape[0] + shape[1] * INSIDE + shape[2], edge)]
        if y == self.rows + 1:
            return self._lower_edge(colours, number, shape, edge)
        inside = self._open_line(colours, y - 1) if is_open else self._sealed_line(colours, number, y - 1)
        return [Segment(shape[3], edge), *inside, Segment(shape[3], edge)]

    def _trust(self, number: int) -> tuple[str, str, str]:
        """What is known of a block here: a glyph, a word and the role that colours them."""
        if number in self._bad:
            return "✗", "failed", "error"
        return ("✓", self._good, "success") if number < self._proven_to else ("·", "read", "muted")

    def _lower_edge(self, colours: Palette, number: int, shape: str, edge: Style) -> list[Segment]:
        if number == self.sealed or self.block(number) is None:
            return [Segment(shape[4] + shape[1] * INSIDE + shape[5], edge)]
        glyph, word, role = self._trust(number)
        text = f" {glyph} {word} "
        rest = INSIDE - 1 - len(text)
        return [
            Segment(shape[4] + shape[1], edge),
            Segment(text, colours.style(role)),
            Segment(shape[1] * rest + shape[5], edge),
        ]

    def _edge_role(self, number: int) -> str:
        if number in self._bad:
            return "error"
        if number == self.selected:
            return "accent" if self.has_focus else "text"
        return "success" if number == self._fresh else "primary" if number == self.sealed else "border"

    def _sealed_line(self, colours: Palette, number: int, row: int) -> list[Segment]:
        block = self.block(number)
        ground = "selection" if number == self.selected else "surface"
        if block is None:
            text = f" {human_count(number)}" if row == 0 else " ···" if row == 2 else ""
            return [Segment(fit(text, INSIDE), colours.style("muted", ground))]
        text, role = (
            (
                f" {self._trust(number)[0]} {human_count(number)}",
                "error" if number in self._bad else "accent" if number == self.selected else "text",
            ),
            (f" {short_hash(block.hash, 12)}", "secondary"),
            (f" {human_count(block.count)} records", "text"),
            (f" {human_bytes(block.data_bytes)}", "number"),
            (f" {ago(self._now_ms - block.last_time_ms)}", "muted"),
        )[row]
        return [Segment(fit(text, INSIDE), colours.style(role, ground, bold=row == 0))]

    def _open_line(self, colours: Palette, row: int) -> list[Segment]:
        statistics = self._statistics
        assert statistics is not None
        share = min(1.0, statistics.open_block_records / max(1, statistics.blockchain_batch_size))
        text, role = (
            (f" {human_count(self.sealed)} open" + (f" {share:.0%}" if self.rows == 1 else ""), "primary"),
            (f" {share:.0%} full", "text"),
            (f" {human_count(statistics.open_block_records)} records", "text"),
            (f" {human_bytes(statistics.open_block_bytes)}", "number"),
            (f" of {human_count(statistics.blockchain_batch_size)}", "muted"),
        )[row]
        eighths = round(share * self.rows * 8) - (self.rows - 1 - row) * 8
        return _filled(fit(text, INSIDE), min(max(eighths, 0), 8), colours, role, bold=row == 0)

    def _map(self, colours: Palette, width: int) -> Strip:
        """The whole chain in one line: what is in view, what is selected, what is bad."""
        total = self.sealed + 1
        if total <= self.tiles_in_view and not self._bad:
            return Strip.blank(width)

        def cell(number: int) -> int:
            return min(width - 1, number * width // total)

        line = ["─"] * width
        styles: list[Style] = [colours.style("border")] * width
        for at in range(cell(self._first), cell(min(self._first + self.tiles_in_view, total) - 1) + 1):
            line[at], styles[at] = "━", colours.style("primary")
        line[cell(self.selected)], styles[cell(self.selected)] = "●", colours.style("accent")
        for number in self._bad:
            line[cell(number)], styles[cell(number)] = "✗", colours.style("error", bold=True)
        return Strip([Segment(text, style) for text, style in zip(line, styles, strict=True)], width)


def _filled(text: str, eighths: int, colours: Palette, role: str, *, bold: bool) -> list[Segment]:
    """A line of text in a vessel filled to `eighths` of this line: the surface is drawn where no letter is."""
    level = colours.blend("surface", "graph1", 0.4)
    if eighths in (0, 8):
        return [Segment(text, colours.style("text" if eighths else role, level if eighths else "surface", bold=bold))]
    words = text.rstrip()
    surface = colours.style(level, "surface")
    return [
        Segment(words, colours.style(role, "surface", bold=bold)),
        Segment(VERTICAL_EIGHTHS[eighths] * (len(text) - len(words)), surface),
    ]
