"""The view of transactions and their locks: which are open, who waits for whom, and what became of the last ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget

import blockdb
from blockdb import TransactionInfo
from blockdb.commands.display import human_count, human_duration, plural, printable

from ..drawing import ago
from ..keytext import command_line
from ..offloop import in_background, off_loop
from ..waiting import Infos, outcome_of, short_id, state_of
from ..widgets.transaction_panel import CounterPanel
from ..widgets.virtual_table import Column, VirtualTable
from ..widgets.wait_graph import WaitGraph
from .view import View

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase, TransactionStatistics

__all__ = ["TransactionsView"]

ASK_EVERY_S = 0.5
ELSEWHERE = (
    "Transactions live in the process that writes",
    "Their locks are in its memory, and this explorer reads the directory beside it.",
    "If a server has the database, explore that: blockdb-tui URL",
    "muted",
)


def _collections(info: TransactionInfo) -> str:
    return ", ".join(map(printable, info.collections))


def _waits(info: TransactionInfo) -> str:
    if not info.waits_for:
        return ""
    others = ", ".join(map(short_id, info.waits_for))
    return f"{others}: {printable(info.wanted)}" if info.wanted else others


_ID: Column[TransactionInfo] = Column("ID", lambda info: short_id(info.id), width=8, role="key", right=True)
_LOCKS: Column[TransactionInfo] = Column(
    "LOCKS", lambda info: human_count(info.locks), width=7, role="number", right=True
)
_WRITES: Column[TransactionInfo] = Column(
    "WRITES", lambda info: human_count(info.writes), width=7, role="number", right=True, from_width=44
)
_WHERE: Column[TransactionInfo] = Column("COLLECTIONS", _collections, share=1, role="text", from_width=54)

OPEN: list[Column[TransactionInfo]] = [
    _ID,
    Column("AGE", lambda info: human_duration(info.age_s), width=8, role="text", right=True),
    Column("STATE", lambda info: state_of(info)[0], width=9, role=lambda info: state_of(info)[1]),
    _LOCKS,
    _WRITES,
    _WHERE,
    Column("WAITS FOR", _waits, share=2, role="warning", from_width=70),
]
ENDED: list[Column[TransactionInfo]] = [
    _ID,
    Column("OUTCOME", lambda info: outcome_of(info)[0], width=11, role=lambda info: outcome_of(info)[1]),
    Column("TOOK", lambda info: human_duration(info.age_s), width=8, role="text", right=True),
    Column("ENDED", lambda info: ago(round(info.ended_s * 1000)), width=10, role="muted", right=True, from_width=46),
    _WRITES,
    _LOCKS,
    _WHERE,
]


class OpenTable(VirtualTable[TransactionInfo]):
    """Those that are under way."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Its collection", id="transactions.collection"),
    ]

    HELP = """The transactions that are under way, the oldest first. LOCKS counts locks on keys and on ranges of \
keys: what a transaction has read it has locked shared, what it writes exclusively, until it ends. WRITES is how \
many records it is to store. ◌ one that waits names those that hold what it wants. Plain writes that meet a lock \
wait here as transactions of one. Of a long number the end is shown; c copies all of it.

One that lasts longer than it may gives way to whoever waits for it; where several wait for one another in a circle, \
the youngest of them is aborted. Of a server these are everybody's; in a cluster, a transaction lives on the node \
where it began, and those of one node are shown."""


class EndedTable(VirtualTable[TransactionInfo]):
    """Those that ended last."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Its collection", id="transactions.ended_collection"),
    ]

    HELP = """The transactions that ended last, the newest first, 64 at most: ✓ committed; ✗ aborted, by whoever \
began it or because nobody had it any more; ✗ deadlock, because it and others waited for one another and it was the \
youngest; ✗ timeout, because it lasted longer than it may and somebody waited for it."""


class TransactionsView(View):
    """Counters at the top, then those that are open, and below them waits and endings."""

    NAME = "transactions"
    OF_COLLECTION = False
    LIVE = "transactions as they are now"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "freeze", "Freeze", key_display="space", id="transactions.freeze"),
        Binding("c", "copy_id", "Copy id", id="transactions.copy_id"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.frozen = False
        self._refused = ""
        self._under_way, self._ended = Infos(), Infos()
        self._asking = False

    def body(self) -> Iterable[Widget]:
        self.first_pane = self.open = OpenTable(OPEN, empty="No transaction is under way.", id="tx-open")
        self.ended = EndedTable(ENDED, empty="None has ended since it was opened.", id="tx-ended")
        self.graph = WaitGraph(id="tx-waits")
        self.counters = CounterPanel("Locks", id="tx-counters")
        self.counters.can_focus = False
        return self.counters, self.open, Horizontal(self.graph, self.ended, id="tx-below")

    # ── where they are ──

    def instead(self) -> tuple[str, str, str, str] | None:
        database = self.database
        if database is None:
            return super().instead()
        if self._refused:
            return (
                "The server does not show transactions",
                self._refused,
                "It takes a token that may audit: blockdb token create --help",
                "muted",
            )
        return ELSEWHERE if database.read_only and not self.explorer.origin.is_server else None

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(ASK_EVERY_S, self.ask)

    def opened(self, collection: AnyCollection) -> None:
        self._refused, self.frozen = "", False
        self._under_way, self._ended = Infos(), Infos()
        self.open.show(self._under_way)
        self.ended.show(self._ended)
        self._titles()
        self.show_connection()
        self.ask()

    def closed(self) -> None:
        self.open.show(None)
        self.ended.show(None)
        self.graph.show(())

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.ask()

    # ── asking ──

    def ask(self) -> None:
        """Asks what there is, while somebody looks."""
        if self.is_current and self.instead() is None and not (self.frozen or self._asking):
            self._asking = True  # at once, or a second one asks before the first does
            in_background(self, self._ask, self.database, group="transactions")

    async def _ask(self, database: AnyDatabase) -> None:
        try:
            open_ones, ended, statistics = await off_loop(_look, database)
        except blockdb.Forbidden as error:
            self._refused = printable(str(error))
            self.show_connection()
            return
        except (blockdb.BlockDBError, OSError):
            return  # the application says what is wrong with the database
        finally:
            self._asking = False
        if database is self.database and not self.frozen:
            self._take(open_ones, ended, statistics)

    def _take(
        self, open_ones: Sequence[TransactionInfo], ended: Sequence[TransactionInfo], statistics: TransactionStatistics
    ) -> None:
        if open_ones or self._under_way.rows:
            self._under_way.rows = open_ones
            self.open.grown()
        if ended or self._ended.rows:
            self._ended.rows = ended
            self.ended.grown()
        self.graph.show(open_ones)
        self.counters.statistics = statistics
        self.counters.show(self.explorer.history, 1)
        self._titles()

    def _titles(self) -> None:
        words = [("Open transactions", "$text")]
        if self.explorer.scene is not None:
            words.append((" · of the node that answers", "$text-muted"))
        if self.frozen:
            words.append((" · frozen", "$warning"))
        self.open.title = Content.assemble(*words)
        self.open.retitle()
        self.ended.title = Content("Ended lately")
        self.ended.retitle()

    @on(VirtualTable.Highlighted, "#tx-ended")
    def _moved(self) -> None:
        self.ended.follow_first = not self.ended.cursor  # at the top one stays with the newest

    # ── keys ──

    def action_freeze(self) -> None:
        """Holds the picture still, or lets it go on."""
        self.frozen = not self.frozen
        self._titles()
        self.ask()

    def _chosen_one(self) -> TransactionInfo | None:
        return self.ended.row if self.focused is self.ended else self.open.row

    def action_copy_id(self) -> None:
        """Copies the number of the transaction under the cursor."""
        info = self._chosen_one()
        if info is not None:
            self.explorer.copy(str(info.id).encode(), f"the number {info.id}")

    @on(VirtualTable.Chosen)
    def _enter(self) -> None:
        info = self._chosen_one()
        if info is None or not info.collections:
            self.explorer.say("It has not touched a collection yet.", "warning")
            return
        if len(info.collections) > 1:
            self.explorer.say(f"It touches {plural(len(info.collections), 'collection')}; this is the first.")
        self.explorer.enter(info.collections[0])

    def step_back(self) -> bool:
        if self.focused is self.open or self.instead() is not None:
            return False
        self.open.focus()
        return True

    def shown_as_command(self) -> str:
        ended = ("--ended",) if self.focused is self.ended else ()
        return command_line(self.explorer.whole, "transactions", *ended)


def _look(
    database: AnyDatabase,
) -> tuple[Sequence[TransactionInfo], Sequence[TransactionInfo], TransactionStatistics]:
    return database.transactions(), database.recent_transactions(), database.stats().transactions
