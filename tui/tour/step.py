"""A step of the tour: what it tells, the keys that it presses, what is waited for, and what must be true then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..app import Explorer
    from ..cluster.scene import Scene

__all__ = ["Broken", "Ground", "Outcome", "Phase", "Step", "keys_of"]

NAMES = {"⏎": "enter", "Esc": "escape", "Home": "home", "↓": "down", "↑": "up"}


class Broken(Exception):
    """What must be true is not."""


class Phase(Enum):
    """How far a step is."""

    READY = "·"
    DOING = "◐"
    DONE = "✓"
    FAILED = "✗"
    SKIPPED = "–"


@dataclass(frozen=True)
class Outcome:
    """How far a step is, and what came of it."""

    phase: Phase = Phase.READY
    words: str = ""


@dataclass
class Ground:
    """Where the steps work, and what they have to remember of each other."""

    explorer: Explorer
    scene: Callable[[], Scene]
    """Starts a cluster and gives its scene. Waits; raises BlockDBError and OSError."""
    leader: str = ""
    """Who led before it was killed."""
    term: int = 0
    commit: int = 0


def nothing(_: Ground) -> str:
    """Nothing is pressed."""
    return ""


def at_once(_: Ground) -> bool:
    """Nothing is waited for."""
    return True


def said(words: str) -> Callable[[Ground], str]:
    """Nothing has to be true; words to go on."""
    return lambda _: words


@dataclass(frozen=True)
class Step:
    """One step. Its functions, but `keys`, run off the event loop, and may wait for a moment."""

    name: str
    title: str
    words: str
    """What is about to happen, in one or two sentences."""
    holds: Callable[[Ground], str]
    """What is true then, in words. Raises Broken."""
    keys: Callable[[Ground], str] = nothing
    """The keys that it presses, as they are shown, with blanks between: `1 J tour:0001 ⏎`."""
    until: Callable[[Ground], bool] = at_once
    patience_s: float = 10.0
    prepare: Callable[[Ground], None] | None = None
    """What is done before that no key does. Raises BlockDBError, OSError."""
    on_cluster: bool = False
    """Whether it needs the cluster."""
    is_once: bool = False
    """Whether it is not done again when one goes back to it."""


def keys_of(shown: str) -> list[str]:
    """The keys by their names, one after the other; what is longer than a key is typed, with ␣ for a blank."""
    found: list[str] = []
    for word in shown.split():
        found += [NAMES[word]] if word in NAMES else list(word.replace("␣", " "))
    return found
