"""One record, read closely: where it stands in the chain, and its value as JSON, text or hex, whatever its size."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip

from blockdb.commands.display import human_bytes, human_count, human_time, printable
from blockdb.commands.trust import FAILED, LEGEND

from ..document import MODES, Document, Layout, Mode, Prose, best_mode, read_as
from ..drawing import fit, fitted_line
from ..marks import Marks, trust_mark
from ..offloop import in_background, off_loop
from .lines import Lines

if TYPE_CHECKING:
    from blockdb import Record
    from blockdb.commands.trust import Trust

__all__ = ["ValueView"]

FIXED = 3
MOST_FOUND_LINES = 4
AT_ONCE_BYTES = 1024
"""A value of so many bytes is set out at once: that takes less time than a thread does to begin."""

REDACTED = "The value was redacted: it is gone for good. Its hash remains, and with it every proof."


class ValueView(Lines):
    """A value in view, or words that stand in its place."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "mode", "JSON/text/hex", id="value.mode"),
    ]

    HELP = (
        """The record under the cursor. Its first two lines say where it stands: its sequence number, its block, when \
it was committed, how long it is, the version of the schema that it was held to, and its trust. Below is the value, \
set out as JSON, as text or in hex; what was chosen stays for the next records. JSON is indented but no token is \
changed. A long value is cut in JSON and text, and says so; in hex all of it is there, up to the last byte.

"""
        + LEGEND
        + """ The record under the cursor is proven once the cursor has rested on it, if its block is sealed; v \
verifies all blocks, and P walks the proof. The line above the value says what was recomputed, or what was found."""
    )

    fixed = FIXED

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.record: Record | None = None
        self.entitle(Content("Value"))
        self.mode: Mode = "text"
        self._wished: Mode | None = None
        self._words = "No record is selected."
        self._note = ""
        self._marks: Marks = []
        self.trust: Trust | None = None
        self._found: list[str] = []
        """What was found where it does not hold, line by line."""
        self._layout: Layout | None = None
        self._document: Document | None = None
        self._laid_width = 0
        self._drawn = 0
        """Down to here there may be something on the screen."""

    # ── what is shown ──

    def show(
        self,
        record: Record | None,
        words: str = "No record is selected.",
        marks: Marks | None = None,
        trust: Trust | None = None,
    ) -> None:
        """Shows a record with what it wears; or `words` where there is none to show."""
        self._marks = marks or []
        self._wear(trust)
        self._words = words
        same = record is not None and self.record is not None and record.sequence == self.record.sequence
        self.record = record  # even if it is the same: it may have been sealed since
        if not same:
            self.top = 0
            self._read()
        self._repaint()

    def wear(self, trust: Trust) -> None:
        """Shows how far the record that is shown can be trusted."""
        self._wear(trust)
        self._repaint()

    def _repaint(self) -> None:
        """Repaints the rows that have something on them, or had: below them there is nothing that changes."""
        rows = self.fixed + min(self.total, self.rows_in_view)
        self.refresh(Region(0, 0, self.size.width, max(1, rows, self._drawn)))
        self._drawn = rows

    def _wear(self, trust: Trust | None) -> None:
        self.trust, self._found = trust, []
        if trust is not None and trust.degree is FAILED:
            words = printable(trust.words)
            self._found = textwrap.wrap(words, max(8, self.line_width - 2))[:MOST_FOUND_LINES]
        self.fixed = FIXED + len(self._found)
        self.top = min(self.top, self.last_top)

    def action_mode(self) -> None:
        """Reads the value the next way: JSON, text, hex."""
        self._wished = MODES[(MODES.index(self.mode) + 1) % len(MODES)]
        self.top = 0
        self._read()

    def _read(self) -> None:
        if self.record is None:
            self._document = Prose([[("muted", line)] for line in self._words.split("\n")], "")
            self._note = ""
            self._use(self._document.layout(self.line_width - 1), self.line_width - 1)
            return
        asked = self.record, self._wished, self.line_width - 1
        if len(self.record.value) <= AT_ONCE_BYTES:
            self._take(*_set_out(*asked), asked[2])
        else:
            in_background(self, self._set_out, *asked, group="read", latest=True)

    async def _set_out(self, record: Record, wished: Mode | None, width: int) -> None:
        mode, document, layout = await off_loop(_set_out, record, wished, width)
        if self.record is not None and self.record.sequence == record.sequence:
            self._take(mode, document, layout, width)
            self._fit_to_width()

    def _take(self, mode: Mode, document: Document, layout: Layout, width: int) -> None:
        self.mode, self._document, self._note = mode, document, document.note
        self._use(layout, width)

    def _use(self, layout: Layout, width: int) -> None:
        self._layout, self._laid_width = layout, width
        self.total = layout.height
        self.top = min(self.top, self.last_top)
        self._retitle()
        self._repaint()

    def on_resize(self) -> None:
        super().on_resize()
        self._fit_to_width()

    def _fit_to_width(self) -> None:
        """Lays out anew what was laid out for another width; a record that is being read goes on being read."""
        if self._document is not None and self._laid_width != self.line_width - 1:
            in_background(self, self._lay_out_again, self._document, self.line_width - 1, group="layout", latest=True)

    async def _lay_out_again(self, document: Document, width: int) -> None:
        layout = await off_loop(document.layout, width)
        if document is self._document:
            self._use(layout, width)

    # ── drawing ──

    def _retitle(self) -> None:
        shown = [(f" {mode} ", "bold $role-accent" if mode == self.mode else "$role-muted") for mode in MODES]
        self.entitle(Content("Value"), Content.assemble(*shown) if self.record is not None else None)

    def draw_fixed(self, y: int, width: int) -> Strip:
        if 2 <= y < 2 + len(self._found):
            return fitted_line([(f" {self._found[y - 2]}", self.palette.style("error"))], width)
        if self.record is None:
            return Strip.blank(width) if y else fitted_line(self._styled(self._worn()), width)
        return (self._key_line, self._place_line, self._rule)[min(y, 2)](self.record, width)

    def _worn(self) -> Marks:
        return [*self._marks, *(trust_mark(self.trust) if self.trust is not None else [])]

    def _styled(self, marks: Marks) -> list[tuple[str, Style]]:
        return [(f"  {words}", self.palette.style(role)) for words, role in marks]

    def _key_line(self, record: Record, width: int) -> Strip:
        style = self.palette.style
        marks = self._styled(self._worn())
        room = max(width // 3, width - sum(cell_len(words) for words, _ in marks) - 1)
        key = fit(" " + printable(record.key[: width * 4]), room)
        return fitted_line([(key, style("key", bold=True)), *marks], width)

    def _place_line(self, record: Record, width: int) -> Strip:
        style = self.palette.style
        block = (
            ("in the open block", "warning")
            if record.block is None
            else (f"block {human_count(record.block)}", "primary")
        )
        pieces = [
            (f" {block[0]}", style(block[1])),
            (f"  #{human_count(record.sequence)}", style("secondary")),
            (f"  {human_bytes(len(record.value))}", style("number")),
            (f"  {human_time(record.time_ms)}", style("muted")),
        ]
        return fitted_line(pieces, width)

    def _rule(self, record: Record, width: int) -> Strip:
        note = f" {self._note} " if self._note else ""
        style = self.palette.style
        left = " ──"
        why = "" if self.trust is None or self._found or not self.trust.words else f" {printable(self.trust.words)} "
        why = fit(why, min(cell_len(why), max(0, width - len(left) - cell_len(note) - 2)))
        rest = "─" * (width - len(left) - cell_len(why) - cell_len(note))
        pieces = [(left, "border"), (why, "muted"), (note, "warning"), (rest, "border")]
        return fitted_line([(text, style(role)) for text, role in pieces], width)

    def draw_row(self, y: int) -> Strip:
        if y < self.fixed + self.total - self.top:
            self._drawn = max(self._drawn, y + 1)
        return super().draw_row(y)

    def draw_line(self, index: int, width: int) -> Strip:
        if self._layout is None:
            return Strip.blank(width)
        style = self.palette.style
        pieces = [(text, style(role)) for role, text in self._layout.line(index)]
        return fitted_line([(" ", style("text")), *pieces], width)


def _set_out(record: Record, wished: Mode | None, width: int) -> tuple[Mode, Document, Layout]:
    """A value as it is read, the way that is wished or else the best one, and its lines. O(bytes)."""
    mode = wished or best_mode(record.value)
    document = Prose([[("muted", REDACTED)]], "") if record.redacted else read_as(record.value, mode)
    return mode, document, document.layout(width)
