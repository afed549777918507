"""What the dashboard tells in brief: how the database is, what happened, its cluster, its largest collections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.strip import Strip

from blockdb.commands.display import human_bytes, human_count, human_time, plural, printable

from ..chronicle import Event
from ..drawing import bar, fit
from ..health import Check
from ..history import Moment
from .lane_table import state_of
from .panel import Panel, Pieces

if TYPE_CHECKING:
    from blockdb.alerts import Alert
    from blockdb.commands.recordings.lanes import Lane, Sample

__all__ = ["AlertsPanel", "ClusterPanel", "EventsPanel", "HealthPanel", "LargestPanel", "Size"]

Size = tuple[str, int, int]
"""The name of a collection, its records, and their bytes."""

LABEL, WORD = 13, 15
NARROW = 44
"""Below so many cells a detail that does not fit is left out rather than cut."""


class HealthPanel(Panel):
    """One line for each check."""

    HELP = """How the database is. alerts: what the rules of [alerts] in the configuration found. integrity: whether \
the chain was recomputed here (v does it), or by the scrubber. writes: whether they are taken, and how full the open \
block is. Below, as there is room: the cluster, flushing and compacting, the scrubber, transactions. Enter lists \
alerts and rates."""

    checks: Sequence[Check] = ()

    def rows(self, now: Moment, width: int, height: int) -> list[Strip]:
        return [self.line(_checked(check, width), width) for check in self.checks[:height]]


def _checked(check: Check, width: int) -> Pieces:
    label, word = (LABEL, WORD) if width >= NARROW else (10, 13)
    fits = width >= NARROW or cell_len(check.detail) < width - label - word - 3
    return [
        (f" {check.name:<{label}}", "muted"),
        (f"{check.glyph} ", check.role),
        (fit(check.word, word) if fits and check.detail else check.word, check.role),
        (f" {check.detail}" if fits else "", "muted"),
    ]


class AlertsPanel(Panel):
    """The alerts that are on, two lines each where there is room."""

    HELP = """What somebody should look at now, critical things first. The rules are those of [alerts] in the \
configuration; a server is asked, of a directory they are looked at here. Enter goes to the metrics behind them."""

    alerts: Sequence[Alert] = ()
    unknown = ""
    """Why it is not known whether there are any."""

    def rows(self, now: Moment, width: int, height: int) -> list[Strip]:
        if not self.alerts:
            told = (f" · {self.unknown}", "muted") if self.unknown else (" ✓ no alert is on", "success")
            return [self.line([told], width)]
        lines: list[Pieces] = []
        for alert in self.alerts:
            role = "error" if alert.severity == "critical" else "warning"
            subject = f" {printable(alert.subject)}" if alert.subject else ""
            since = f"  since {human_time(alert.since_ms)[11:16]}"
            lines.append([(f" ✗ {printable(alert.name)}{subject}", role), (since, "muted")])
            lines.append([(f"   {printable(alert.message)}", "text")])
        if len(lines) > height:
            lines = [*lines[: height - 1], [(f" and more: {plural(len(self.alerts), 'alert')} in all", "muted")]]
        return [self.line(pieces, width) for pieces in lines]


class EventsPanel(Panel):
    """What happened, the newest first."""

    HELP = """What happened lately, the newest first: ▣ blocks that were sealed, ▼ tables that were flushed or \
merged, ! writes that stalled or were refused, ⇄ transactions that gave way, ✗ ✓ alerts that began and ended, » what \
the audit log entered, and what the nodes of a cluster told. Times are of the day, UTC. Enter goes where they come \
from: to the cluster, or to the audit log."""

    events: Sequence[Event] = ()

    def rows(self, now: Moment, width: int, height: int) -> list[Strip]:
        if not self.events:
            return [self.line([(" Nothing has happened since this view was first looked at.", "muted")], width)]
        return [self.line(_told(event, width), width) for event in self.events[:height]]


def _told(event: Event, width: int) -> Pieces:
    word = event.word if width < NARROW else fit(event.word, 9)
    return [
        (f" {human_time(event.time_ms)[11:19]} ", "muted"),
        (f"{event.glyph} {word} ", event.role),
        (event.text, "text"),
    ]


class ClusterPanel(Panel):
    """The nodes in brief: what each is, how far it is behind, whether its chain is that of the others."""

    HELP = """The nodes of the cluster: what each is, how many agreed entries it has not applied yet, and whether it \
has sealed the same blocks as the others (= agrees, ≠ DIFFERS, · not compared yet). Enter shows them over time."""

    sample: Sample | None = None

    def rows(self, now: Moment, width: int, height: int) -> list[Strip]:
        lanes = self.sample.lanes if self.sample is not None else ()
        if not lanes:
            return [self.line([(" No node has answered yet.", "muted")], width)]
        shown = lanes if len(lanes) <= height else lanes[: height - 1]
        rows = [self.line(_lane(lane), width) for lane in shown]
        if left := len(lanes) - len(shown):
            rows.append(self.line([(f" and {plural(left, 'node')} more", "muted")], width))
        return rows


def _lane(lane: Lane) -> Pieces:
    glyph, word, role = state_of(lane)
    chain = {True: ("= agrees", "success"), False: ("≠ DIFFERS", "error"), None: ("· unknown", "muted")}[lane.agrees]
    behind = f"lag {human_count(lane.lag, compact=lane.lag >= 10_000)}"
    return [
        (f" {fit(printable(lane.id), 7)} ", "key"),
        (fit(f"{glyph} {word}", 12), role),
        (f" {fit(chain[0], 10)}", chain[1]),
        (f" {behind}", "warning" if lane.lag else "muted"),
    ]


class LargestPanel(Panel):
    """The collections with the most records."""

    HELP = """The collections with the most records, each with its bytes; the bars compare the records. They are \
looked at one after the other, a few every second, 64 of them at most. Enter lists all collections."""

    sizes: Sequence[Size] = ()
    total = 0

    def rows(self, now: Moment, width: int, height: int) -> list[Strip]:
        if not self.sizes:
            return [self.line([(" ···", "muted")], width)]
        most = max(1, self.sizes[0][1])
        return [self.line(_sized(size, most, width), width) for size in self.sizes[:height]]


def _sized(size: Size, most: int, width: int) -> Pieces:
    """A line: the name and the count, and as there is room the bytes, and a bar."""
    name = min(24, max(10, width // 3) if width >= 36 else width - 14)
    pieces: Pieces = [(f" {fit(printable(size[0]), name)} ", "key"), (f"{human_count(size[1]):>11} ", "text")]
    room = width - name - 25
    if room >= 0:
        pieces.append((f"{human_bytes(size[2]):>9} ", "number"))
    return [*pieces, (bar(size[1] / most, room), "graph1")] if room >= 4 else pieces
