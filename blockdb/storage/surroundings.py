"""What a database takes from outside for what it stores: the time, and chance."""

from __future__ import annotations

from os import urandom
from time import time_ns
from typing import Final
from uuid import UUID

__all__ = ["MACHINE", "Surroundings"]


class Surroundings:
    """The clock and the chance of this machine. Safe for threads.

    Where several nodes are to store the same bytes, a subclass gives what came along with each command.
    """

    is_shared = False
    """Whether others store the same: then nothing is stored but what a command says."""

    told_from: int | None = None
    """From which event of the journal on a command that was cut short may have told what it has to tell."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return time_ns() // 1_000_000

    def chance(self, size: int, purpose: str) -> bytes:
        """So many bytes that nobody can guess, other ones each time. `purpose` says what for, in a word or two."""
        return urandom(size)

    def new_id(self, purpose: str) -> UUID:
        """An id that nothing else has."""
        return UUID(bytes=self.chance(16, purpose), version=4)


MACHINE: Final = Surroundings()
"""Those of this machine."""
