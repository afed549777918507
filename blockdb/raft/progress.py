"""How far a member is, as the leader knows it, and how much it may be sent.

The states are those of etcd's `tracker.Progress`: one Append at a time until it is known where the logs agree
(probing), then many at once (streaming), and none while only a snapshot helps.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Final

from blockdb.raft.ready import Progress as ProgressSeen

__all__ = ["Pace", "Progress"]


_PROBE_BYTES_PER_HEARTBEAT: Final = 1 << 20
"""So much of an Append a member may be expected to take in between two heartbeats."""


class Pace(StrEnum):
    """How a member is sent entries."""

    PROBING = "probing"
    STREAMING = "streaming"
    SNAPSHOT = "snapshot"


class Progress:
    """One member, in the leader's eyes. Always `match < next`."""

    __slots__ = (
        "_in_flight",
        "commit_sent",
        "heard_tick",
        "in_flight_bytes",
        "is_nudged",
        "is_paused",
        "match",
        "next",
        "pace",
        "patience",
        "round",
        "target",
        "target_tick",
        "window",
        "window_bytes",
    )

    def __init__(self, next_: int, window: int, window_bytes: int, tick: int) -> None:
        self.match = 0
        """The last index that is on its disk and agrees with the leader's log."""
        self.next = next_
        """The first index that it is sent next."""
        self.pace = Pace.PROBING
        self.is_paused = False
        """Probing: an Append is under way, and nothing more is sent before its answer, or a heartbeat's."""
        self.patience = 0
        """Probing: so many more answers to heartbeats are no sign that the Append was lost: it is long."""
        self.is_nudged = False
        """An Append is due even if it is empty, so that one that was lost is noticed."""
        self.window = window
        self.window_bytes = window_bytes
        self.in_flight_bytes = 0
        self._in_flight: deque[tuple[int, int]] = deque()
        """The last index of each Append that was not answered, and its bytes."""
        self.commit_sent = 0
        self.heard_tick = tick
        self.round = 0
        """The last round of reads that it has confirmed."""
        self.target = 0
        """Of a learner: how long the log was when its present round of catching up began..."""
        self.target_tick = tick
        """... and when that was (thesis, 4.2.1)."""

    @property
    def can_send(self) -> bool:
        """Whether it may be sent an Append now."""
        if self.pace is Pace.STREAMING:
            return len(self._in_flight) < self.window and self.in_flight_bytes < self.window_bytes
        return self.pace is Pace.PROBING and not self.is_paused

    def sent(self, last_index: int, size: int, commit: int) -> None:
        """It was sent entries up to `last_index` (`next` - 1: none), of so many bytes."""
        self.is_nudged = False
        self.commit_sent = commit
        if self.pace is Pace.PROBING:
            self.is_paused, self.patience = True, size // _PROBE_BYTES_PER_HEARTBEAT
        elif last_index >= self.next:
            self.next = last_index + 1
            self._in_flight.append((last_index, size))
            self.in_flight_bytes += size

    def acknowledged(self, index: int) -> bool:
        """It has the log up to `index`; gives whether that is news."""
        while self._in_flight and self._in_flight[0][0] <= index:
            self._land()
        if index < self.match:
            return False
        is_news = index > self.match
        self.match = index
        self.next = max(self.next, index + 1)
        if self.pace is Pace.PROBING:
            self.stream()
        return is_news

    def refused(self, index: int, agrees_at: int) -> None:
        """It has nothing at `index` that the entries sent could follow; the logs may agree at `agrees_at`.

        A refusal that something newer contradicts is passed over.
        """
        if index <= self.match or self.pace is Pace.SNAPSHOT:
            return
        if self.pace is Pace.PROBING and self.next - 1 != index:
            return
        self.probe(min(index, agrees_at + 1))

    def forget(self, agrees_at: int) -> None:
        """It has lost entries that it acknowledged: they count no longer before it acknowledges them again."""
        self.match = 0
        self.probe(agrees_at + 1)

    def probe(self, next_: int = 0, is_paused: bool = False) -> None:
        """One Append at a time, from `next_` on, or from behind what agrees."""
        self.pace = Pace.PROBING
        self.next = max(next_, self.match + 1)
        self.is_paused, self.patience = is_paused, 0
        self._forget_flight()

    def stream(self) -> None:
        """Many Appends at once from behind what agrees."""
        self.pace = Pace.STREAMING
        self.next = self.match + 1
        self._forget_flight()

    def await_snapshot(self) -> None:
        """Nothing is sent before the snapshot has arrived."""
        self.pace = Pace.SNAPSHOT
        self._forget_flight()

    def nudge(self, last_index: int) -> None:
        """It answered a heartbeat: what should have been answered before was perhaps lost."""
        self.patience = max(0, self.patience - 1)
        self.is_paused = self.is_paused and self.patience > 0
        if self._in_flight and not self.can_send:
            self._land()
        self.is_nudged = self.match < last_index

    def _land(self) -> None:
        self.in_flight_bytes -= self._in_flight.popleft()[1]

    def _forget_flight(self) -> None:
        self._in_flight.clear()
        self.in_flight_bytes = 0

    def seen(self, is_active: bool) -> ProgressSeen:
        """For whoever watches."""
        return ProgressSeen(self.match, self.next, self.pace.value, len(self._in_flight), is_active)
