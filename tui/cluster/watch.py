"""Watching a cluster: each node that can be asked has a thread that asks it, and one that hears what it tells.

Nothing of this waits for another, so a node that is dead or stopped holds up nobody's lane. What has come is taken by
whoever draws, in `look`, which never waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import blockdb
from blockdb.commands.recordings.changes import changes_between
from blockdb.commands.recordings.events import Happening
from blockdb.commands.recordings.lanes import Seen, sample_of

from ..contact import OUT_OF_TOUCH
from .story import Story

if TYPE_CHECKING:
    from blockdb.commands.recordings.lanes import Sample

__all__ = ["Asked", "Watch"]

ASK_EVERY_S = 0.25
AGAIN_S, MUCH_LATER_S = 0.5, 10.0
"""After what may be otherwise soon, and after what may not: who has no right, has none in a second either."""
FRESH_MS = 1_500
"""So old may be what a node said of itself; older, it counts as one that does not answer."""
MOST_WAITING = 5_000

_FAILURES = (blockdb.BlockDBError, OSError)


class Asked(Protocol):
    """A node that can be asked. Each method waits, and raises BlockDBError or OSError."""

    def status(self) -> Seen:
        """What it says now."""

    def events(self) -> Iterable[Any]:
        """What it tells from now on, until `close`: things with the attributes of `Happening`."""

    def close(self) -> None:
        """Ends what waits. Idempotent."""


class Watch:
    """Asks nodes, and writes what they say into a story. `clock_ms` is the time of day."""

    def __init__(self, story: Story, nodes: Sequence[Asked], clock_ms: Callable[[], int]) -> None:
        self.story = story
        self._nodes = nodes
        self._clock_ms = clock_ms
        self._stopped = threading.Event()
        self._said: dict[int, tuple[int, Seen]] = {}
        self._told: deque[Happening] = deque(maxlen=MOST_WAITING)
        self._telling: set[int] = set()
        self._leaders: set[tuple[int, str]] = set()
        self._known: list[str] = []
        self._latest: Sample | None = None

    def start(self) -> None:
        """Begins to ask."""
        for number, node in enumerate(self._nodes):
            for work in (self._ask, self._hear):
                name = f"explorer-cluster-{work.__name__}-{number}"
                threading.Thread(target=work, args=(number, node), name=name, daemon=True).start()

    def stop(self) -> None:
        """Asks no more. Waits for nothing, but may take as long as closing connections does."""
        self._stopped.set()
        for node in self._nodes:
            node.close()

    def look(self, faults: Mapping[str, str] | None = None) -> None:
        """Adds a sample of now, and the events that have come. Quick."""
        now_ms = self._clock_ms()
        fresh = [seen for time_ms, seen in list(self._said.values()) if now_ms - time_ms <= FRESH_MS]
        sample = sample_of(fresh, now_ms, faults, self._known)
        if fresh or self._known:
            self._known = [lane.id for lane in sample.lanes] if fresh else self._known
            self.story.add(sample)
        if not self._telling:
            self._told.extend(changes_between(self._latest, sample))
        self._latest = sample
        while self._told:
            self._take(self._told.popleft(), now_ms)

    def tell(self, event: Happening) -> None:
        """Something that was done here."""
        self._told.append(event)

    def _take(self, event: Happening, now_ms: int) -> None:
        """Each leader of a term is told of by every node; the first of them counts."""
        if event.kind == "leader" and event.other:
            if (event.term, event.other) in self._leaders:
                return
            self._leaders.add((event.term, event.other))
        self.story.add(event if event.time_ms <= now_ms else _at(event, now_ms))

    # ── the threads ──

    def _ask(self, number: int, node: Asked) -> None:
        while not self._stopped.is_set():
            pause_s = ASK_EVERY_S
            try:
                self._said[number] = (self._clock_ms(), node.status())
            except _FAILURES as error:
                pause_s = _pause_s(error)
            self._stopped.wait(pause_s)

    def _hear(self, number: int, node: Asked) -> None:
        while not self._stopped.is_set():
            pause_s = AGAIN_S
            try:
                for event in node.events():
                    self._telling.add(number)
                    self._told.append(_happening(event))
            except _FAILURES as error:
                pause_s = _pause_s(error)
            self._telling.discard(number)
            self._stopped.wait(pause_s)


def _pause_s(error: Exception) -> float:
    return AGAIN_S if isinstance(error, (OSError, *OUT_OF_TOUCH)) else MUCH_LATER_S


def _happening(event: Any) -> Happening:
    return Happening(event.time_ms, event.node_id, event.kind, event.term, event.index, event.other, event.what)


def _at(event: Happening, time_ms: int) -> Happening:
    return Happening(time_ms, event.node_id, event.kind, event.term, event.index, event.other, event.what)
