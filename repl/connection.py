"""The database that the shell works on: opened behind the first prompt, changed by connect, lost and found again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from blockdb.commands.display import human_duration
from blockdb.commands.failures import CannotOpen, IoError
from blockdb.commands.locating import Location, named_location, title_of
from blockdb.commands.servers import Server
from blockdb.errors import BlockDBError, RequestTimeout, Unavailable

from .opening import Opening

if TYPE_CHECKING:
    from blockdb import AnyDatabase

__all__ = ["Connection", "seconds"]

PATIENCE_S = 10.0
"""How long a command waits for a server that is not there; ^C gives up sooner."""
GLANCE_S = 0.1
"""How often ^C is looked for meanwhile."""


class Connection:
    """Where the shell is. `location` is a directory or a server; calling it gives the open database.

    Of a server it knows since when no answer came, as whoever asks something `found` or `missed` it.
    """

    def __init__(
        self,
        location: Location,
        open_it: Callable[[Location], AnyDatabase],
        failed: Callable[[BaseException], None] = lambda _: None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`open_it` opens a location; `failed` is told when that fails behind the first prompt."""
        self.when_lost: Callable[[BlockDBError], None] = lambda _: None
        """Told when the server does not answer any more; from any thread, as the next one."""
        self.when_found: Callable[[float], None] = lambda _: None
        """Told when it answers again, after how many seconds."""
        self.location = location
        self._open_it = open_it
        self._steady = steady
        self._opening = Opening(lambda: open_it(location), failed)
        self._there = threading.Event()
        self._there.set()
        self._lost_at_s: float | None = None

    def __call__(self) -> AnyDatabase:
        """The open database, as soon as it is open. Raises what opening it raised."""
        return self._opening()

    @property
    def is_server(self) -> bool:
        """Whether it is a server, which may be lost and found again."""
        return isinstance(self.location, Server)

    def connect(self, word: str) -> str:
        """Go on with what a word names, and say where that is; if it cannot be opened, all stays as it is.

        Raises `ConfigError`, and what stands in the way of opening it.
        """
        location = named_location(word)
        opening = Opening(lambda: self._open_it(location), lambda _: None)
        try:
            opening()
        except CannotOpen as error:  # which would end the shell
            raise error.__cause__ or IoError(str(error)) from None
        before, self._opening, self.location = self._opening, opening, location
        self._lost_at_s = None
        self._there.set()
        before.close()
        return title_of(location)

    # A server that goes away, and comes back.

    @property
    def lost_s(self) -> float | None:
        """For how long the server has not answered; None while it does."""
        lost_at_s = self._lost_at_s
        return None if lost_at_s is None else self._steady() - lost_at_s

    def missed(self, error: BaseException) -> None:
        """An answer was an error: perhaps there is no server any more."""
        if not self.is_server or not isinstance(error, (Unavailable, RequestTimeout)) or self._lost_at_s is not None:
            return
        self._lost_at_s = self._steady()
        self._there.clear()
        self.when_lost(error)

    def found(self) -> None:
        """An answer came."""
        lost_s, self._lost_at_s = self.lost_s, None
        self._there.set()
        if lost_s is not None:
            self.when_found(lost_s)

    def await_server(self) -> None:
        """Wait for a server that is lost, but not for ever. Raises `Unavailable`."""
        end_s = self._steady() + PATIENCE_S
        while not self._there.wait(GLANCE_S):
            if self._steady() >= end_s:
                away = f"{title_of(self.location)} has not answered for {seconds(self.lost_s or 0)}"
                raise Unavailable(
                    f"{away}; nothing was asked of it. It is tried again all the time; see whether the server runs."
                )

    def close(self) -> None:
        """Close the database, if it was ever opened."""
        self._opening.close()


def seconds(duration_s: float) -> str:
    """A span of time in whole seconds, or in more than that."""
    return f"{duration_s:.0f} s" if duration_s < 60 else human_duration(duration_s)
