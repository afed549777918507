"""The view of all collections: what there is, how much is in each, and the way into them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

import blockdb
from blockdb.commands.display import human_bytes, human_count, plural, printable

from ..catalog import NOT_TOLD, Known, KnownCollections, Names
from ..drawing import ago
from ..keytext import command_line
from ..offloop import in_background, off_loop
from ..widgets.collection_facts import CollectionFacts
from ..widgets.virtual_table import Column, VirtualTable
from .view import View

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase, CollectionInfo

    from ..history import Moment

__all__ = ["CollectionsView"]

NOT_YET = "···"


class CollectionTable(VirtualTable[str]):
    """The table of the view."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Enter it", id="collections.enter"),
    ]

    HELP = """All collections of the database, in the order of their names. Each has a chain, a schema and indexes of \
its own. Enter goes into one: records, blocks, metrics, schema and proofs are then those of that collection, and its \
name stands in the line at the top. 0 or Esc leads back here.

What is in a collection is looked up when its line comes into view, and again all the time while it stands there."""

    def on_focus(self) -> None:
        super().on_focus()
        self.moved()


def _bytes(count: int) -> str:
    return "—" if count == NOT_TOLD else human_bytes(count)


class CollectionsView(View):
    """All collections, and what is known of the one under the cursor."""

    NAME = "collections"
    OF_COLLECTION = False

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", id="collections.filter"),
        Binding("s", "schema", "Its schema", id="collections.schema"),
        Binding("n", "create", "New", id="collections.create"),
        Binding("D", "drop", "Drop", id="collections.drop"),
        Binding("c", "copy_id", "Copy id", id="collections.copy_id"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.part = ""
        self._names: tuple[str, ...] = ()
        self._asked_at: str | None = None

    def body(self) -> Iterable[Widget]:
        self.first_pane = self.table = CollectionTable(self._columns(), empty="No collection.", id="collections")
        self.facts = CollectionFacts(id="collection")
        past = self.explorer.past
        self.known = KnownCollections(self.table, self._in_view, self._came, past.standing_in)
        return self.table, self.facts

    # ── columns ──

    def _columns(self) -> list[Column[str]]:
        def told(words: Callable[[CollectionInfo], str]) -> Callable[[str], str]:
            return lambda name: self._told(name, words)

        documents = told(lambda info: human_count(info.stats.document_count))
        size = told(lambda info: _bytes(info.stats.total_size_bytes))
        return [
            Column("NAME", lambda name: printable(name), share=1, role=self._role),
            Column("DOCUMENTS", documents, 13, role="number", right=True),
            Column("SIZE", size, 8, role="number", right=True),
            Column("BLOCKS", self._blocks, 9, role="primary", right=True, from_width=52),
            Column("INDEXES", self._indexes, 7, role="secondary", right=True, from_width=62),
            Column("LAST WRITE", told(self._last_write), 11, role="muted", right=True),
        ]

    def _role(self, name: str) -> str:
        known = self.known.get(name)
        return "key" if known is None or known.info is not None else "muted" if known.later else "error"

    def _told(self, name: str, words: Callable[[CollectionInfo], str]) -> str:
        known = self.known.get(name)
        if known is None:
            return NOT_YET
        return words(known.info) if known.info is not None else "—"

    def _blocks(self, name: str) -> str:
        known = self.known.get(name)
        return NOT_YET if known is None else human_count(known.blocks) if known.info is not None else "—"

    def _indexes(self, name: str) -> str:
        known = self.known.get(name)
        return NOT_YET if known is None else human_count(known.indexes) if known.info is not None else "—"

    def _last_write(self, info: CollectionInfo) -> str:
        if not info.stats.document_count:
            return "never"
        return ago(max(0, self.explorer.wall_clock_ms() - info.stats.last_updated * 1000))

    # ── the database comes, grows, goes ──

    def opened(self, collection: AnyCollection) -> None:
        assert self.database is not None
        self.known.use(self.database)
        self._names = ()
        self._list(at=self.explorer.inside or self.database.name)

    def closed(self) -> None:
        self.known.use(None)
        self.table.show(None)
        self.facts.show(None, None)

    def polled(self, moment: Moment) -> None:
        in_background(self, self._renew, group="names", latest=True)

    async def _renew(self) -> None:
        database = self.database
        if database is None:
            return
        try:
            names = await off_loop(database.collection_names)
        except (blockdb.BlockDBError, OSError):
            return  # the application says what is wrong with the database
        if names != self._names:
            self._names = names
            self.table.grown()
        self.known.fill() if self.explorer.as_of is not None else self.known.renew()

    def _list(self, at: str | None = None) -> None:
        assert self.database is not None
        listing = Names(self.database, self.part)
        self.table.show(listing, 0 if at is None else lambda: listing.position(at))
        words = [("Collections", "$text")]
        if self.explorer.as_of is not None:
            words += [(" · as they were; indexes of now", "$warning")]
        if self.part:
            words += [(" › ", "$text-muted"), (printable(self.part), "$role-key")]
        self.table.title = Content.assemble(*words)
        self.table.retitle()

    # ── what is in view ──

    def _in_view(self) -> list[str]:
        table = self.table
        rows = [table.row_at(index) for index in (table.cursor, *range(table.top, table.top + table.rows_in_view))]
        return [name for name in rows if name is not None]

    def _came(self) -> None:
        self.table.refresh()
        self._show_facts()

    @on(VirtualTable.Highlighted, "#collections")
    def _highlighted(self) -> None:
        self._show_facts()
        self.known.fill()

    @on(VirtualTable.Failed, "#collections")
    def _failed(self, event: VirtualTable.Failed) -> None:
        self.explorer.fail("The collections cannot be listed.", event.error)

    def _known(self) -> Known | None:
        return None if self.table.row is None else self.known.get(self.table.row)

    def _show_facts(self) -> None:
        self.facts.show(self.table.row, self._known())

    # ── keys ──

    @on(VirtualTable.Chosen, "#collections")
    def _chosen(self) -> None:
        if self.table.row is not None:
            self.explorer.enter(self.table.row)

    def action_schema(self) -> None:
        """Into the collection, to its schema and indexes."""
        if self.table.row is not None:
            self.explorer.enter(self.table.row, "schema")

    def action_filter(self) -> None:
        """Asks for a part of a name, and lists what fits while it is typed."""
        before = self.part
        self.prompt.ask(
            "Filter by name",
            before,
            changed=self._filter,
            done=self._filter,
            cancelled=lambda: self._filter(before),
        )

    def _filter(self, part: str) -> None:
        if self.database is not None and part != self.part:
            self.part = part
            self._list()

    def action_create(self) -> None:
        """Asks for a name, and makes a collection of that name."""
        if self.explorer.may("Making a collection"):
            self.prompt.ask("Name of the new collection", done=self._create)

    def _create(self, name: str) -> None:
        if name:
            in_background(self, self._do_create, name, group="create")

    async def _do_create(self, name: str) -> None:
        if await self._done(lambda database: database.create_collection(name), f"{name} cannot be made."):
            self.part = ""
            self._list(at=name)
            self.explorer.say(f"{name} was made. Enter goes into it.")

    def action_drop(self) -> None:
        """Asks for the name of the collection under the cursor, and drops it with all that is in it."""
        name, known = self.table.row, self._known()
        if name is None or not self.explorer.may("Dropping a collection"):
            return
        holds = ""
        if known is not None and known.info is not None:
            holds = f" with its {plural(known.info.stats.document_count, 'document')}"
        words = f"Collection {name} is dropped{holds}, its chain and its indexes."
        self.explorer.confirm(name, words, lambda: in_background(self, self._do_drop, name, group="drop"))

    async def _do_drop(self, name: str) -> None:
        explorer = self.explorer
        if explorer.database is not None and explorer.inside == name:
            explorer.use(explorer.database)
        if await self._done(lambda database: database.drop_collection(name), f"{name} cannot be dropped."):
            self.known.forget(name)
            self.table.grown()
            explorer.say(f"{name} was dropped.")

    async def _done(self, work: Callable[[AnyDatabase], object], words: str) -> bool:
        """Whether something could be done to the database; if not, it is said why."""
        origin = self.explorer.origin

        def write() -> None:
            with origin.to_write() as database:
                work(database)

        try:
            await off_loop(write)
        except (blockdb.BlockDBError, OSError, NotImplementedError) as error:
            self.explorer.say(f"{words} {type(error).__name__}: {error}", "error")
            return False
        return True

    def action_copy_id(self) -> None:
        """Copies the id of the collection under the cursor."""
        known = self._known()
        if known is not None and known.info is not None:
            self.explorer.copy(known.info.id.encode(), f"the id of {known.info.name}")

    def step_back(self) -> bool:
        if self.focused is not self.table:
            self.table.focus()
        elif self.part:
            name, self.part = self.table.row, ""
            self._list(at=name)
        else:
            return False
        return True

    def shown_as_command(self) -> str:
        whole, name = self.explorer.whole, self.table.row
        if self.focused is self.facts and name is not None:
            return command_line(whole._replace(collection=name), "stats")
        return command_line(whole, "collection", "list")
