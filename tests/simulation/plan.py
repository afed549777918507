"""What a seed decides before anything happens: how many nodes, how long, and which faults, how often.

Each seed has some kinds of faults and not others (*swarm testing*, Groce et al. 2012): a fault that is always there
hides what only its absence shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Final

MS: Final = 1_000
"""Simulated time is counted in microseconds."""
TICK: Final = 10 * MS
ELECTION_TICKS: Final = 8
HEARTBEAT_TICKS: Final = 2
ELECTION: Final = TICK * ELECTION_TICKS
"""An election timeout, before chance is added to it."""

SIZES: Final = (3, 3, 3, 3, 3, 3, 4, 4, 5, 5, 5, 7, 2, 1)
LENGTHS: Final = (4, 4, 4, 6, 6, 6, 6, 10, 10, 10, 10, 15, 15, 15, 40, 40, 120)
"""How long faults last, in election timeouts; most seeds are short."""

FAULTS: Final = (
    "partition",
    "crash",
    "crash all",
    "pause",
    "clock",
    "disk error",
    "disk slow",
    "damage",
    "transfer",
    "membership",
    "snapshot",
    "storm",
    "youth",
)
"""What may go wrong; `storm` is a while of heavy loss, delay, duplication and replay, and with `youth` it is who has
just been elected that something happens to."""


@dataclass(frozen=True, slots=True)
class Weather:
    """What the network does to messages while nothing special is wrong with it."""

    delay: int = 1 * MS
    jitter: int = 4 * MS
    loss: float = 0.0
    duplication: float = 0.0
    replay: float = 0.0
    """How often a message of long ago comes again."""
    lag: float = 0.0
    """How often a message is kept for as long as an election takes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a seed decided."""

    seed: int
    nodes: int
    duration: int
    """How long there are faults."""
    faults: tuple[str, ...]
    calm: int
    """The mean time between two faults."""
    weather: Weather
    clients: int
    keys: int
    save_every: int
    """After how many entries a node forces its machine and forgets its log; 0: only when a fault has it do so."""
    keep: int
    """How many entries stay in the log behind a snapshot."""
    is_tight: bool
    """Whether all bounds of the core are so tight that they are met all the time."""
    disk_delay: int
    keeps_gaps: bool
    apply_delay: int
    final: str = ""
    """What is tried once all have agreed: `isolate`, `partial`, `leader`, or nothing."""
    drift: tuple[float, ...] = field(default=())
    """How fast each node's clock goes."""


def plan_of(seed: int, chance: Random) -> Plan:
    """Have a seed decide."""
    nodes = chance.choice(SIZES)
    faults = tuple(fault for fault in FAULTS if chance.random() < 0.4)
    return Plan(
        seed=seed,
        nodes=nodes,
        duration=chance.choice(LENGTHS) * ELECTION,
        faults=faults,
        calm=chance.choice((ELECTION // 2, ELECTION, 2 * ELECTION, 4 * ELECTION)),
        weather=_weather(chance),
        clients=chance.choice((1, 2, 3, 4)),
        keys=chance.choice((3, 10, 1000)),
        save_every=chance.choice((0, 0, 5, 20)),
        keep=chance.choice((0, 2, 10, 50)),
        is_tight=chance.random() < 0.4,
        disk_delay=chance.choice((MS // 10, 2 * MS, 2 * MS, 10 * MS)),
        keeps_gaps=chance.random() < 0.5,
        apply_delay=chance.choice((MS, MS, MS, 10 * MS, 40 * MS)),
        final=chance.choice(("", "", "", "isolate", "partial", "leader")),
        drift=tuple(chance.choice((1.0, 1.0, 0.9, 1.1)) for _ in range(nodes + 4)),
    )


def _weather(chance: Random) -> Weather:
    if chance.random() < 0.4:
        return Weather()
    return Weather(
        jitter=chance.choice((2, 5, 20)) * MS,
        loss=chance.choice((0.0, 0.02, 0.1)),
        duplication=chance.choice((0.0, 0.02, 0.1)),
        replay=chance.choice((0.0, 0.0, 0.02)),
        lag=chance.choice((0.0, 0.01, 0.03)),
    )


STORM: Final = Weather(jitter=30 * MS, loss=0.2, duplication=0.1, replay=0.1, lag=0.1)
