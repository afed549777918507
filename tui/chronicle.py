"""What happened lately, told from what is known anyway: differences of snapshots, alerts, acts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from blockdb.commands.display import human_bytes, human_count, plural, printable

from .acts import is_failure

if TYPE_CHECKING:
    from blockdb import Act, Block, Statistics
    from blockdb.alerts import Alert

    from .history import History

__all__ = ["Chronicle", "Event", "between", "of_act", "of_block"]

KEPT = 200


class Event(NamedTuple):
    """Something that happened, at a time of day in Unix milliseconds. All its words are fit to be shown."""

    time_ms: int
    glyph: str
    word: str
    role: str
    text: str = ""


class Chronicle:
    """The newest events. Nothing here waits."""

    def __init__(self) -> None:
        self.events: deque[Event] = deque(maxlen=KEPT)
        """In the order in which they were noticed."""
        self._history: History | None = None
        self._added = 0
        self._alerts: dict[tuple[str, str], Alert] = {}

    def catch_up(self, history: History, now_s: float, now_ms: int) -> None:
        """Takes what the moments say that came since the last time; `now_s` is of their clock, `now_ms` of the day."""
        if history is not self._history:
            self._history, self._added = history, 0
        fresh = min(history.added - self._added, len(history.moments))
        self._added = history.added
        moments = list(history.moments)[-fresh - 1 :] if fresh else []
        for before, now in pairwise(moments):
            time_ms = now_ms - round((now_s - now.time_s) * 1000)
            self.events.extend(between(before.statistics, now.statistics, time_ms))

    def begin(self, blocks: Iterable[Block]) -> None:
        """Takes blocks that were sealed before anybody looked."""
        self.events.extendleft(reversed([of_block(block) for block in blocks]))

    def hear(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Takes the alerts that are on: those that are new began, those that are missing have ended."""
        on = {alert.key: alert for alert in alerts}
        for key, alert in on.items():
            if key not in self._alerts:
                role = "error" if alert.severity == "critical" else "warning"
                self.events.append(Event(alert.since_ms, "✗", "alert", role, _of(alert)))
        for key, alert in self._alerts.items():
            if key not in on:
                self.events.append(Event(now_ms, "✓", "calm", "success", f"{printable(alert.name)} has ended"))
        self._alerts = on

    def newest(self, others: Iterable[Event], limit: int) -> list[Event]:
        """These and `others` together, the newest first."""
        found = sorted((*self.events, *others), key=lambda event: event.time_ms)
        return found[: -limit - 1 : -1]


def _of(alert: Alert) -> str:
    return printable(
        f"{alert.name} {alert.subject}: {alert.message}" if alert.subject else f"{alert.name}: {alert.message}"
    )


def between(before: Statistics, now: Statistics, time_ms: int) -> Iterator[Event]:
    """What must have happened between two snapshots."""
    if now.blocks > before.blocks:
        first, last = before.blocks, now.blocks - 1
        which = f"block {human_count(last)}" if first == last else f"blocks {human_count(first)} … {human_count(last)}"
        count = plural((last - first + 1) * now.blockchain_batch_size, "record")
        yield Event(time_ms, "▣", "sealed", "primary", f"{which} · {count}")
    known = {table.name for table in before.tables}
    for table in now.tables:
        if table.name not in known:
            word, role = ("merged", "secondary") if table.tier else ("flushed", "graph2")
            what = f"{plural(table.records, 'key')} into {printable(table.name)}, {human_bytes(table.size_bytes)}"
            yield Event(time_ms, "▼", word, role, what)
    yield from _troubles(before, now, time_ms)


def _troubles(before: Statistics, now: Statistics, time_ms: int) -> Iterator[Event]:
    if now.duplicates > before.duplicates:
        yield Event(time_ms, "!", "refused", "warning", plural(now.duplicates - before.duplicates, "duplicate key"))
    if now.stalls > before.stalls:
        yield Event(time_ms, "!", "stalled", "warning", "writes wait for a memtable to be flushed")
    counts = (("deadlock", "warning"), ("timeout", "warning"))
    for name, role in counts:
        came = getattr(now.transactions, f"{name}s") - getattr(before.transactions, f"{name}s")
        if came > 0:
            yield Event(time_ms, "⇄", name, role, f"{plural(came, 'transaction')} aborted")
    for name, word in (("writes_stopped", "stopped"), ("background_failure", "failing")):
        said = getattr(now, name)
        if said is not None and getattr(before, name) is None:
            yield Event(time_ms, "✗", word, "error", printable(said))
    if now.scrub.passes > before.scrub.passes:
        yield Event(time_ms, "✓", "scrubbed", "success", f"pass {human_count(now.scrub.passes)} is done")
    if len(now.scrub.problems) > len(before.scrub.problems):
        yield Event(time_ms, "✗", "damaged", "error", printable(now.scrub.problems[-1]))


def of_block(block: Block) -> Event:
    """The sealing of a block, as far as its header tells: when its last record came."""
    words = f"block {human_count(block.number)} · {plural(block.count, 'record')}"
    return Event(block.last_time_ms, "▣", "sealed", "primary", words)


def of_act(act: Act) -> Event:
    """An entry of the audit log as an event."""
    from blockdb.commands.audit_log import act_keys  # here: the start does not wait for it

    where = f" in {printable(act.collection)}" if act.collection else ""
    keys = act_keys(act)
    text = f"{printable(act.operation)}{where}{f' {keys}' if keys else ''} by {printable(act.principal)}"
    failed = is_failure(act)
    word = printable(act.outcome) if failed else "act"
    return Event(act.time_ms, "✗" if failed else "»", word, "error" if failed else "accent", text)
