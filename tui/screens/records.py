"""The view of records: every key there is, and the value of the one under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

from blockdb.commands.display import printable
from blockdb.commands.trust import Trust, read

from ..keytext import find_command, get_command, key_of, scan_command, text_of
from ..listing import ByKey, NewestFirst, Row
from ..marks import trust_column
from ..offloop import in_background
from ..past_listing import END, ByKeyThen, End
from ..querying import Found, Query, Search
from ..reading import read_into
from ..record_columns import BY_TIME, IN_KEY_ORDER
from ..widgets.course_strip import CourseStrip
from ..widgets.value_view import ValueView
from ..widgets.virtual_table import Column, VirtualTable
from .asking import Asking
from .coursing import Coursing
from .record_table import RecordTable
from .view import View
from .walking import Walking

if TYPE_CHECKING:
    from blockdb import AnyCollection

    from ..history import Moment

__all__ = ["RecordTable", "RecordsView"]

LONGEST_CRUMB = 64
LAST = 1 << 62
"""A row behind all others."""


class RecordsView(View):
    """Table and value, side by side or one above the other."""

    NAME = "records"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", id="records.filter"),
        Binding("w", "where", "Query", id="records.where"),
        Binding("J,#", "jump", "Jump to key", key_display="J", id="records.jump"),
        Binding("o", "order", "Order", id="records.order"),
        Binding("f", "follow", "Follow", id="records.follow"),
        Binding("z", "zoom", "Zoom", id="records.zoom"),
        Binding("H", "course", "Course", show=False, id="records.course"),
        Binding("B", "turn_course", "Time/chain", show=False, id="records.turn_course"),
        Binding("P", "prove", "Proof", id="records.prove"),
        Binding("K", "tamper", "To the lab", show=False, id="records.tamper"),
        Binding("b", "to_block", "Its block", id="records.block"),
        Binding("c", "copy_key", "Copy key", id="records.copy_key"),
        Binding("y", "copy_value", "Copy value", id="records.copy_value"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.prefix = b""
        self._wanted: bytes | None = None
        self._seen = (-1, -1)

    def body(self) -> Iterable[Widget]:
        self._trust: Column[Row] = trust_column(self._trust_of)
        self.first_pane = self.table = RecordTable([self._trust, *IN_KEY_ORDER], empty="No records.", id="records")
        self.value = ValueView(id="value")
        self.asking = Asking(self, self._show_found, self._found_more)
        self._walking = Walking(self, self._found_more)
        self.strip = CourseStrip(id="course")
        self.coursing = Coursing(self, self.strip)
        return self.strip, self.table, self.value

    # ── the database comes, grows, goes ──

    def opened(self, collection: AnyCollection) -> None:
        self._list(collection)

    def reopened(self, collection: AnyCollection) -> None:
        """The same list at another moment, the cursor on its record if that was there."""
        row, listing = self.table.row, self.table.listing
        self.table.follow_first = False
        if isinstance(listing, Found):
            self.asking.run_again()
        elif isinstance(listing, NewestFirst):
            self._show_newest(row)
        else:
            self._list(collection, at=row.key if row else None)

    def closed(self) -> None:
        self.coursing.show(None, b"")
        self._walking.stop()
        self.asking.stop()
        self.table.show(None)
        self.value.show(None)

    def forget(self) -> None:
        self.prefix, self._wanted, self._seen = b"", None, (-1, -1)
        self.table.follow_first = False
        self.asking.forget()
        self.remove_class("-zoomed")

    def resumed(self) -> None:
        super().resumed()
        self._highlighted()

    def polled(self, moment: Moment) -> None:
        now = (moment.statistics.records, moment.statistics.blocks)
        if now != self._seen:
            self._seen = now
            if not isinstance(self.table.listing, Found | ByKeyThen):
                self.table.grown()
        self.coursing.grown()
        record, trusting = self.value.record, self.explorer.trusting
        if record is not None and self.collection is not None and trusting.is_due(self.collection, record.key):
            self._highlighted()

    # ── the course of the records ──

    def action_course(self) -> None:
        """Shows the strip that says when the records came, or takes it away."""
        away = bool(self.strip.display)
        if away and self.strip.has_focus:
            self.table.focus()
        self.set_class(not away, "-course")
        self.set_class(away, "-no-course")
        self.call_after_refresh(self.coursing.grown)

    def action_turn_course(self) -> None:
        """The strip over the chain instead of over time, or back."""
        self.strip.turn()

    @on(CourseStrip.Moved)
    def _moved(self, event: CourseStrip.Moved) -> None:
        self.explorer.past.go(event.as_of)

    def _trust_of(self, row: Row) -> Trust:
        """How far the record of a row can be trusted."""
        return read() if self.collection is None else self.explorer.trusting.of_row(self.collection, row.key, row.block)

    def _list(self, collection: AnyCollection, at: bytes | End | None = None) -> None:
        listing = self._walking.listing(collection, self.prefix, at)
        columns = [self._trust, *IN_KEY_ORDER]
        start: int | Callable[[], int] = LAST if isinstance(at, End) else 0
        self.table.show(listing, (lambda: listing.position(at)) if isinstance(at, bytes) else start, columns=columns)
        self._titles()

    @on(RecordTable.Sought)
    def _sought(self, event: RecordTable.Sought) -> None:
        if self.collection is not None:
            self._list(self.collection, END if event.to_end else None)

    def _titles(self) -> None:
        table = self.table
        self.coursing.show(self.collection, self.prefix)
        words = [("Records", "$text")]
        if self.prefix:
            words += [(" › ", "$text-muted"), (printable(self.prefix), "$role-key")]
        if isinstance(table.listing, NewestFirst):
            words.append((" · following the newest" if table.follow_first else " · newest first", "$accent"))
        found = isinstance(table.listing, Found)
        if found:
            words += [(" where ", "$text-muted"), (printable(self.asking.text.strip()) or "everything", "$role-key")]
        table.note = self.asking.search.progress() if found and self.asking.search is not None else ""
        table.words = ""
        if isinstance(table.listing, ByKeyThen) and not table.listing.done:
            table.note = "◐ more are walked"
            if not table.listing.has_top:
                table.words = "◐ more are walked; the rows have no numbers yet"
        table.title = Content.assemble(*words)
        table.retitle()

    def show_verification(self) -> None:
        super().show_verification()
        if not self.explorer.verification.running:
            self._highlighted()

    # ── a query ──

    def action_where(self) -> None:
        """Asks for a query."""
        self.asking.ask()

    def _show_found(self, collection: AnyCollection, search: Search) -> None:
        self.prefix = b""
        self._walking.stop()
        self.table.follow_first = False
        self.table.show(Found(collection, search), columns=[self._trust, *IN_KEY_ORDER])
        self.table.focus()
        self._titles()

    def _found_more(self) -> None:
        if isinstance(self.table.listing, Found | ByKeyThen):
            self.table.grown()
            self._titles()

    # ── the record under the cursor ──

    @on(VirtualTable.Highlighted, "#records")
    def _highlighted(self) -> None:
        row = self.table.row
        self._wanted = None if row is None else row.key
        if row is not None:
            in_background(self, self._read, row.key, group="record", latest=True)
        elif not self.table.total:
            self.value.show(None)
        self._look_up_rows()

    def _look_up_rows(self) -> None:
        """Has those rows in view looked up that do not tell their blocks."""
        table = self.table
        rows = map(table.row_at, range(table.top, min(table.top + table.rows_in_view, table.total)))
        keys = [row.key for row in rows if row is not None and row.sequence < 0]
        if self.collection is not None and keys:
            self.explorer.trusting.look_up(self.collection, keys, table.redraw)

    async def _read(self, key: bytes) -> None:
        if (collection := self.collection) is not None:
            wanted = (collection, key)
            await read_into(
                self.value,
                *wanted,
                explorer=self.explorer,
                is_wanted=lambda: (self.collection, self._wanted) == wanted,
                beside=self.table,
            )

    @on(VirtualTable.Failed, "#records")
    def _failed(self, event: VirtualTable.Failed) -> None:
        self.explorer.fail("The records cannot be listed.", event.error)

    # ── keys ──

    def action_filter(self) -> None:
        """Asks for the beginning of a key, and lists what fits while it is typed."""
        before = self.prefix
        self.prompt.ask(
            "Filter by prefix",
            text_of(before),
            changed=self._filter,
            done=self._filter,
            cancelled=lambda: self._set_prefix(before),
        )

    def _filter(self, text: str) -> None:
        self._set_prefix(key_of(text))

    def _set_prefix(self, prefix: bytes) -> None:
        if self.collection is None or (prefix == self.prefix and self._in_key_order):
            return
        self.prefix = prefix
        self.table.follow_first = False
        self._list(self.collection)

    @property
    def _in_key_order(self) -> bool:
        return isinstance(self.table.listing, ByKey | ByKeyThen)

    def action_jump(self) -> None:
        """Asks for a key and goes to it, or to the next one there is."""
        self.prompt.ask("Jump to key", done=lambda text: self.show_key(key_of(text)))

    def show_key(self, key: bytes) -> None:
        """Puts the cursor on a key, or on the next one there is."""
        if self.collection is None:
            return
        if not key.startswith(self.prefix):
            self.prefix = b""
        self.table.follow_first = False
        self._list(self.collection, at=key)
        self.table.focus()

    def action_order(self) -> None:
        """By key, or the newest first; the cursor stays on its record."""
        if self.collection is None:
            return
        row = self.table.row
        self.table.follow_first = False
        if self._in_key_order:
            self._show_newest(row)
        else:
            self._list(self.collection, at=row.key if row else None)

    def _show_newest(self, row: Row | None) -> None:
        assert self.collection is not None
        if self.explorer.as_of is not None and self.explorer.past.standing is None:
            return  # it comes in a moment
        self._walking.stop()
        self.prefix = b""
        listing = NewestFirst(self.collection, self.explorer.past.standing)
        self.table.show(
            listing, 0 if row is None else lambda: listing.position(row.key), columns=[self._trust, *BY_TIME]
        )
        self._titles()

    def action_follow(self) -> None:
        """Keeps the cursor on the newest record, or lets it go."""
        if self.collection is None:
            return
        if self.explorer.as_of is not None:
            self.explorer.say("Nothing comes to a moment of the past. A and Enter go back to now.", "warning")
            return
        following = not self.table.follow_first
        if following:
            self._show_newest(None)
        self.table.follow_first = following
        self._titles()

    @on(VirtualTable.Chosen, "#records")
    def _chosen(self) -> None:
        self._zoom(True)

    def action_zoom(self) -> None:
        """The value over the whole view, and back."""
        self._zoom(not self.has_class("-zoomed"))

    def _zoom(self, zoomed: bool) -> None:
        self.set_class(zoomed, "-zoomed")
        (self.value if zoomed else self.table).focus()

    def step_back(self) -> bool:
        if self.has_class("-zoomed"):
            self._zoom(False)
        elif self.focused is self.value:
            self.table.focus()
        elif self.asking.stop():
            pass
        elif self.prefix or isinstance(self.table.listing, Found):
            row = self.table.row
            self._set_prefix(b"")
            if row is not None:
                self.show_key(row.key)
        else:
            return False
        return True

    def crumb(self) -> str:
        row = self.table.row
        is_open = row is not None and (self.has_class("-zoomed") or self.focused is self.value)
        return text_of(row.key[:LONGEST_CRUMB] if row is not None and is_open else self.prefix)

    def chosen(self) -> dict[str, object]:
        newest = isinstance(self.table.listing, NewestFirst)
        return {"prefix": text_of(self.prefix), "newest": newest, "zoomed": self.has_class("-zoomed")}

    def recall(self, chosen: Mapping[str, object]) -> None:
        if chosen.get("newest") is True:
            self._show_newest(None)
        elif isinstance(prefix := chosen.get("prefix"), str):
            self._filter(prefix)
        if chosen.get("zoomed") is True:
            self._zoom(True)

    def action_to_block(self) -> None:
        """Goes to the block that holds the record."""
        row = self.table.row
        record = self.value.record
        if row is not None and record is not None and record.key == row.key:
            self.explorer.visit_block(record.block, record.sequence)

    def chosen_key(self) -> bytes | None:
        return None if self.table.row is None else self.table.row.key

    def action_copy_value(self) -> None:
        """Copies the value that is shown."""
        if self.value.record is not None:
            self.explorer.copy(self.value.record.value, "the value")

    def shown_as_command(self) -> str:
        target, row, as_of = self.explorer.target, self.table.row, self.explorer.as_of
        if row is not None and (self.has_class("-zoomed") or self.focused is self.value):
            return get_command(target, row.key, as_of)
        if isinstance(self.table.listing, Found):
            query = Query.parse(self.asking.text)
            return find_command(target, query.where, query.order, as_of)
        return scan_command(target, self.prefix, as_of)
