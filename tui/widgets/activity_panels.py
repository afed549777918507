"""What is going on: how many operations a second, and how long they take."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.strip import Strip

from blockdb.commands.display import human_bytes, human_duration

from ..drawing import layered, nice_ceiling
from ..history import Moment
from .panel import Panel, Pieces, rate_text

if TYPE_CHECKING:
    from blockdb import Latency, Statistics

__all__ = ["FlowPanel", "LatencyPanel", "RatePanel"]

FASTEST_US, SLOWEST_US = 1.0, 1_000_000.0
DECADES = 6
ROOM_FOR_THREE = 48


class RatePanel(Panel):
    """How many a second: the number now, and the hill behind it."""

    def __init__(
        self,
        title: str,
        words: str,
        rate: Callable[[Moment], float],
        note: Callable[[Moment], str],
        *,
        role: str,
        id: str,
    ) -> None:
        """`words` explain the rate in the help; `note` stands beside the number; `role` colours the hill."""
        super().__init__(title, id=id)
        self.help_words = words
        self._rate, self._note, self._role = rate, note, role

    def rows(self, now: Moment, width: int, height: int) -> list[Strip]:
        values = self.history.series(self._rate, 2 * width, self.step)
        ceiling = nice_ceiling(max(values, default=0.0))
        number, note, scale = f" {rate_text(self._rate(now))}/s", f"  {self._note(now)}", f"{rate_text(ceiling)}/s ▔"
        gap = " " * max(1, width - len(number) - len(note) - len(scale))
        head = self.line([(number, "text"), (note + gap, "muted"), (scale, "muted")], width)
        return [head, *self.hill(values, width, max(0, height - 1), ceiling, self._role)]


class FlowPanel(Panel):
    """Writes as a hill and reads hanging below it, as a lake mirrors: what comes in, and what is asked for."""

    HELP = """Records written in a second above, by whichever process writes; gets and scans in a second below, as \
far as they are counted where the explorer asks. Both are averaged over the last second. Each half has a scale of \
its own, which stands at the right end of its line."""

    def rows(self, now: Moment, width: int, height: int) -> list[Strip]:
        above = max(1, (height - 1) // 2)
        below = max(0, height - 2 - above)
        writes, reads = (
            self.history.series(rate, 2 * width, self.step)
            for rate in (lambda moment: moment.writes_per_s, lambda moment: moment.reads_per_s)
        )
        tops = [nice_ceiling(max(values, default=0.0)) for values in (writes, reads)]
        words = [
            self._legend("▲", "writes", now.writes_per_s, tops[0], f"{human_bytes(round(now.bytes_per_s))}/s", width),
            self._legend("▼", "reads", now.reads_per_s, tops[1], "", width),
        ]
        rows = [words[0], *self.hill(writes, width, above, tops[0], "graph1")]
        return [*rows, *self.hill(reads, width, below, tops[1], "graph4", hanging=True), words[1]]

    def _legend(self, mark: str, what: str, rate: float, ceiling: float, note: str, width: int) -> Strip:
        role = "graph1" if what == "writes" else "graph4"
        number, scale = f" {rate_text(rate)} {what}/s", f"{rate_text(ceiling)}/s "
        gap = " " * max(1, width - len(number) - len(note) - len(scale) - 4)
        return self.line([(f" {mark}", role), (number, "text"), (f"  {note}{gap}", "muted"), (scale, "muted")], width)


class LatencyPanel(Panel):
    """Put, get and force on one scale of decades, and over time whichever of them is busy."""

    HELP = """How long operations take, as far as this process did them. Each line runs from a microsecond to a \
second by decades, with a mark at the median and at what 95 and 99 in a hundred stay below. A directory that another \
process writes shows no put and no force: they happen over there. Where there is room, it is shown how the three \
marks moved."""

    MARKS = (("p50", "●", "graph1"), ("p95", "◆", "graph2"), ("p99", "▲", "graph3"))
    KINDS = ("put", "get", "force")

    def rows(self, now: Moment, width: int, height: int) -> list[Strip]:
        timed = [kind for kind in self.KINDS if _latency(now.statistics, kind).count]
        if not timed:
            return self._nothing(now.statistics, width)
        rows = [self._scale(kind, _latency(now.statistics, kind), width) for kind in self.KINDS]
        if height > len(rows):
            rows.insert(0, self._legend(width))
        return rows + self._past(timed[0], width, height - len(rows)) if height >= len(rows) + 5 else rows

    def _nothing(self, statistics: Statistics, width: int) -> list[Strip]:
        words = " Nothing was timed yet."
        why = " Puts and forces are timed in the process that writes." if statistics.read_only else ""
        return [Strip.blank(width), self.line([(words, "text")], width), self.line([(why, "muted")], width)]

    def _legend(self, width: int) -> Strip:
        pieces: Pieces = [(" " * 7, "muted")]
        for name, mark, role in self.MARKS:
            pieces += [(f"{mark} ", role), (f"{name}   ", "muted")]
        return self.line(pieces, width)

    def _scale(self, kind: str, latency: Latency, width: int) -> Strip:
        if not latency.count:
            return self.line([(f" {kind:<6}", "text"), ("none by this process", "muted")], width)
        times = (latency.p50_us, latency.p95_us, latency.p99_us)
        told = times if width >= ROOM_FOR_THREE else (times[0], times[2])
        words = "  ".join(f"{human_duration(us / 1e6):>6}" for us in told)
        room = width - len(words) - 10
        marks = self._marks(times, room) if room >= 10 else []
        return self.line([(f" {kind:<6}", "text"), *marks, (f"  {words}", "text")], width)

    def _marks(self, times: tuple[float, float, float], room: int) -> Pieces:
        decades = {room * decade // DECADES for decade in range(DECADES)}
        line: Pieces = [("┼" if at in decades else "─", "border") for at in range(room)]
        places = [min(room - 1, int(_decade(us) * room)) for us in times]
        line[places[0] : places[2]] = [("━", "graph1")] * (places[2] - places[0])
        for place, (_, mark, role) in reversed(list(zip(places, self.MARKS, strict=True))):
            line[place] = (mark, role)
        return line

    def _past(self, kind: str, width: int, height: int) -> list[Strip]:
        series = [self.history.series(_quantile(kind, name), 2 * width, self.step) for name, _, _ in self.MARKS]
        title: Pieces = [(f" {kind} over time", "text"), ("  1 µs … 1 s, by decades", "muted")]
        roles = [role for _, _, role in self.MARKS]
        hill = ([(text, roles[owner]) for text, owner in row] for row in layered(series, width, height - 2, 1.0))
        return [Strip.blank(width), self.line(title, width), *(self.line(row, width) for row in hill)]


def _latency(statistics: Statistics, kind: str) -> Latency:
    latency: Latency = getattr(statistics, f"{kind}_latency")
    return latency


def _quantile(kind: str, name: str) -> Callable[[Moment], float]:
    """Where a quantile stood on the scale, at any moment."""

    def value(moment: Moment) -> float:
        return _decade(getattr(_latency(moment.statistics, kind), f"{name}_us"))

    return value


def _decade(microseconds: float) -> float:
    """Where a time stands between the fastest and the slowest on the scale, 0…1, by decades."""
    share = math.log10(max(microseconds, FASTEST_US) / FASTEST_US) / DECADES
    return min(max(share, 0.0), 0.999)
