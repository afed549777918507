"""What a cluster did over time: samples of its lanes and the events between them, in order, and bounded."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from .lanes import UNREACHABLE, Lane, Moment, Sample

__all__ = ["GAP_MS", "KINDS", "Happening", "Kind", "Story", "changes_between", "time_of"]

MOST_SAMPLES = 4 * 60 * 60  # an hour at four a second
GAP_MS = 2_500
"""A sample stands for what comes after it, but no longer than this."""


class Kind(msgspec.Struct, frozen=True):
    """How a kind of event is shown; of several at one place the one of the greatest weight."""

    glyph: str
    role: str
    word: str
    weight: int


KINDS = {
    "term": Kind("·", "muted", "term", 0),
    "state": Kind("·", "muted", "state", 1),
    "vote": Kind("•", "secondary", "vote", 2),
    "snapshot": Kind("▼", "primary", "snapshot", 4),
    "contact": Kind("×", "warning", "lost", 3),
    "reached": Kind("○", "success", "reached", 3),
    "election": Kind("▲", "warning", "election", 5),
    "members": Kind("±", "primary", "members", 6),
    "mended": Kind("✚", "success", "mended", 7),
    "leader": Kind("◆", "accent", "leader", 8),
    "nobody": Kind("◇", "warning", "no leader", 3),
    "fault": Kind("!", "error", "done here", 9),
    "stopped": Kind("■", "error", "stopped", 10),
    "diverged": Kind("≠", "error", "diverged", 11),
}
"""The kinds of events that a cluster tells of, some of them in two parts; and `fault`, what somebody did here."""

UNKNOWN = Kind("?", "muted", "other", 0)


class Happening(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="event"):
    """One thing that happened on a node, as it told; the fields are those of `blockdb`'s events of a cluster."""

    time_ms: Moment
    node_id: str
    kind: str
    term: int = 0
    index: int = 0
    other: str = ""
    what: str = ""

    @property
    def shown(self) -> Kind:
        """How it is shown."""
        if self.kind == "contact" and self.what == "reached":
            return KINDS["reached"]
        is_nobody = self.kind == "leader" and not self.other
        return KINDS.get("nobody" if is_nobody else self.kind, UNKNOWN)

    @property
    def lane(self) -> str:
        """The node in whose lane it belongs: that of a new leader is its own, whoever tells of it."""
        return self.other if self.kind == "leader" and self.other else self.node_id


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

    def add(self, item: Sample | Happening) -> None:
        """Takes a sample or an event, mostly the newest. O(log n)."""
        if isinstance(item, Sample):
            self._samples.add(item)
        else:
            self._events.add(item)

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


def changes_between(before: Sample | None, now: Sample) -> list[Happening]:
    """What must have happened between two samples, where no node tells of it."""
    if before is None:
        return []
    pairs = ((before.lane(lane.id), lane) for lane in now.lanes)
    return [_change(was, lane, now.time_ms) for was, lane in pairs if was is not None and was.state != lane.state]


def _change(was: Lane, lane: Lane, time_ms: int) -> Happening:
    if lane.is_leader:
        return Happening(time_ms, lane.id, "leader", lane.term, other=lane.id)
    if UNREACHABLE in (was.state, lane.state):
        return Happening(time_ms, lane.id, "contact", what="lost" if lane.state == UNREACHABLE else "reached")
    return Happening(time_ms, lane.id, "state", lane.term, what=lane.state)
