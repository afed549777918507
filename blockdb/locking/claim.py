"""What somebody wants to lock, or has locked: a part of a space, shared or exclusively."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TypeAlias

Space: TypeAlias = Hashable
"""What keys belong to: those of one collection, or the entries of one index."""


def behind(key: bytes) -> bytes:
    """The first key after `key`: a single key is the range up to there."""
    return key + b"\0"


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """The keys from `start` on, before `stop` (None: all of them), for `owner`. Every claim is one of its own."""

    owner: int
    start: bytes
    stop: bytes | None
    exclusive: bool

    @property
    def is_point(self) -> bool:
        """Whether it is for one key alone."""
        return self.stop == behind(self.start)

    def overlaps(self, start: bytes, stop: bytes | None) -> bool:
        """Whether a range has keys of this claim."""
        return (self.stop is None or start < self.stop) and (stop is None or self.start < stop)

    def covers(self, other: Claim) -> bool:
        """Whether who has this one needs not ask for the other."""
        return (
            self.start <= other.start
            and (self.stop is None or (other.stop is not None and other.stop <= self.stop))
            and (self.exclusive or not other.exclusive)
        )

    def conflicts(self, other: Claim) -> bool:
        """Whether the two cannot be held at the same time."""
        return (
            self.owner != other.owner and (self.exclusive or other.exclusive) and self.overlaps(other.start, other.stop)
        )
