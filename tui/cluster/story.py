"""What a cluster did over time: samples of its lanes and the events between them, in order, and bounded."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from blockdb.commands.recordings.events import Happening
from blockdb.commands.recordings.lanes import Lane, Sample

__all__ = ["GAP_MS", "Story", "time_of"]

MOST_SAMPLES = 4 * 60 * 60  # an hour at four a second
GAP_MS = 2_500
"""A sample stands for what comes after it, but no longer than this."""


T = TypeVar("T", Sample, Happening)


class _Ordered(Generic[T]):
    """Things in the order of their times; when there are too many, the oldest quarter goes."""

    def __init__(self, most: int) -> None:
        self.items: list[T] = []
        self._most = most

    def add(self, item: T) -> None:
        if self.items and item.time_ms < self.items[-1].time_ms:
            self.items.insert(self.after(item.time_ms), item)
        else:
            self.items.append(item)
        if len(self.items) > self._most:
            del self.items[: self._most // 4]

    def before(self, time_ms: int) -> int:
        """How many are earlier than a moment."""
        return bisect_left(self.items, time_ms, key=time_of)

    def after(self, time_ms: int) -> int:
        """How many are not later than a moment."""
        return bisect_right(self.items, time_ms, key=time_of)


def time_of(item: Sample | Happening) -> int:
    """When it was, in milliseconds since 1970."""
    return item.time_ms


class Story:
    """What is known of a cluster, from its first sample to its last."""

    def __init__(self, most: int = MOST_SAMPLES) -> None:
        """It keeps `most` samples and as many events; then the oldest go."""
        self._samples: _Ordered[Sample] = _Ordered(most)
        self._events: _Ordered[Happening] = _Ordered(most)
        self.heard: Callable[[Sample | Happening], None] | None = None
        """Who else is told of each, at once: whoever records it."""

    def add(self, item: Sample | Happening) -> None:
        """Takes a sample or an event, mostly the newest. O(log n)."""
        if isinstance(item, Sample):
            self._samples.add(item)
        else:
            self._events.add(item)
        if self.heard is not None:
            self.heard(item)

    @property
    def samples(self) -> Sequence[Sample]:
        """All samples, the oldest first."""
        return self._samples.items

    @property
    def events(self) -> Sequence[Happening]:
        """All events, the oldest first."""
        return self._events.items

    @property
    def first_ms(self) -> int:
        """When it begins; 0 while there is nothing."""
        return min((items[0].time_ms for items in (self.samples, self.events) if items), default=0)

    @property
    def last_ms(self) -> int:
        """When it ends; 0 while there is nothing."""
        return max((items[-1].time_ms for items in (self.samples, self.events) if items), default=0)

    def at(self, time_ms: int) -> Sample | None:
        """The sample that was the newest at a moment; the first one before there is any."""
        number = self._samples.after(time_ms)
        return self.samples[max(0, number - 1)] if self.samples else None

    def ids(self) -> list[str]:
        """The nodes of the newest sample."""
        return [lane.id for lane in self.samples[-1].lanes] if self.samples else []

    def events_to(self, time_ms: int) -> int:
        """How many events there were up to a moment."""
        return self._events.after(time_ms)

    def next_event(self, time_ms: int) -> Happening | None:
        """The first event after a moment."""
        number = self._events.after(time_ms)
        return self.events[number] if number < len(self.events) else None

    def previous_event(self, time_ms: int) -> Happening | None:
        """The last event before a moment."""
        number = self._events.before(time_ms)
        return self.events[number - 1] if number else None

    def bands(self, id_: str, start_ms: int, step_ms: int, columns: int) -> list[Lane | None]:
        """The lane of a node in each of `columns` stretches of time; None where nothing is known of it."""
        cut = (self._sampled(start_ms + step_ms * column, step_ms) for column in range(columns))
        return [None if sample is None else sample.lane(id_) for sample in cut]

    def _sampled(self, start_ms: int, step_ms: int) -> Sample | None:
        number = self._samples.before(start_ms + step_ms)
        sample = self.samples[number - 1] if number else None
        return None if sample is None or sample.time_ms < start_ms - GAP_MS else sample

    def marks(self, id_: str, start_ms: int, step_ms: int, columns: int) -> list[Happening | None]:
        """The weightiest event of a node in each of `columns` stretches of time."""
        marks: list[Happening | None] = [None] * columns
        first, last = self._events.before(start_ms), self._events.before(start_ms + step_ms * columns)
        for event in self.events[first:last]:
            at = (event.time_ms - start_ms) // step_ms
            mark = marks[at]
            if event.lane == id_ and (mark is None or mark.shown.weight <= event.shown.weight):
                marks[at] = event
        return marks
