"""The view of records: every key there is, and the value of the one under the cursor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

import blockdb
from blockdb.commands.display import human_bytes, human_count, human_time, printable

from ..keytext import find_command, get_command, key_of, scan_command, text_of
from ..listing import REDACTED, ByKey, NewestFirst, Row
from ..marks import marks_of, read_with_version
from ..offloop import in_background, off_loop
from ..querying import Found, Query, Search
from ..widgets.value_view import ValueView
from ..widgets.virtual_table import Column, VirtualTable
from .asking import Asking
from .view import View

if TYPE_CHECKING:
    from blockdb import AnyCollection

    from ..history import Moment

__all__ = ["IN_BLOCK", "RecordsView"]


def _key(row: Row) -> str:
    return printable(row.key[:400])


def _value(row: Row) -> str:
    return row.trouble or printable(row.preview)


def _block(row: Row) -> str:
    return "open" if row.block is None else human_count(row.block)


def _role(row: Row) -> str:
    return "muted" if row.trouble == REDACTED else "error" if row.trouble else "text"


_KEY = Column("KEY", _key, share=1, role="key")
_VALUE = Column("VALUE", _value, share=1, role=_role, from_width=44)
_SIZE: Column[Row] = Column(
    "SIZE", lambda row: human_bytes(row.size), width=8, role="number", right=True, from_width=30
)
_SEQUENCE: Column[Row] = Column(
    "SEQUENCE", lambda row: human_count(row.sequence), width=11, role="secondary", right=True
)

IN_KEY_ORDER: list[Column[Row]] = [_KEY, _VALUE, _SIZE]
IN_BLOCK: list[Column[Row]] = [_SEQUENCE, *IN_KEY_ORDER]
BY_TIME: list[Column[Row]] = [
    *IN_BLOCK,
    Column(
        "BLOCK",
        _block,
        width=8,
        right=True,
        from_width=64,
        role=lambda row: "warning" if row.block is None else "primary",
    ),
    Column("COMMITTED (UTC)", lambda row: human_time(row.time_ms)[:19], width=19, role="muted", from_width=100),
]


class RecordTable(VirtualTable[Row]):
    """The table of the view."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Open", id="records.open"),
    ]

    HELP = """Every record, in the order of the keys, or the newest first. The table fetches only what is in view, so \
it is as quick on ten million records as on ten. When records come in, it takes them up without moving the cursor; \
follow keeps the cursor on the newest instead.

A filter is the beginning of a key. In it, and in a jump, \\x1b stands for a byte and \\\\ for a backslash.

A query (w) finds documents by their fields: city = 'Oslo' and age >= 30, tags[] = 'vip', order by age desc behind it \
if you like. Tab completes fields and words; what is wrong is marked at its place. What is found comes as it is found, \
10,000 documents at most, and the lower edge says what it took. Esc stops a search, and once more leaves it."""


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
        Binding("P", "prove", "Proof", id="records.prove"),
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
        self.first_pane = self.table = RecordTable(IN_KEY_ORDER, empty="No records.", id="records")
        self.value = ValueView(id="value")
        self.asking = Asking(self, self._show_found, self._found_more)
        return self.table, self.value

    # ── the database comes, grows, goes ──

    def opened(self, collection: AnyCollection) -> None:
        self._list(ByKey(collection, self.prefix))
        self._titles()

    def closed(self) -> None:
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
            if not isinstance(self.table.listing, Found):
                self.table.grown()

    def _list(self, listing: ByKey, at: bytes | None = None) -> None:
        self.table.show(listing, 0 if at is None else lambda: listing.position(at), columns=IN_KEY_ORDER)
        self._titles()

    def _titles(self) -> None:
        table = self.table
        words = [("Records", "$text")]
        if self.prefix:
            words += [(" › ", "$text-muted"), (printable(self.prefix), "$role-key")]
        if isinstance(table.listing, NewestFirst):
            words.append((" · following the newest" if table.follow_first else " · newest first", "$accent"))
        found = isinstance(table.listing, Found)
        if found:
            words += [(" where ", "$text-muted"), (printable(self.asking.text.strip()) or "everything", "$role-key")]
        table.note = self.asking.search.progress() if found and self.asking.search is not None else ""
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
        self.table.follow_first = False
        self.table.show(Found(collection, search), columns=IN_KEY_ORDER)
        self.table.focus()
        self._titles()

    def _found_more(self) -> None:
        if isinstance(self.table.listing, Found):
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

    async def _read(self, key: bytes) -> None:
        collection = self.collection
        if collection is None:
            return
        try:
            record, version = await off_loop(read_with_version, collection, key)
        except (blockdb.BlockDBError, OSError) as error:
            if not self.explorer.missed(error):
                self.value.show(None, printable(f"{type(error).__name__}: {error}"))
            return
        if key == self._wanted:
            self.value.show(record, marks=marks_of(record, version, collection, self.explorer.verification))

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
        if self.collection is None or (prefix == self.prefix and isinstance(self.table.listing, ByKey)):
            return
        self.prefix = prefix
        self.table.follow_first = False
        self._list(ByKey(self.collection, prefix))

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
        self._list(ByKey(self.collection, self.prefix), at=key)
        self.table.focus()

    def action_order(self) -> None:
        """By key, or the newest first; the cursor stays on its record."""
        if self.collection is None:
            return
        row = self.table.row
        self.table.follow_first = False
        if isinstance(self.table.listing, ByKey):
            self._show_newest(row)
        else:
            self._list(ByKey(self.collection, self.prefix), at=row.key if row else None)

    def _show_newest(self, row: Row | None) -> None:
        assert self.collection is not None
        self.prefix = b""
        listing = NewestFirst(self.collection)
        self.table.show(listing, 0 if row is None else lambda: listing.position(row.key), columns=BY_TIME)
        self._titles()

    def action_follow(self) -> None:
        """Keeps the cursor on the newest record, or lets it go."""
        if self.collection is None:
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

    def action_to_block(self) -> None:
        """Goes to the block that holds the record."""
        row = self.table.row
        record = self.value.record
        if row is not None and record is not None and record.key == row.key:
            self.explorer.visit_block(record.block, record.sequence)

    def chosen_key(self) -> bytes | None:
        return None if self.table.row is None else self.table.row.key

    def action_copy_key(self) -> None:
        """Copies the key under the cursor."""
        if self.table.row is not None:
            self.explorer.copy(self.table.row.key, "the key")

    def action_copy_value(self) -> None:
        """Copies the value that is shown."""
        if self.value.record is not None:
            self.explorer.copy(self.value.record.value, "the value")

    def shown_as_command(self) -> str:
        target, row = self.explorer.target, self.table.row
        if row is not None and (self.has_class("-zoomed") or self.focused is self.value):
            return get_command(target, row.key)
        if isinstance(self.table.listing, Found):
            query = Query.parse(self.asking.text)
            return find_command(target, query.where, query.order)
        return scan_command(target, self.prefix)
