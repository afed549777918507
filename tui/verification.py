"""One verification of the whole chain: started, watched, cancelled. It outlives the view that asked for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from blockdb import AnyCollection, Problem, Progress, Report

__all__ = ["Verification", "collection_of"]


class Verifiable(Protocol):
    """An open database, or a directory that does not open."""

    def verify(self, progress: Callable[[Progress], None], cancel: Callable[[], bool], /) -> Report:
        """Recomputes everything; see `blockdb.Database.verify`."""


class Verification:
    """What is known of the verification that runs, or ran last. Written by its thread, read by the screen."""

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self.progress: Progress | None = None
        self.report: Report | None = None
        self.running = False
        self.elsewhere = False
        """Whether a server verifies, whose word is taken: nothing is recomputed here."""
        self.reads_are_proven = False
        """Whether each record that is read from a server comes with a proof, which is checked here."""
        self.of: AnyCollection | None = None
        """The collection that is, or was, looked at alone."""
        self._started_s = 0.0
        self._cancel = threading.Event()

    def run(self, verifiable: Verifiable) -> Report:
        """Verifies; waits until it is done or cancelled, so call it off the event loop."""
        return verifiable.verify(self._note, self._cancel.is_set)

    def begin(self, of: AnyCollection | None = None) -> None:
        """Forgets the last one. `of` is the collection that is looked at, if it is not all of the database."""
        self.progress, self.report, self.of = None, None, of
        self.running = True
        self._started_s = self._steady()
        self._cancel.clear()

    def forget(self) -> None:
        """Forgets what was found: it is another database, or the same one anew."""
        if not self.running:
            self.progress, self.report = None, None

    def end(self, report: Report | None) -> None:
        """Keeps what came of it."""
        self.report = report
        self.running = False

    def cancel(self) -> None:
        """Asks it to stop; it does at the next record or so."""
        self._cancel.set()

    def _note(self, progress: Progress) -> None:
        self.progress = progress

    @property
    def good(self) -> str:
        """The word for what was found to be as it was written."""
        return "verified" if self.elsewhere else "proven"

    @property
    def elapsed_s(self) -> float:
        """How long it has been running."""
        return self._steady() - self._started_s

    @property
    def share(self) -> float:
        """How much is done, 0…1."""
        progress = self.progress
        if progress is None:
            return 0.0
        return progress.records_done / progress.records_total if progress.records_total else 1.0

    def proven_to(self, collection: AnyCollection) -> int:
        """How many blocks of a collection were recomputed and hold, from the first on.

        None while it runs, and none where it was cancelled: parts of the chain are looked at in any order.
        """
        if self.report is None or self.report.cancelled or self.of not in (None, collection):
            return 0
        good = (block.number for block in self.report.last_good if block.collection == collection.id)
        return max(good, default=-1) + 1

    def bad_blocks(self, collection: AnyCollection) -> dict[int, Problem]:
        """The first problem of each block of a collection that has one."""
        found: dict[int, Problem] = {}
        for problem in self.report.problems if self.report is not None else ():
            if problem.block is not None and collection_of(problem) in (None, collection.id):
                found.setdefault(problem.block, problem)
        return found


def collection_of(problem: Problem) -> str | None:
    """The id of the collection that a problem is in, if its path tells."""
    folder, _, rest = problem.path.partition("/")
    return rest.partition("/")[0] or None if folder == "collections" else None
