"""Whether the server answers: since when it does not, and in which words that is told."""

from __future__ import annotations

import time
from collections.abc import Callable

import blockdb
from blockdb.commands.display import human_duration

__all__ = ["OUT_OF_TOUCH", "Contact"]

OUT_OF_TOUCH = (blockdb.Unavailable, blockdb.RequestTimeout, blockdb.RateLimited)
"""Errors that say nothing of the database, but that its server did not answer now."""


class Contact:
    """What is known of the connection to a server. `steady` is a clock in seconds that never goes back."""

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._lost_at_s: float | None = None
        self._why = ""

    @property
    def lost(self) -> bool:
        """Whether what is shown may be out of date, because no answer comes."""
        return self._lost_at_s is not None

    def missed(self, why: str, since_s: float | None = None) -> bool:
        """No answer came, for a reason, and since a moment of the clock. Says whether that is news."""
        news = self._lost_at_s is None
        if self._lost_at_s is None:
            self._lost_at_s = self._steady() if since_s is None else since_s
        self._why = why or self._why
        return news

    def found(self) -> None:
        """An answer came."""
        self._lost_at_s, self._why = None, ""

    def words(self, name: str) -> str:
        """What is told of a server of that name, with the reason at the end, where it may be cut off."""
        if self._lost_at_s is None:
            return ""
        away_s = self._steady() - self._lost_at_s
        away = f"{away_s:.0f} s" if away_s < 60 else human_duration(away_s)
        why = f" ({self._why})" if self._why else ""
        return f"No answer for {away}; trying again. Shown is what was before · {name}{why}"
