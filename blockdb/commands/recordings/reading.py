"""Reading a recording, of version 1 (clusters alone) or 2, and going about in it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from blockdb.alerts import Alert
from blockdb.errors import InvalidData

from .events import Alarms, Event, Happening, Note
from .history import KEPT_MOMENTS, History, Moment
from .keeping import FORMAT, MOST_BYTES, VERSION, Head, LeftOut, Metrics
from .lanes import Sample
from .snapshots import Unpacker, patched

__all__ = ["Recording", "read_recording"]

OLD_FORMAT: Final = "blockdb cluster recording"
"""What version 1 called itself."""
MOST_LINE_BYTES: Final = 1 << 20

_heads = msgspec.json.Decoder(Head)
_lines = msgspec.json.Decoder(Sample | Happening | Metrics | Note | Alarms | LeftOut)
_time_of = attrgetter("time_ms")


class Recording:
    """What was recorded, in the order of its times."""

    def __init__(self, name: str = "", of: str = "", version: int = VERSION) -> None:
        """`name` is the file's, `of` what it is a recording of."""
        self.name = name
        self.of = of
        self.version = version
        self.samples: list[Sample] = []
        """The lanes of a cluster."""
        self.events: list[Event] = []
        """Those of the cluster, of the engine, and the alerts that came and went."""
        self.left_out = 0
        """How many lines came too fast to be kept."""
        self._times_ms: list[int] = []
        self._moments: list[Moment] = []
        self._collections: list[str] = []
        self._starts: list[int] = []
        """Where the history of a collection begins, for each of its moments."""
        self._alarms: list[Alarms] = []
        self._stops: list[Event] = []

    @property
    def first_ms(self) -> int:
        """When it begins."""
        return min(self._ends(0), default=0)

    @property
    def last_ms(self) -> int:
        """When it ends."""
        return max(self._ends(-1), default=0)

    def _ends(self, at: int) -> Iterator[int]:
        yield from (items[at].time_ms for items in (self.samples, self.events, self._alarms) if items)
        yield from self._times_ms[at:][:1]

    @property
    def has_metrics(self) -> bool:
        """Whether there are figures in it."""
        return bool(self._moments)

    def _at(self, time_ms: int) -> int:
        return max(0, bisect_right(self._times_ms, time_ms) - 1)

    def moment_at(self, time_ms: int) -> Moment | None:
        """The figures that were the newest at a moment; the first ones before there are any. O(log n)."""
        return self._moments[self._at(time_ms)] if self._moments else None

    def collection_at(self, time_ms: int) -> str:
        """Which collection the figures are of."""
        return self._collections[self._at(time_ms)] if self._moments else ""

    def history_at(self, time_ms: int) -> History:
        """The figures up to a moment, of the same collection, as the explorer would have had them then."""
        history = History()
        if self._moments:
            at = self._at(time_ms)
            start = self._starts[at]
            history.moments = deque(self._moments[max(start, at + 1 - KEPT_MOMENTS) : at + 1], KEPT_MOMENTS)
            history.added = at + 1 - start
        return history

    def moments(self) -> Iterator[tuple[int, str, Moment]]:
        """When figures were taken, of which collection, and what they were."""
        return zip(self._times_ms, self._collections, self._moments, strict=True)

    def alerts_at(self, time_ms: int) -> tuple[Alert, ...]:
        """The alerts that were on at a moment."""
        at = bisect_right(self._alarms, time_ms, key=_time_of)
        return self._alarms[at - 1].alerts if at else ()

    def events_to(self, time_ms: int) -> int:
        """How many events there were up to a moment."""
        return bisect_right(self.events, time_ms, key=_time_of)

    def next_event(self, time_ms: int) -> Event | None:
        """The first event after a moment that does not happen all the time."""
        at = bisect_right(self._stops, time_ms, key=_time_of)
        return self._stops[at] if at < len(self._stops) else None

    def previous_event(self, time_ms: int) -> Event | None:
        """The last such event before a moment."""
        at = bisect_left(self._stops, time_ms, key=_time_of)
        return self._stops[at - 1] if at else None

    @classmethod
    def of_items(cls, items: Iterable[Any], name: str = "") -> Recording:
        """What lines hold, in the order in which they were written. Raises InvalidData."""
        recording = cls(name)
        taking = _Taking(recording)
        for item in items:
            taking.take(item)
        taking.end()
        return recording


class _Taking:
    """Takes lines as they come."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._figures = _Figures(recording)

    def take(self, item: Any) -> None:
        """One line. Raises InvalidData."""
        recording = self._recording
        match item:
            case Sample():
                recording.samples.append(item)
            case Metrics():
                self._figures.take(item)
            case Alarms():
                before = recording._alarms[-1].alerts if recording._alarms else ()
                recording.events += _news(before, item)
                recording._alarms.append(item)
            case LeftOut():
                recording.left_out += item.lines
            case _:
                recording.events.append(item)

    def end(self) -> None:
        """Puts them in order: nodes have clocks of their own."""
        recording = self._recording
        recording.samples.sort(key=_time_of)
        recording.events.sort(key=_time_of)
        recording._alarms.sort(key=_time_of)
        recording._stops = [event for event in recording.events if not event.is_routine]


class _Figures:
    """Takes lines of metrics."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._unpacker = Unpacker()
        self._plain: dict[str, Any] = {}
        self._history = History()
        self._start = 0

    def take(self, line: Metrics) -> None:
        recording = self._recording
        if line.collection or not recording._moments:
            self._plain, self._history, self._start = {}, History(), len(recording._moments)
        self._plain = patched(self._plain, line.statistics)
        time_ms = max(line.time_ms, *recording._times_ms[-1:], 0)  # a clock may have been set back
        statistics = self._unpacker.statistics(self._plain)
        recording._times_ms.append(time_ms)
        recording._moments.append(self._history.add(time_ms / 1000, statistics))
        recording._collections.append(line.collection or next(reversed(recording._collections), ""))
        recording._starts.append(self._start)


def _news(before: Sequence[Alert], now: Alarms) -> Iterator[Note]:
    """Alerts that began, and those that are over."""
    known, on = {alert.key for alert in before}, {alert.key for alert in now.alerts}
    for alert in now.alerts:
        if alert.key not in known:
            yield Note(now.time_ms, "alert", f"{alert.name}: {alert.message}", alert.subject)
    for alert in before:
        if alert.key not in on:
            yield Note(now.time_ms, "calm", alert.name, alert.subject)


def read_recording(path: Path) -> Recording:
    """What is in a file. Raises OSError, and InvalidData, which names the line that cannot be read.

    Takes about a quarter of a millisecond and a few kilobytes of memory for each snapshot.
    """
    with path.open("rb") as file:
        head = _head(path, file)
        recording = Recording(str(path), head.of, head.version)
        taking = _Taking(recording)
        for number, line in enumerate(_whole_lines(file), 2):
            try:
                taking.take(_lines.decode(line))
            except (InvalidData, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise InvalidData(f"{path}, line {number}: {error}") from None
        taking.end()
    if not recording.samples and not recording.has_metrics:
        raise InvalidData(f"{path}: there is no sample in it.")
    return recording


def _head(path: Path, file: BinaryIO) -> Head:
    try:
        head = _heads.decode(file.readline(MOST_LINE_BYTES))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        head = None
    if head is None or head.format not in (FORMAT, OLD_FORMAT):
        raise InvalidData(f"{path}: this is no recording; R in the explorer makes one, and blockdb record.")
    if head.version not in (1, VERSION):
        raise InvalidData(f"{path}: it is of version {head.version}; this program reads version 1 and {VERSION}.")
    if path.stat().st_size > MOST_BYTES:
        raise InvalidData(f"{path}: it is longer than {MOST_BYTES >> 20} MiB, which is too long to be shown.")
    return head


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MOST_LINE_BYTES):
        if not line.endswith(b"\n") and len(line) < MOST_LINE_BYTES:
            return  # whoever wrote it was cut short: what came before is whole
        yield line
