"""What a shell remembers from line to line: the record that it wrote or read last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .following import Traced
    from .trust import Trust

__all__ = ["Last", "Memory"]


@dataclass(frozen=True)
class Last:
    """A record; `collection` is None for the default one, `trace` is there if it was written here."""

    collection: str | None
    key: bytes
    trace: Traced | None = None
    took_ms: float | None = None
    """How long the write took, until it was answered."""


@dataclass
class Memory:
    """Shared by all lines of one shell."""

    last: Last | None = None
    told: Trust | None = None
    """What was said last of what is read: below tables it is said once, and again when it has changed."""
