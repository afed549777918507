"""The lab as the explorer knows it: a copy that is made when it is first needed, and what came of each tampering."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import blockdb
from blockdb import config

if TYPE_CHECKING:
    from blockdb.commands.tamper_lab import Lab, Outcome, Tampering

__all__ = ["GivenUp", "Laboratory"]


class GivenUp(Exception):
    """Nobody wants to know any more what comes of a tampering."""


def _open_lab(source: Path) -> Lab:
    from blockdb.commands.tamper_lab import open_lab  # here: the first view does not need it

    return open_lab(source, config.load().key_file)


class Laboratory:
    """What is known of the lab. `run` and `keep` wait for the disk, so they are called off the event loop."""

    def __init__(self, open_lab: Callable[[Path], Lab] | None = None) -> None:
        self._open_lab = open_lab or _open_lab
        self._lab: Lab | None = None
        self._lock = threading.Lock()
        self._closings = 0
        self._latest: Outcome | None = None
        self.outcomes: dict[str, Outcome] = {}
        """What came of each tampering, by its name."""
        self.troubles: dict[str, str] = {}
        """Why one could not be tried; it may quote what is stored."""
        self.doing: tuple[str, str] | None = None
        """The name of the tampering that is being tried, and what is being done."""
        self.chosen: bytes | None = None
        """The key of the record to be tampered with; None: one in the middle."""
        self._given_up = threading.Event()

    def choose(self, key: bytes | None) -> None:
        """Chooses the record; what came of others is forgotten."""
        if key != self.chosen:
            self.chosen = key
            self.outcomes.clear()
            self.troubles.clear()

    def begin(self) -> None:
        """What was given up before has nothing to do with what is tried next."""
        self._given_up.clear()

    def give_up(self) -> None:
        """Asks the tampering that is under way to stop: it does after the copying or the check that it is at."""
        self._given_up.set()
        if self.doing is not None:
            self.doing = self.doing[0], "stopping"

    def run(self, source: Path, tampering: Tampering) -> Outcome:
        """Tries a tampering on a copy of the database at `source`. Raises `BlockDBError`, `OSError` and `GivenUp`."""
        with self._lock:
            lab = self._opened(source)
            self._latest = outcome = lab.run(tampering, self._tell, key=self.chosen)
            return outcome

    def keep(self, source: Path, tampering: Tampering, target: Path) -> Outcome:
        """Leaves the tampered copy in a new directory; tampers with it again if need be. Raises as `run`."""
        with self._lock:
            lab = self._opened(source)
            if self._latest is None or self._latest.tampering is not tampering:
                self._latest = lab.run(tampering, self._tell, key=self.chosen)
            return lab.keep(self._latest, target)

    def is_there(self, outcome: Outcome) -> bool:
        """Whether the copy that the outcome is about can still be looked at."""
        latest = self._latest
        return latest is None or outcome is latest or outcome.path != latest.path

    def _opened(self, source: Path) -> Lab:
        if self._lab is not None and self._lab.source != source:
            self._lab.close()
            self._lab = None
        if self._lab is None:
            closings = self._closings
            self._tell("copying the database")
            lab = self._open_lab(source)
            if closings != self._closings:  # nobody wants it any more
                lab.close()
                raise blockdb.DatabaseClosed("The copy was given up while it was made.")
            self._lab = lab
        return self._lab

    def _tell(self, words: str) -> None:
        if self._given_up.is_set():
            raise GivenUp
        if self.doing is not None:
            self.doing = self.doing[0], words

    def close(self) -> None:
        """Removes the copies, and forgets what came of them; from any thread, and also while one is at work."""
        self._closings += 1
        lab, self._lab, self._latest = self._lab, None, None
        self.outcomes.clear()
        self.troubles.clear()
        if lab is not None:
            lab.close()
