"""Simulated time: a queue of what is to happen, and the one source of chance. The same seed has the same history."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any, Final

from xxhash import xxh3_64_hexdigest, xxh3_64_intdigest

MAX_EVENTS: Final = 200_000
"""More than any seed has where messages do not breed messages."""


class Wrong(AssertionError):
    """Something that must hold does not."""


class World:
    """Time, chance, and what comes next."""

    def __init__(self, seed: int, *, tracing: bool = False) -> None:
        self.chance = Random(seed)
        self.now = 0
        self.events = 0
        self.trace: list[str] | None = [] if tracing else None
        self._queue: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self._digest = 0

    def after(self, delay: int, action: Callable[..., None], *arguments: Any) -> None:
        """Have something happen `delay` microseconds from now. What is due at one time happens in order of asking."""
        self._count += 1
        heappush(self._queue, (self.now + delay, self._count, action, arguments))

    def spread(self, mean: int) -> int:
        """A time between nothing and twice the mean."""
        return int(self.chance.random() * 2 * mean)

    def happens(self, probability: float) -> bool:
        """Whether something does that has a probability; costs no chance where it cannot."""
        return probability > 0.0 and self.chance.random() < probability

    def run(self, until: int) -> None:
        """Let everything happen that is due before `until`."""
        queue = self._queue
        while queue and queue[0][0] < until:
            self.now, _, action, arguments = heappop(queue)
            self.events += 1
            if self.events > MAX_EVENTS:
                raise Wrong(f"{MAX_EVENTS:,} things happened, and there is no end of it")
            action(*arguments)
        self.now = until

    def say(self, who: str, what: str) -> None:
        """Note something in the trace. Callers look at `trace` first where the words cost something."""
        if self.trace is not None:
            line = f"{self.now / 1000:10.3f} {who:>8} {what}"
            self.trace.append(line)
            self._digest = xxh3_64_intdigest(line.encode(), self._digest)

    def digest(self, *ends: object) -> str:
        """What two runs of a seed have in common: what happened, how it ended, and how chance was used."""
        end = (self.now, self.events, self._count, self.chance.random(), ends)
        return xxh3_64_hexdigest(repr(end).encode(), self._digest)
