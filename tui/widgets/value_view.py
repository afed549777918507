"""One record, read closely: where it stands in the chain, and its value as JSON, text or hex, whatever its size."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.strip import Strip

from blockdb.commands.display import human_bytes, human_count, human_time, printable

from ..document import MODES, Document, Layout, Mode, Prose, best_mode, read_as
from ..drawing import fit, fitted_line
from ..marks import Marks
from ..offloop import in_background, off_loop
from .lines import Lines

if TYPE_CHECKING:
    from blockdb import Record

__all__ = ["ValueView"]

REDACTED = "The value was redacted: it is gone for good. Its hash remains, and with it every proof."


class ValueView(Lines):
    """A value in view, or words that stand in its place."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "mode", "JSON/text/hex", id="value.mode"),
    ]

    HELP = """The record under the cursor. Its first two lines say where it stands: its sequence number, its block, \
when it was committed, how long key and value are, the version of the schema that it was held to, and whether a \
verification (v) has proven its block. Below is the value, set out as JSON, as text or in hex; what was \
chosen stays for the next records. JSON is indented but no token is changed. A long value is cut in JSON and text, \
and says so; in hex all of it is there, up to the last byte."""

    fixed = 3

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.record: Record | None = None
        self.entitle(Content("Value"))
        self.mode: Mode = "text"
        self._wished: Mode | None = None
        self._words = "No record is selected."
        self._note = ""
        self._marks: Marks = []
        self._layout: Layout | None = None
        self._document: Document | None = None
        self._laid_width = 0

    # ── what is shown ──

    def show(self, record: Record | None, words: str = "No record is selected.", marks: Marks | None = None) -> None:
        """Shows a record with what it wears; or `words` where there is none to show."""
        self._marks = marks or []
        self._words = words
        same = record is not None and self.record is not None and record.sequence == self.record.sequence
        self.record = record  # even if it is the same: it may have been sealed since
        if not same:
            self.top = 0
            self._read()
        self.refresh()

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
        in_background(self, self._set_out, self.record, self._wished, self.line_width - 1, group="read", latest=True)

    async def _set_out(self, record: Record, wished: Mode | None, width: int) -> None:
        def read() -> tuple[Mode, Document, Layout]:
            mode = wished or best_mode(record.value)
            document = Prose([[("muted", REDACTED)]], "") if record.redacted else read_as(record.value, mode)
            return mode, document, document.layout(width)

        mode, document, layout = await off_loop(read)
        if self.record is not None and self.record.sequence == record.sequence:
            self.mode, self._document, self._note = mode, document, document.note
            self._use(layout, width)

    def _use(self, layout: Layout, width: int) -> None:
        self._layout, self._laid_width = layout, width
        self.total = layout.height
        self.top = min(self.top, self.last_top)
        self._retitle()
        self.refresh()

    def on_resize(self) -> None:
        super().on_resize()
        if self._document is not None and self._laid_width != self.line_width - 1:
            in_background(self, self._lay_out_again, self._document, self.line_width - 1, group="read", latest=True)

    async def _lay_out_again(self, document: Document, width: int) -> None:
        layout = await off_loop(document.layout, width)
        if document is self._document:
            self._use(layout, width)

    # ── drawing ──

    def _retitle(self) -> None:
        shown = [(f" {mode} ", "bold $role-accent" if mode == self.mode else "$role-muted") for mode in MODES]
        self.entitle(Content("Value"), Content.assemble(*shown) if self.record is not None else None)

    def draw_fixed(self, y: int, width: int) -> Strip:
        if self.record is None:
            return Strip.blank(width)
        return (self._key_line, self._place_line, self._rule)[y](self.record, width)

    def _key_line(self, record: Record, width: int) -> Strip:
        style = self.palette.style
        marks = [(f"  {words}", style(role)) for words, role in self._marks]
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
        rest = "─" * (width - len(left) - cell_len(note))
        return fitted_line([(left, style("border")), (note, style("warning")), (rest, style("border"))], width)

    def draw_line(self, index: int, width: int) -> Strip:
        if self._layout is None:
            return Strip.blank(width)
        style = self.palette.style
        pieces = [(text, style(role)) for role, text in self._layout.line(index)]
        return fitted_line([(" ", style("text")), *pieces], width)
