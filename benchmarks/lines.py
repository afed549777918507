"""What a comparison is made of: lines with goals, what was found for them, and the sessions that find it."""

from __future__ import annotations

import gc
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from .data import Data
from .stores import PEERS, Peer

__all__ = [
    "OURS",
    "Finding",
    "Goal",
    "Line",
    "Run",
    "Session",
    "exhaust",
    "rest",
    "takers",
    "timed",
]

OURS: Final = "BlockDB"

_SECOND: Final = {"ms": 1e3, "µs": 1e6}


@dataclass(frozen=True)
class Goal:
    """What BlockDB should reach: so many times the best of these peers, or, without any, this value itself.

    It is the least for a rate, and the most for a time or a size.
    """

    limit: float
    against: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """One line of the table. One without a goal is told for information."""

    name: str
    unit: str
    goals: tuple[Goal, ...] = ()

    @property
    def more_is_better(self) -> bool:
        """Whether the unit is a rate, and not a time or a size."""
        return self.unit == "k/s"

    def finding(self, amount: int, elapsed_s: float) -> Finding:
        """So much work took so many seconds."""
        return Finding(
            self, amount / elapsed_s / 1e3 if self.more_is_better else elapsed_s / amount * _SECOND[self.unit]
        )


@dataclass(frozen=True)
class Finding:
    """What one who took part reached on a line, in its unit."""

    line: Line
    value: float


Run: TypeAlias = Callable[[Path, Data], Iterable[Finding]]
"""What one who takes part does in a session: it is given the directory of the round, and the data."""


@dataclass(frozen=True)
class Session:
    """What is measured in one go, one participant after the other. The lines are those that it finds values for."""

    lines: tuple[Line, ...]
    takers: Mapping[str, Run]
    on_request: bool = False
    """Whether it takes so long that it is left out unless it is asked for."""


def takers(run: Callable[[Peer, Path, Data], Iterable[Finding]], *names: str) -> dict[str, Run]:
    """The same session for several peers: those of them that are installed."""
    return {name: partial(run, PEERS[name]) for name in names if PEERS[name].installed}


def timed(line: Line, amount: int, work: Callable[[], Iterable[object]]) -> Finding:
    """How long it takes to draw everything out of `work()`."""
    before = time.perf_counter()
    exhaust(work())
    return line.finding(amount, time.perf_counter() - before)


def exhaust(iterable: Iterable[object]) -> None:
    """Draw everything out, and keep nothing."""
    deque(iterable, maxlen=0)


def rest() -> None:
    """Bring the disk to rest: what was written before would otherwise be charged to what is measured next."""
    gc.collect()
    os.sync()
