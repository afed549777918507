"""What the engine holds: in memory, in tables, on disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.strip import Strip

from blockdb.commands.display import human_bytes, human_count, human_duration, printable

from ..drawing import bar, nice_ceiling
from ..history import Moment
from .panel import Panel, Pieces, gauge, packed

if TYPE_CHECKING:
    from blockdb import ScrubStatistics, Statistics

__all__ = ["HoldingsPanel", "MemoryPanel", "StoragePanel", "TablesPanel", "scrub_line"]


class MemoryPanel(Panel):
    """How full the memtable is, what is being flushed, and what a recovery would read."""

    HELP = """New keys are kept in memory, in the memtable. When it is full it is frozen and flushed to a table on \
disk, and a new one takes over. What was logged since the last flush is what opening would have to read again after \
a crash. The scrubber audits the directory in the background, at a limited rate. The hill shows how the memtable \
filled."""

    def rows(self, now: Moment, width: int, height: int) -> list[Strip]:
        statistics = now.statistics
        share = statistics.memtable_bytes / max(1, statistics.memtable_size_limit)
        lines = [_memtable(statistics), [*gauge(share, width - 7), (f" {share:4.0%}", "text")], *_log(statistics)]
        head = [self.line([(" ", "text"), *pieces], width) for pieces in lines]
        room = height - len(head) - 1
        return [*head, Strip.blank(width), *self._hill(share, width, room)] if room >= 2 else head

    def _hill(self, share: float, width: int, height: int) -> list[Strip]:
        values = self.history.series(lambda m: m.statistics.memtable_bytes, 2 * width, self.step)
        limit = self.history.moments[-1].statistics.memtable_size_limit
        ceiling = float(max(1, limit)) if share > 0.05 else nice_ceiling(max(values, default=0.0))
        return self.hill(values, width, height, ceiling, "graph2")


def _memtable(statistics: Statistics) -> Pieces:
    return [
        ("memtable  ", "muted"),
        (human_bytes(statistics.memtable_bytes), "text"),
        (f" of {human_bytes(statistics.memtable_size_limit)}", "muted"),
        (f"  {human_count(statistics.memtable_records)}", "text"),
        (" keys", "muted"),
    ]


def _log(statistics: Statistics) -> list[Pieces]:
    log: Pieces = [("log since flush  ", "muted"), (human_bytes(statistics.log_bytes), "text")]
    if statistics.frozen_memtables:
        log.append((f"  {statistics.frozen_memtables} frozen", "warning"))
    doing = [name for name, busy in (("flushing", statistics.flushing), ("compacting", statistics.compacting)) if busy]
    work = ("◐ " + " and ".join(doing), "warning") if doing else ("○ no flush or compaction under way", "muted")
    return [log, [work], scrub_line(statistics.scrub)]


def scrub_line(found: ScrubStatistics) -> Pieces:
    """How far the scrubber is, and what it found."""
    if found.problems:
        count = len(found.problems)
        return [("scrub  ", "muted"), (f"✗ {count} {'problem' if count == 1 else 'problems'}: blockdb stats", "error")]
    if found.failure is not None:
        return [("scrub  ", "muted"), ("failed: blockdb stats", "warning")]
    if not found.rate_limit:
        return [("scrub  ", "muted"), ("off", "text")]
    pace: Pieces = [("  at ", "muted"), (f"{human_bytes(found.rate_limit)}/s", "text")]
    if found.running:
        share = found.records_done / max(1, found.records_total)
        return [("scrub  ", "muted"), (f"◐ {share:.0%}", "text"), (f" of pass {found.passes + 1}", "muted"), *pace]
    passes = f"{human_count(found.passes)} {'pass' if found.passes == 1 else 'passes'}"
    return [("scrub  ", "muted"), (f"✓ {passes}" if found.passes else "waiting", "text"), *pace]


class HoldingsPanel(Panel):
    """Memory and disk in brief: how full the memtable is, and what takes the room on the disk."""

    HELP = """How full the memtable is, which keeps new keys until they are flushed to a table, and how the disk is \
split: the chain holds keys and values once, tables are its index, the rest is small files and the log. The \
percentage is what the disk holds beyond the keys and values themselves. Where there is room, the hill shows how the \
memtable filled."""

    def rows(self, now: Moment, width: int, height: int) -> list[Strip]:
        statistics = now.statistics
        share = statistics.memtable_bytes / max(1, statistics.memtable_size_limit)
        head: Pieces = [(" memtable  ", "muted"), *gauge(share, width - 17), (f" {share:4.0%}", "text")]
        parts = _parts(statistics)
        split: list[Pieces] = [[(" ", "text"), *_split(parts, width - 2)], _legend(parts)]
        held, log = [(" " * 11, "text"), *_memtable(statistics)[1:]], [(" ", "text"), *_log(statistics)[0]]
        total = [(" disk     ", "muted"), *_total(statistics)]
        lines = [head, *split] if height < 5 else [head, held, total, *split, log][:height]
        rows = [self.line(pieces, width) for pieces in lines]
        room = height - len(rows) - 1
        return [*rows, Strip.blank(width), *self._hill(width, room)] if room >= 2 else rows

    def _hill(self, width: int, height: int) -> list[Strip]:
        values = self.history.series(lambda m: m.statistics.memtable_bytes, 2 * width, self.step)
        return self.hill(values, width, height, nice_ceiling(max(values, default=0.0)), "graph2")


class TablesPanel(Panel):
    """The sorted tables, tier by tier."""

    HELP = """Tables on disk map keys to places in the chain. Each flush makes one in tier 0; when a tier holds as \
many as the threshold says, compaction merges them into one of the next tier. Only keys move: values stay in the \
chain."""

    def rows(self, now: Moment, width: int, height: int) -> list[Strip]:
        statistics = now.statistics
        tiers = sorted({table.tier for table in statistics.tables})
        if not tiers:
            return [self.line([(" No table yet: every key is in the memtable.", "muted")], width)]
        largest = max(_tier_bytes(statistics, tier) for tier in tiers)
        rows = [self.line([(" TIER TABLES    KEYS     SIZE", "muted")], width)]
        rows += [self.line(_tier(statistics, tier, largest, width), width) for tier in tiers]
        count = len(statistics.tables)
        words = f" {count} {'table' if count == 1 else 'tables'}, {human_bytes(statistics.table_bytes)}"
        merged = f"; merged by {statistics.compaction_threshold}"
        rows.append(self.line([(words, "text"), (merged, "muted")], width))
        return rows + self._each(statistics, width, height - len(rows)) if height >= len(rows) + 4 else rows

    def _each(self, statistics: Statistics, width: int, height: int) -> list[Strip]:
        """Table by table, the newest first, as many as there is room for."""
        tables = sorted(statistics.tables, key=lambda table: table.name, reverse=True)[: height - 1]
        lines: list[Pieces] = [
            [
                (f" {table.tier:>4} ", "accent"),
                (f"{human_count(table.records):>14} ", "text"),
                (f"{human_bytes(table.size_bytes):>8} ", "number"),
                (printable(table.name), "muted"),
            ]
            for table in tables
        ]
        return [Strip.blank(width), *(self.line(pieces, width) for pieces in lines)]


def _tier(statistics: Statistics, tier: int, largest: int, width: int) -> Pieces:
    tables = [table for table in statistics.tables if table.tier == tier]
    size = _tier_bytes(statistics, tier)
    return [
        (f" {tier:>4} ", "accent"),
        (f"{len(tables):>6} ", "warning" if len(tables) >= statistics.compaction_threshold else "text"),
        (f"{human_count(sum(table.records for table in tables), compact=True):>7} ", "text"),
        (f"{human_bytes(size):>8} ", "number"),
        (bar(size / max(1, largest), max(4, width - 31)), f"graph{tier % 4 + 1}"),
    ]


def _tier_bytes(statistics: Statistics, tier: int) -> int:
    return sum(table.size_bytes for table in statistics.tables if table.tier == tier)


class StoragePanel(Panel):
    """What the disk holds, split by what it is for, and what the engine did since it was opened."""

    HELP = """The chain holds keys and values, once, and what makes them provable. Tables are its index. The rest is \
the small files beside them. The percentage is what the disk holds beyond the keys and values themselves. Stalls are \
writes that had to wait because flushing could not keep up. Counters are those of this process since it opened the \
database."""

    def rows(self, now: Moment, width: int, height: int) -> list[Strip]:
        statistics = now.statistics
        parts = _parts(statistics)
        lines = [_total(statistics), [(" ", "text"), *_split(parts, width - 2)], _legend(parts)]
        counters = _counters(statistics, width)
        lines += [[], *counters] if height > len(lines) + len(counters) else counters
        rows = [self.line(pieces, width) for pieces in lines]
        return rows + self._growth(width, height - len(rows)) if height >= len(rows) + 5 else rows

    def _growth(self, width: int, height: int) -> list[Strip]:
        """How the disk filled lately, between the least and the most of that time."""
        values = self.history.series(lambda m: m.statistics.disk_bytes, 2 * width, self.step)
        least, most = min(values), max(values)
        words: Pieces = [
            (" disk over time", "text"),
            (f"  {human_bytes(int(least))} … {human_bytes(int(most))}", "muted"),
        ]
        above = [value - least + (most - least) / 20 for value in values]
        hill = self.hill(above, width, height - 2, max(above) or 1.0, "graph1")
        return [Strip.blank(width), self.line(words, width), *hill]


def _parts(statistics: Statistics) -> list[tuple[str, int, str]]:
    """Name, bytes and colour of each part of the disk; what is not there is left out."""
    other = max(0, statistics.disk_bytes - statistics.chain_bytes - statistics.table_bytes)
    sizes = (("chain", statistics.chain_bytes), ("tables", statistics.table_bytes), ("other", other))
    return [(name, size, f"graph{number}") for number, (name, size) in enumerate(sizes, 1) if size]


def _total(statistics: Statistics) -> Pieces:
    overhead = statistics.disk_bytes / statistics.data_bytes - 1 if statistics.data_bytes else 0.0
    return [
        (f" {human_bytes(statistics.disk_bytes)}{', encrypted,' if statistics.encrypted else ''}", "text"),
        (f" for {human_bytes(statistics.data_bytes)} of data  ", "muted"),
        (f"{overhead:+,.0%}", "number"),
    ]


def _split(parts: Sequence[tuple[str, int, str]], width: int) -> Pieces:
    """A bar of parts that fills the width exactly; each part is at least one cell."""
    total = sum(size for _, size, _ in parts)
    if not parts or width <= 0:
        return [("·" * max(0, width), "border")]
    cells = [max(1, size * width // total) for _, size, _ in parts]
    cells[cells.index(max(cells))] += width - sum(cells)
    return [("█" * count, role) for count, (_, _, role) in zip(cells, parts, strict=True)]


def _legend(parts: Sequence[tuple[str, int, str]]) -> Pieces:
    legend: Pieces = []
    for name, size, role in parts:
        legend += [(" ■", role), (f" {name} ", "muted"), (f"{human_bytes(size)} ", "text")]
    return legend


def _counters(statistics: Statistics, width: int) -> list[Pieces]:
    """The counters in pairs, or four to a line where there is room."""
    names = ("flushes", "compactions", "forces", "stalls")
    counters = [_counter(name, getattr(statistics, name), alarming=name == "stalls") for name in names]
    counters += [
        _counter("duplicates refused", statistics.duplicates),
        _counter("recovered", statistics.recovered_records),
    ]
    spans = (("recovery", statistics.recovery_ms / 1000), ("open for", int(statistics.uptime_s)))
    counters += [[(f" {name} ", "muted"), (f"{human_duration(seconds)} ", "text")] for name, seconds in spans]
    return packed(counters, width)


def _counter(name: str, count: int, *, alarming: bool = False) -> Pieces:
    return [(f" {name} ", "muted"), (f"{human_count(count)} ", "warning" if alarming and count else "text")]
