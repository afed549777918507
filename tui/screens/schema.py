"""The view of a collection's schema and of its indexes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

import blockdb
from blockdb.commands.display import human_bytes, human_count, printable

from ..keytext import command_line
from ..listing import Fixed
from ..offloop import in_background, off_loop
from ..shape import FieldRow, SchemaVersion, Shape, shape_of
from ..widgets.virtual_table import Column, VirtualTable
from .view import View

if TYPE_CHECKING:
    from blockdb import AnyCollection
    from blockdb.types import IndexInfo

    from ..history import Moment

__all__ = ["SchemaView"]

FIELDS: list[Column[FieldRow]] = [
    Column("FIELD", lambda row: row.path, share=2, role="key"),
    Column("TYPE", lambda row: row.kind, width=10, role="secondary"),
    Column("", lambda row: "required" if row.required else "", width=8, role="warning"),
    Column("DEFAULT", lambda row: row.default, share=1, role="string", from_width=56),
    Column("RULES", lambda row: row.rules, share=3, role="text", from_width=44),
]


def _kind(index: IndexInfo) -> str:
    words = [word for word, holds in (("unique", index.unique), ("sparse", index.sparse)) if holds]
    return " ".join(words) or "—"


INDEXES: list[Column[IndexInfo]] = [
    Column("INDEX", lambda index: printable(index.name), share=2, role="key"),
    Column("FIELDS", lambda index: printable(", ".join(index.fields)), share=3, role="text"),
    Column("KIND", _kind, width=13, role="warning", from_width=60),
    Column("ENTRIES", lambda index: human_count(index.entries), width=11, role="number", right=True),
    Column("SIZE", lambda index: human_bytes(index.size_bytes), width=8, role="number", right=True, from_width=52),
    Column(
        "STATE",
        lambda index: printable(index.state),
        width=9,
        role=lambda index: "success" if index.state == "ready" else "warning",
        from_width=44,
    ),
    Column("LOOKUPS", lambda index: human_count(index.lookups), width=8, role="muted", right=True, from_width=90),
]


class FieldTable(VirtualTable[FieldRow]):
    """The fields of one version of the schema."""

    HELP = """What is expected of the documents of this collection: fields by their paths, with their types, whether \
they have to be there, what is put there where they are missing, and rules. Fields that are not named are allowed. \
Each record is held to the schema under which it was written; left and right go through the versions, and each says \
from which record on it holds."""


class IndexTable(VirtualTable["IndexInfo"]):
    """The indexes of the collection."""

    HELP = """The indexes of this collection. Fields are paths into documents, the first of which rules the order; \
items[].price goes to each member of an array. No two documents may have the same values in a unique index; documents \
that lack a field are not in a sparse one. Entries grow while an index is built. Bytes are those of its files: the \
newest entries are in memory alone. Lookups are those of this process."""


class SchemaView(View):
    """Fields and indexes, side by side or one above the other."""

    NAME = "schema"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "version(-1)", "Older version", key_display="←", id="schema.older"),
        Binding("right,l", "version(1)", "Newer version", key_display="→", id="schema.newer"),
        Binding("y", "copy_schema", "Copy schema", id="schema.copy"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.shape = Shape((), ())
        self.at = -1
        """Which version is shown, by its place; -1 is the newest."""

    def body(self) -> Iterable[Widget]:
        self.first_pane = self.fields = FieldTable(FIELDS, empty="No schema: any value is taken.", id="fields")
        self.indexes = IndexTable(INDEXES, empty="No index: queries look at every record.", id="indexes")
        return self.fields, self.indexes

    # ── the collection comes, changes, goes ──

    def opened(self, collection: AnyCollection) -> None:
        self._show(Shape((), ()), anew=True)
        in_background(self, self._look, group="shape", latest=True)

    def reopened(self, collection: AnyCollection) -> None:
        self.at = -1
        self.opened(collection)

    def closed(self) -> None:
        self.fields.show(None)
        self.indexes.show(None)

    def forget(self) -> None:
        self.at = -1

    def polled(self, moment: Moment) -> None:
        in_background(self, self._look, group="shape", latest=True)

    async def _look(self) -> None:
        collection = self.collection
        if collection is None:
            return
        try:
            then = await off_loop(self.explorer.past.standing_in, collection)
            shape = await off_loop(shape_of, collection, then)
        except (blockdb.BlockDBError, OSError) as error:
            self.indexes.title = Content(printable(f"Indexes · {type(error).__name__}: {error}"))
            self.indexes.retitle()
            return
        if collection is self.collection:
            self._show(shape)

    def _show(self, shape: Shape, *, anew: bool = False) -> None:
        before, self.shape = self.shape, shape
        if anew or shape.versions != before.versions:
            self._show_version()
        if anew or shape.indexes != before.indexes:
            self.indexes.title = Content.assemble("Indexes", (self._of_now(), "$success"))
            self.indexes.show(Fixed(shape.indexes), self.indexes.cursor)

    def _of_now(self) -> str:
        """What there was of indexes is not kept; that is said where a moment of the past is looked at."""
        if self.explorer.as_of is None:
            return ""
        return " · those of now: what there was then is not kept"

    @property
    def version(self) -> SchemaVersion | None:
        """The version of the schema that is shown."""
        return self.shape.versions[self.at] if self.shape.versions else None

    def _show_version(self) -> None:
        version, table = self.version, self.fields
        words = [("Schema", "$text")]
        if version is not None:
            newest = self.shape.versions[-1].version
            words += [(f" · version {human_count(version.version)} of {human_count(newest)}", "$accent")]
            if self.explorer.as_of is not None and version is self.shape.versions[-1]:
                words += [(" · held then", "$warning")]
            words += [(f", from record #{human_count(version.first_sequence)} on", "$text-muted")]
        table.title = Content.assemble(*words)
        table.show(Fixed([] if version is None else version.rows()))

    @on(VirtualTable.Failed)
    def _failed(self, event: VirtualTable.Failed) -> None:
        self.explorer.say(f"The schema cannot be shown. {type(event.error).__name__}: {event.error}", "error")

    # ── keys ──

    def action_version(self, by: int) -> None:
        """To an older version of the schema, or to a newer one."""
        count = len(self.shape.versions)
        wanted = max(-count, min(-1, self.at + by))
        if count and wanted != self.at:
            self.at = wanted
            self._show_version()

    def action_copy_schema(self) -> None:
        """Copies the version that is shown, as JSON."""
        if self.version is None:
            self.explorer.say("This collection has no schema.", "warning")
        else:
            text = json.dumps(self.version.source, indent=2, ensure_ascii=False)
            self.explorer.copy(text.encode(), f"version {self.version.version} of the schema")

    def shown_as_command(self) -> str:
        name = self.collection.name if self.collection is not None else ""
        what = "indexes" if self.focused is self.indexes else "schema"
        return command_line(self.explorer.whole, "collection", what, shlex.quote(name))
