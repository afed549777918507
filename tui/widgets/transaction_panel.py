"""Transactions and their locks: who is under way, who waits for whom, and how often that went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.strip import Strip

from blockdb import TransactionStatistics
from blockdb.commands.display import human_count, human_duration, plural, printable

from ..history import Moment
from .panel import Panel, Pieces, packed

if TYPE_CHECKING:
    from blockdb import TransactionInfo

__all__ = ["CounterPanel", "TransactionPanel"]


class CounterPanel(Panel):
    """The counters alone."""

    statistics = TransactionStatistics()

    def rows(self, now: Moment, width: int, height: int) -> list[Strip]:
        return [self.line(pieces, width) for pieces in packed(_counters(self.statistics), width)]


class TransactionPanel(Panel):
    """Counters at the top, and below them the transactions of this process, the oldest first."""

    HELP = """The transactions of this process. Each holds locks on what it has read and written until it ends; who \
wants what another holds waits for it. Where transactions wait for one another in a circle, the youngest of them ends \
in a deadlock; one that lasts too long gives way to whoever waits for it. Plain writes that meet a lock wait as \
transactions of one."""

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(title, id=id)
        self.statistics = TransactionStatistics()
        self.infos: Sequence[TransactionInfo] = ()

    def rows(self, now: Moment, width: int, height: int) -> list[Strip]:
        rows = [self.line(pieces, width) for pieces in packed(_counters(self.statistics), width)]
        room = height - len(rows) - 2
        if room < 1:
            return rows
        rows.append(Strip.blank(width))
        if not self.infos:
            return [*rows, self.line([(" No transaction is under way.", "muted")], width)]
        rows.append(self.line([("       ID      AGE  LOCKS  STATE", "muted")], width))
        shown = self.infos[: room if len(self.infos) <= room else room - 1]
        rows += [self.line(_transaction(info), width) for info in shown]
        if left := len(self.infos) - len(shown):
            rows.append(self.line([(f" and {human_count(left)} more", "muted")], width))
        return rows


def _counters(found: TransactionStatistics) -> list[Pieces]:
    waits = f"{human_count(found.waits)} "
    counters: list[Pieces] = [
        _counter("active", found.active),
        _counter("waiting", found.waiting, alarming=True),
        _counter("locks", found.locks),
        _counter("committed", found.committed),
        _counter("aborted", found.aborted),
        _counter("deadlocks", found.deadlocks, alarming=True),
        _counter("timeouts", found.timeouts, alarming=True),
        [(" waits ", "muted"), (waits, "text")],
    ]
    if found.waits:
        latency = found.wait_latency
        times = f"{human_duration(latency.p50_us / 1e6)}, at most {human_duration(latency.max_us / 1e6)} "
        counters.append([(" half of them up to ", "muted"), (times, "text")])
    return counters


def _counter(name: str, count: int, *, alarming: bool = False) -> Pieces:
    return [(f" {name} ", "muted"), (f"{human_count(count)} ", "warning" if alarming and count else "text")]


def _transaction(info: TransactionInfo) -> Pieces:
    return [
        (f" {info.id:>8}", "key"),
        (f" {human_duration(info.age_s):>8}", "text"),
        (f" {human_count(info.locks):>6}  ", "number"),
        *_state(info),
    ]


def _state(info: TransactionInfo) -> Pieces:
    if info.committing:
        return [("is being committed", "success")]
    if not info.waits_for:
        return [("runs", "text")]
    others = ", ".join(str(other) for other in info.waits_for)
    words = f": {printable(info.wanted)}" if info.wanted else ""
    count = "" if len(info.waits_for) == 1 else f"{plural(len(info.waits_for), 'transaction')} "
    return [(f"waits for {count}{others}", "warning"), (words, "muted")]
