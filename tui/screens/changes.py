"""The view of changes: what is being stored, as it is stored, and where in the chain it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget

import blockdb
from blockdb.commands.display import human_bytes, human_count, human_time, plural, printable
from blockdb.commands.trust import LEGEND, Trust, read

from ..changes import Changed, Newest, Stream
from ..drawing import short_hash
from ..keytext import command_line, get_command
from ..listing import REDACTED
from ..marks import trust_column
from ..offloop import in_background, off_loop
from ..reading import read_into
from ..widgets.value_view import ValueView
from ..widgets.virtual_table import Column, VirtualTable
from .view import View

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase

    from ..history import Moment

__all__ = ["ChangesView"]

SHOWN_EVERY_S = 0.1
MOST_COLLECTIONS = 200
"""So many are followed at once: each has to be open for that."""


def _place(row: Changed) -> str:
    return f"{human_count(row.block)} · {human_count(row.index)}"


_TIME: Column[Changed] = Column(
    "TIME", lambda row: human_time(row.time_ms)[11:23], width=12, role="muted", from_width=60
)
_COLLECTION: Column[Changed] = Column(
    "COLLECTION", lambda row: printable(row.collection), width=14, role="accent", from_width=40
)
_REST: list[Column[Changed]] = [
    Column("SEQUENCE", lambda row: human_count(row.sequence), width=11, role="secondary", right=True),
    Column("BLOCK · PLACE", _place, width=13, role="primary", right=True, from_width=56),
    Column("KEY", lambda row: printable(row.key[:400]), share=1, role="key"),
    Column(
        "VALUE",
        lambda row: row.trouble or printable(row.preview),
        share=1,
        role=lambda row: "muted" if row.trouble == REDACTED else "text",
        from_width=90,
    ),
    Column("SIZE", lambda row: human_bytes(row.size), width=8, role="number", right=True, from_width=50),
    Column("LEAF HASH", lambda row: short_hash(row.leaf, 16), width=16, role="secondary", from_width=150),
]
OF_ONE = [_TIME, *_REST]
OF_ALL = [_TIME, _COLLECTION, *_REST]


class ChangeTable(VirtualTable[Changed]):
    """The table of the view."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Its record", id="changes.open"),
    ]

    HELP = (
        """What is stored, the newest first, by whichever process: each change with its sequence number, its block \
and the place in it, and on a wide screen its leaf hash in the Merkle tree. The table stays on the newest until the \
cursor is moved; f goes back to it.

Space holds the stream still; nothing is lost by that, for it is read from the chain. The newest 2,000 are kept here. \
Whoever comes back after so long that more than those have come begins near the end, and is told how many were passed \
over.

"""
        + LEGEND
    )


class ChangesView(View):
    """The stream of one collection or of all, and the value of the change under the cursor."""

    NAME = "changes"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Pause", key_display="space", id="changes.pause"),
        Binding("f", "follow", "Follow", id="changes.follow"),
        Binding("a", "all", "All/this one", id="changes.all"),
        Binding("b", "to_block", "Its block", id="changes.block"),
        Binding("P", "prove", "Proof", id="changes.prove"),
        Binding("c", "copy_key", "Copy key", id="changes.copy_key"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.paused = False
        self.of_all = False
        self.stream: Stream | None = None
        self._ticking: Timer | None = None
        self._shown = (-1, 0)
        self._wanted: Changed | None = None
        self._left_out = 0
        self._followed: dict[str, AnyCollection] = {}

    def body(self) -> Iterable[Widget]:
        self._trust: Column[Changed] = trust_column(self._trust_of)
        self.first_pane = self.table = ChangeTable(
            [self._trust, *OF_ONE], empty="Nothing was stored yet.", id="changes"
        )
        self.value = ValueView(id="value")
        return self.table, self.value

    # ── the stream comes and goes ──

    def on_mount(self) -> None:
        self._ticking = self.set_interval(SHOWN_EVERY_S, self.show_new)

    def opened(self, collection: AnyCollection) -> None:
        in_background(self, self._follow, group="stream", latest=True)

    def closed(self) -> None:
        self._let_go()
        self.table.show(None)
        self.value.show(None)

    def forget(self) -> None:
        self.of_all = self.paused = False

    def on_unmount(self) -> None:
        self._let_go()

    def on_screen_suspend(self) -> None:
        """While another view is in front nothing is read."""
        if self.stream is not None:
            self.stream.look(False)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.stream is not None:
            self.stream.look(not self.paused)

    def _let_go(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.stop()

    async def _follow(self) -> None:
        database, collection = self.database, self.collection
        if database is None or collection is None:
            return
        self._let_go()
        if self.of_all:
            try:
                followed, self._left_out = await off_loop(_all_of, database)
            except (blockdb.BlockDBError, OSError) as error:
                self.explorer.fail("The changes cannot be followed.", error)
                return
        else:
            followed, self._left_out = {collection.name: collection}, 0
        try:
            then = await off_loop(self._counts_then, followed)
        except (blockdb.BlockDBError, OSError) as error:
            self.explorer.fail("The changes cannot be followed.", error)
            return
        if database is not self.database or collection is not self.collection:
            return
        self._followed = followed
        self.stream = Stream(followed, then)
        self._shown = (-1, 0)
        self.table.follow_first = True
        self.table.show(Newest(self.stream), columns=[self._trust, *(OF_ALL if self.of_all else OF_ONE)])
        self.stream.start()
        self.stream.look(not self.paused and self.is_current)
        self._titles()

    def _counts_then(self, followed: Mapping[str, AnyCollection]) -> dict[str, tuple[int, ...]] | None:
        """How many records the collections had at the moment that is looked at; None for now."""
        if self.explorer.as_of is None:
            return None
        counts = {}
        for name, collection in followed.items():
            standing = self.explorer.past.standing_in(collection)
            counts[name] = () if standing is None else standing.counts
        return counts

    def _trust_of(self, row: Changed) -> Trust:
        collection = self._followed.get(row.collection)
        return read() if collection is None else self.explorer.trusting.of_row(collection, row.key, row.block)

    def show_verification(self) -> None:
        super().show_verification()
        if not self.explorer.verification.running:
            self._highlighted()

    def show_new(self) -> None:
        """Shows what has come since it was last asked for."""
        stream = self.stream
        if stream is None or not self.is_current:
            return
        if stream.trouble is not None:
            error, stream.trouble = stream.trouble, None
            self.explorer.fail("The changes cannot be followed.", error)
        if self._shown != (now := (stream.came, stream.passed_over)):
            self._shown = now
            self.table.grown()
            self._titles()

    def resumed(self) -> None:
        super().resumed()
        self._highlighted()

    def polled(self, moment: Moment) -> None:
        pass

    def _titles(self) -> None:
        stream, table = self.stream, self.table
        words = [("Changes of all collections" if self.of_all else "Changes", "$text")]
        if self.explorer.as_of is not None:
            words.append((" · up to then", "$warning"))
        elif self.paused:
            words.append((" · paused", "$warning"))
        elif table.follow_first:
            words.append((" · following", "$accent"))
        if stream is not None and stream.passed_over:
            words.append((f" · {plural(stream.passed_over, 'change')} passed over", "$warning"))
        if self._left_out:
            words.append((f" · without {plural(self._left_out, 'collection')}", "$warning"))
        table.title = Content.assemble(*words)
        table.retitle()

    # ── the change under the cursor ──

    @on(VirtualTable.Highlighted, "#changes")
    def _highlighted(self) -> None:
        table = self.table
        if table.cursor and table.follow_first:
            table.follow_first = False
            self._titles()
        self._wanted = table.row
        if table.row is not None:
            in_background(self, self._read, table.row, group="record", latest=True)
        elif not table.total:
            self.value.show(None)

    async def _read(self, row: Changed) -> None:
        database = self.database
        if database is None:
            return
        try:
            collection = await off_loop(database.collection, row.collection)
        except (blockdb.BlockDBError, OSError) as error:
            if not self.explorer.missed(error):
                self.value.show(None, printable(f"{type(error).__name__}: {error}"))
            return
        await read_into(
            self.value,
            collection,
            row.key,
            explorer=self.explorer,
            is_wanted=lambda: row is self._wanted,
            beside=self.table,
        )

    # ── keys ──

    def action_pause(self) -> None:
        """Holds the stream still, or reads on where it stood."""
        self.paused = not self.paused
        if self.stream is not None:
            self.stream.look(not self.paused)
        self._titles()

    def action_follow(self) -> None:
        """Back to the newest change, to stay there; or no longer."""
        self.table.follow_first = not self.table.follow_first
        if self.table.follow_first:
            self.table.move_to(0)
        self._titles()

    def action_all(self) -> None:
        """Follows all collections, or this one alone."""
        if self.collection is not None:
            self.of_all = not self.of_all
            self.opened(self.collection)

    @on(VirtualTable.Chosen, "#changes")
    def _chosen(self) -> None:
        if (row := self.table.row) is not None:
            self.explorer.visit_key(row.key, collection=row.collection)

    def action_to_block(self) -> None:
        """Goes to the block that holds the record."""
        if (row := self.table.row) is not None:
            self.explorer.visit_block(row.block, row.sequence, collection=row.collection)

    def action_prove(self) -> None:
        """Walks the proof of the record under the cursor."""
        if (row := self.table.row) is not None:
            self.explorer.prove(row.key, row.collection)

    def chosen_key(self) -> bytes | None:
        return None if self.table.row is None else self.table.row.key

    def step_back(self) -> bool:
        if self.focused is not self.value:
            return False
        self.table.focus()
        return True

    def shown_as_command(self) -> str:
        row = self.table.row
        if self.focused is self.value and row is not None:
            return get_command(self.explorer.target_of(row.collection), row.key)
        return command_line(self.explorer.target, "watch")


def _all_of(database: AnyDatabase) -> tuple[dict[str, AnyCollection], int]:
    """The collections that are followed together, and how many are not."""
    names = database.collection_names()
    return {name: database.collection(name) for name in names[:MOST_COLLECTIONS]}, max(0, len(names) - MOST_COLLECTIONS)
