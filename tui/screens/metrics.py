"""The view of the engine at work: rates, latencies, memory, tables and disk, live."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.widget import Widget

import blockdb
from blockdb.commands.display import human_bytes, human_count, human_duration

from ..history import History, Moment
from ..offloop import in_background, off_loop
from ..widgets.activity_panels import LatencyPanel, RatePanel
from ..widgets.alert_bar import AlertBar
from ..widgets.panel import Panel
from ..widgets.storage_panels import MemoryPanel, StoragePanel, TablesPanel
from ..widgets.transaction_panel import TransactionPanel
from .view import View

if TYPE_CHECKING:
    from blockdb import AnyCollection

__all__ = ["MetricsView"]

STEPS = (1, 2, 4, 8, 16)
SAMPLE_S = 0.25

WRITES = """Records stored in a second, by whichever process writes, averaged over the last second. The scale stands \
at the right end of the first line; it moves by steps of 1, 2 and 5."""
READS_THERE = """Gets and scans in a second, whoever asked the server for them; this explorer's own are among them."""
READS = """Gets and scans in a second, as far as they went through this process; this explorer's own are among them. \
What other processes read is not known here."""


def _writes(moment: Moment) -> float:
    return moment.writes_per_s


def _written(moment: Moment) -> str:
    return f"{human_bytes(round(moment.bytes_per_s))}/s"


def _reads(moment: Moment) -> float:
    return moment.reads_per_s


def _misses(moment: Moment) -> str:
    return f"{human_count(moment.statistics.misses)} misses"


class MetricsView(View):
    """Panels on one history; a handle that writes has transactions, too."""

    NAME = "metrics"
    REPLAYS = True
    LIVE = "what the engine does now"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "freeze", "Freeze", key_display="space", id="metrics.freeze"),
        Binding("plus,equals_sign", "span(1)", "Longer", key_display="+", id="metrics.longer"),
        Binding("minus", "span(-1)", "Shorter", key_display="-", id="metrics.shorter"),
        Binding("x", "transactions", "Transactions", id="metrics.transactions"),
        Binding("right,l,down,j", "app.focus_next", "Next panel", show=False, id="metrics.next"),
        Binding("left,h,up,k", "app.focus_previous", "Previous panel", show=False, id="metrics.previous"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._step = 0
        self.frozen = False
        self._whole = False

    def body(self) -> Iterable[Widget]:
        self.first_pane = self.writes = RatePanel("Writes", WRITES, _writes, _written, role="graph1", id="writes")
        self.reads = RatePanel("Reads by this process", READS, _reads, _misses, role="graph4", id="reads")
        self.panels: list[Panel] = [
            self.writes,
            self.reads,
            LatencyPanel("Latency", id="latency"),
            MemoryPanel("Memory and log", id="memory"),
            TablesPanel("Tables", id="tables"),
            StoragePanel("Disk", id="disk"),
        ]
        self.transactions = TransactionPanel("Transactions", id="transactions")
        self.alerts = AlertBar()
        return (self.alerts, Container(*self.panels, self.transactions, id="panels"))

    def opened(self, collection: AnyCollection) -> None:
        self.frozen = False
        if self.explorer.origin.is_server:
            self.reads.border_title, self.reads.help_words = Content("Reads by the server"), READS_THERE
        self.set_class(not collection.read_only, "-writes")
        self._show_whole(False)

    def polled(self, moment: Moment) -> None:
        self.alerts.show(self.explorer.alarms.alerts)
        if not self.frozen:
            self._show()
        if self.database is not None and not self.database.read_only:
            in_background(self, self._look, group="transactions", latest=True)

    async def _look(self) -> None:
        """Sees which transactions are under way, in whatever collections."""
        database = self.database
        if database is None:
            return
        try:
            infos = await off_loop(database.transactions)
            statistics = await off_loop(database.stats)
        except (blockdb.BlockDBError, OSError):
            return  # the application says what is wrong with the database
        if not self.frozen:
            self.transactions.infos, self.transactions.statistics = infos, statistics.transactions
            self.transactions.show(self.explorer.history, STEPS[self._step])

    def _show(self) -> None:
        history = self._history()
        for panel in self.panels:
            panel.show(history, STEPS[self._step])
        self.call_after_refresh(self._titles)  # the width is not known before the first

    def reopened(self, collection: AnyCollection) -> None:
        """What is kept reaches back some minutes; if that is as far as the moment that is looked at, it is shown."""
        self._show()

    def _history(self) -> History:
        """What is kept up to the moment that is looked at; all of it where it does not reach back so far."""
        explorer, standing = self.explorer, self.explorer.past.standing
        if standing is None:
            return explorer.history
        return explorer.history.until(explorer.steady_s() - (explorer.wall_clock_ms() - standing.time_ms) / 1000)

    def _titles(self) -> None:
        words = f"the last {human_duration(2 * self.writes.size.width * SAMPLE_S * STEPS[self._step])}"
        self.writes.entitle("frozen" if self.frozen else words)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A handle that only reads has no transactions."""
        if action == "transactions" and (self.database is None or self.database.read_only):
            return False
        return super().check_action(action, parameters)

    def action_transactions(self) -> None:
        """The transactions over the whole view, and back."""
        self._show_whole(not self._whole)

    def _show_whole(self, whole: bool) -> None:
        self._whole = whole
        self.set_class(whole, "-transactions")
        if whole:
            self.transactions.focus()
        elif self.focused is self.transactions:
            self.writes.focus()

    def step_back(self) -> bool:
        if not self._whole:
            return False
        self._show_whole(False)
        return True

    def action_freeze(self) -> None:
        """Holds the picture still, or lets it go on."""
        self.frozen = not self.frozen
        self._titles()
        if not self.frozen:
            self._show()

    def action_span(self, by: int) -> None:
        """A longer or a shorter stretch of time in the same width."""
        self._step = min(max(self._step + by, 0), len(STEPS) - 1)
        self._show()
