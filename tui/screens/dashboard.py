"""The dashboard: how the database is, what it does and what happened, at one glance; each panel opens its full view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.dom import DOMNode
from textual.widget import Widget

import blockdb
from blockdb.commands.display import human_count

from ..acts import Acts
from ..chronicle import Chronicle, Event, of_act
from ..health import checks, verdict
from ..history import Moment
from ..keytext import command_line
from ..largest import Largest
from ..offloop import in_background, off_loop
from ..widgets.activity_panels import FlowPanel, LatencyPanel, RatePanel
from ..widgets.alert_bar import AlertBar
from ..widgets.belt import Belt
from ..widgets.brief_panels import AlertsPanel, ClusterPanel, EventsPanel, HealthPanel, LargestPanel
from ..widgets.panel import Panel, rate_text
from ..widgets.storage_panels import HoldingsPanel
from .view import View

if TYPE_CHECKING:
    from blockdb import AnyCollection, Block, Database, Statistics
    from blockdb.commands.recordings.events import Event as Recorded

    from ..cluster.scene import Scene

__all__ = ["DashboardView"]

SLOW_EVERY = 4
"""Words are looked at every so many moments, graphs at each."""
LOOK_EVERY_S = 1.0
OLD_BLOCKS = 8
"""So many of the blocks that were sealed before are told of."""
SHORT = 20
"""Below so many lines there is room for two rows of panels."""

BYTES = """Bytes of keys and values stored in a second, by whichever process writes, averaged over the last second."""


def _bytes(moment: Moment) -> float:
    return moment.bytes_per_s


def _writes(moment: Moment) -> str:
    return f"{rate_text(moment.writes_per_s)} records/s"


class SmallBelt(Belt):
    """The newest blocks, and the open one filling."""

    HELP_TITLE = "The chain"

    def on_mount(self) -> None:
        self.border_title = Content("Chain")

    def grown(self, statistics: Statistics, now_ms: int) -> None:
        """Takes a snapshot, and paints only if there is something new in it."""
        if self.sealed != statistics.blocks:
            self.border_subtitle = Content(f"{human_count(statistics.blocks)} sealed")
        super().grown(statistics, now_ms)


class DashboardView(View):
    """Rows of panels. What waits runs off the loop; what has not changed is not drawn."""

    NAME = "dashboard"
    REPLAYS = True
    LIVE = "what the database does now"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="dashboard.open"),
        Binding("right,l,down,j", "app.focus_next", "Next panel", show=False, id="dashboard.next"),
        Binding("left,h,up,k", "app.focus_previous", "Previous panel", show=False, id="dashboard.previous"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.chronicle = Chronicle()
        self._largest: Largest | None = None
        self._acts: Acts | None = None
        self._until_slow = 0
        self._looking: Largest | None = None

    def body(self) -> Iterable[Widget]:
        self.first_pane = self.health = HealthPanel("Health", id="dash-health")
        self.flow = FlowPanel("Writes and reads", id="dash-flow")
        self.bytes = RatePanel("Bytes stored", BYTES, _bytes, _writes, role="graph2", id="dash-bytes")
        self.chain = SmallBelt(id="dash-chain")
        self.latency = LatencyPanel("Latency", id="dash-latency")
        self.holdings = HoldingsPanel("Memory and disk", id="dash-holdings")
        self.nodes = ClusterPanel("Cluster", id="dash-cluster")
        self.alerts = AlertsPanel("Alerts", id="dash-alerts")
        self.events = EventsPanel("What happened", id="dash-events")
        self.largest = LargestPanel("Largest collections", id="dash-largest")
        self.alert_bar = AlertBar()
        self.opens: dict[DOMNode, str] = {
            self.health: "metrics",
            self.flow: "metrics",
            self.bytes: "metrics",
            self.chain: "blocks",
            self.latency: "metrics",
            self.holdings: "metrics",
            self.nodes: "cluster",
            self.alerts: "metrics",
            self.events: "acts",
            self.largest: "collections",
        }
        return (
            self.alert_bar,
            Horizontal(self.health, self.flow, self.bytes, id="dash-top"),
            Horizontal(self.chain, id="dash-middle"),
            Horizontal(self.latency, self.holdings, self.nodes, id="dash-engine"),
            Horizontal(self.alerts, self.events, self.largest, id="dash-bottom"),
        )

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(LOOK_EVERY_S, self.look)
        self.staged()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.height < SHORT, "-short")

    # ── the database comes, grows, goes ──

    def instead(self) -> tuple[str, str, str, str] | None:
        replay = self.explorer.replay
        if replay is not None and not replay.recording.has_metrics:
            return (
                "The recording has no figures",
                "It tells what the nodes of a cluster did.",
                "8 shows that.",
                "muted",
            )
        return super().instead()

    def opened(self, collection: AnyCollection) -> None:
        self._until_slow = 0
        self.chain.open(collection)
        database = self.database
        if database is not None and (self._largest is None or self._largest.database is not database):
            self._largest = Largest(database)
            self._acts = None if self.explorer.origin.is_server else Acts(cast("Database", database))
        self.chronicle = Chronicle()
        in_background(self, self._begin, collection, self.chronicle, group="begin", latest=True)
        self.look()

    def closed(self) -> None:
        self.chain.open(None)
        self._largest = self._acts = None

    def resumed(self) -> None:
        super().resumed()
        self.chain.again()

    def on_screen_resume(self) -> None:
        self._until_slow = 0
        super().on_screen_resume()
        self.look()

    def staged(self) -> None:
        """The cluster has a panel where there is one."""
        super().staged()
        self.set_class(self.explorer.scene is not None, "-staged")

    def show_verification(self) -> None:
        super().show_verification()
        self._show_words()

    def replayed(self) -> None:
        self.add_class("-replay")
        self._until_slow = 0
        super().replayed()

    def polled(self, moment: Moment) -> None:
        for panel in (self.flow, self.bytes, self.latency):
            self._show(panel)
        if moment.statistics.partitions == 1 and not self.is_replaying:
            self.chain.grown(moment.statistics, self.explorer.wall_clock_ms())
        if self._until_slow <= 0:
            self._until_slow = SLOW_EVERY
            self._show(self.holdings)
            self._show_words()
        self._until_slow -= 1

    def _show(self, panel: Panel) -> None:
        if panel.display:
            panel.show(self.explorer.history, 1)

    # ── words ──

    def _show_words(self) -> None:
        explorer = self.explorer
        now_ms = explorer.wall_clock_ms()
        if explorer.replay is None:
            self.chronicle.catch_up(explorer.history, explorer.steady_s(), now_ms)
            self.chronicle.hear(explorer.alarms.alerts, now_ms)
        self.health.checks = found = checks(explorer)
        summary = verdict(found)
        self.health.entitle(f"{summary.glyph} {summary.word}")
        self.alerts.alerts, self.alerts.unknown = explorer.alarms.alerts, explorer.alarms.unknown
        self.alert_bar.show(explorer.alarms.alerts if self.has_class("-narrow") else ())
        self.events.events = self.chronicle.newest(self._others(), max(1, self.events.size.height))
        self.nodes.sample = None if explorer.scene is None else explorer.scene.now
        if self._largest is not None:
            self.largest.sizes, self.largest.total = self._largest.sizes, self._largest.total
            self.largest.entitle(f"{human_count(self._largest.total)} in all")
        for panel in (self.health, self.alerts, self.events, self.nodes, self.largest):
            self._show(panel)

    def _others(self) -> list[Event]:
        """What others than the engine tell: the newest of the audit log, and of the cluster."""
        most = max(1, self.events.size.height)
        acts = [] if self._acts is None else [of_act(act) for act in self._acts.newest(failed=False)[:most]]
        scene, replay = self.explorer.scene, self.explorer.replay
        if scene is None and replay is None:
            return acts
        from blockdb.commands.recordings.events import told_of  # here: the start does not wait for it

        told: Sequence[Recorded] = [] if scene is None else scene.story.events[-most:]
        if replay is not None:
            told = replay.recording.events[: replay.recording.events_to(replay.playhead.time_ms)][-most:]
        nodes = [
            Event(
                one.time_ms,
                one.shown.glyph,
                one.shown.word,
                one.shown.role,
                told_of(one),
            )
            for one in told
        ]
        return [*acts, *nodes]

    # ── what waits ──

    def look(self) -> None:
        """Looks at what no snapshot tells, while somebody looks at this."""
        if not self.is_current:
            return
        self._tick()
        if self._largest is not None and self._looking is not self._largest:
            self._looking = self._largest  # now, or a second one looks before the first does
            in_background(self, self._look, self._largest, self._acts, group="dashboard")

    def _tick(self) -> None:
        """Asks the nodes, unless the view of the cluster does."""
        scene: Scene | None = self.explorer.scene
        if scene is not None and not any(view.NAME == "cluster" for view in self.explorer.views()):
            scene.tick()

    async def _begin(self, collection: AnyCollection, chronicle: Chronicle) -> None:
        """Finds out which blocks were sealed last, before the first moment that is known."""
        moments = self.explorer.history.moments

        def newest() -> list[Block]:
            sealed = moments[0].statistics.blocks if moments else 0
            return list(collection.blocks(max(0, sealed - OLD_BLOCKS), min(sealed, OLD_BLOCKS)))

        try:
            chronicle.begin(await off_loop(newest))
        except (blockdb.BlockDBError, OSError):
            return  # the application says what is wrong with the database
        self._show_words()

    async def _look(self, largest: Largest, acts: Acts | None) -> None:
        try:
            await off_loop(largest.look)
            if acts is not None:
                await off_loop(acts.read)
        except (blockdb.BlockDBError, OSError):
            self._acts = None if acts is self._acts else self._acts
            return  # the application says what is wrong with the database, the view of acts what is with the log
        finally:
            if self._looking is largest:
                self._looking = None
        if largest is self._largest:
            self._show_words()

    # ── keys ──

    def action_open(self) -> None:
        """Opens the view that the panel is a part of."""
        if self.focused is not None:
            self._open(self.focused)

    def _open(self, panel: Widget) -> None:
        mode = self.opens.get(panel)
        if panel is self.chain:
            self.explorer.visit_block(self.chain.selected)
        elif mode is not None:
            if panel is self.events and self.explorer.scene is not None:
                mode = "cluster"
            in_background(self, self._visit, mode, group="visit", latest=True)

    async def _visit(self, mode: str) -> None:
        await self.explorer.visit(mode)

    def on_click(self, event: events.Click) -> None:
        if isinstance(event.widget, Widget) and event.widget in self.opens:
            self._open(event.widget)

    @on(Belt.Failed)
    def _failed(self, event: Belt.Failed) -> None:
        self.explorer.fail("The chain cannot be read.", event.error)

    def shown_as_command(self) -> str:
        if self.focused is self.largest:
            return command_line(self.explorer.whole, "collection", "list")
        if self.focused is self.nodes:
            return command_line(self.explorer.whole, "cluster", "status")
        return command_line(self.explorer.target, "stats")
