"""What the engine did lately: rates and latencies worked out from snapshots of its statistics."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from blockdb import Statistics

__all__ = ["KEPT_MOMENTS", "History", "Moment"]

KEPT_MOMENTS = 4 * 60 * 20  # twenty minutes at four a second
SMOOTHING_S = 1.0


class Moment(NamedTuple):
    """One snapshot, and the rates over the second before it. `writes` counts records whoever wrote them."""

    time_s: float
    statistics: Statistics
    writes_per_s: float
    bytes_per_s: float
    reads_per_s: float


class History:
    """The moments of the last twenty minutes, the oldest first."""

    def __init__(self) -> None:
        self.moments: deque[Moment] = deque(maxlen=KEPT_MOMENTS)
        self.added = 0

    @property
    def latest(self) -> Moment | None:
        """The newest one; None where there is none."""
        return self.moments[-1] if self.moments else None

    def add(self, time_s: float, statistics: Statistics) -> Moment:
        """Takes a snapshot that was made at `time_s` (any steady clock, seconds)."""
        base = self._about_a_second_before(time_s)
        moment = Moment(time_s, statistics, *_rates(base, time_s, statistics))
        self.moments.append(moment)
        self.added += 1
        return moment

    def _about_a_second_before(self, time_s: float) -> Moment | None:
        base = None
        for moment in reversed(self.moments):
            base = moment
            if time_s - moment.time_s >= SMOOTHING_S:
                break
        return base

    def until(self, time_s: float) -> History:
        """What was known at a time; all there is, if nothing was known then."""
        known = [moment for moment in self.moments if moment.time_s <= time_s]
        if not known:
            return self
        then = History()
        then.moments.extend(known)
        then.added = self.added - (len(self.moments) - len(known))
        return then

    def series(self, value: Callable[[Moment], float], length: int, step: int = 1) -> list[float]:
        """The last `length` values, each the greatest of `step` moments.

        Groups keep their moments as time passes, so that a graph of them moves along and does not flicker.
        """
        values = [value(moment) for moment in list(self.moments)[-(length + 1) * step :]]
        first = self.added - len(values)
        cuts = sorted({0, *range(-first % step, len(values), step)})
        groups = (values[start:end] for start, end in zip(cuts, [*cuts[1:], len(values)], strict=True))
        return [max(group) for group in groups if group][-length:]


def _rates(base: Moment | None, time_s: float, now: Statistics) -> tuple[float, float, float]:
    """Records, bytes and reads a second since `base`; zeros where there is nothing to compare with."""
    if base is None or time_s <= base.time_s:
        return 0.0, 0.0, 0.0
    seconds, then = time_s - base.time_s, base.statistics
    differences = (now.records - then.records, now.data_bytes - then.data_bytes, _reads(now) - _reads(then))
    writes, written, reads = (max(0.0, difference / seconds) for difference in differences)
    return writes, written, reads


def _reads(statistics: Statistics) -> int:
    return statistics.gets + statistics.scans
