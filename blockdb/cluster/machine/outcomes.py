"""What became of the last commands, by their ids: a command that is sent again gets its first outcome."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from threading import Lock
from typing import Any, Final

import msgspec

from blockdb.cluster.waiting import answer, refuse, unanswered
from blockdb.errors import BlockDBError, IdempotencyConflict
from blockdb.format.applied import Outcome
from blockdb.wire.failures import Failure, error_of, failure_of

__all__ = ["MOST", "Outcomes"]

MOST: Final = 100_000
"""Of so many commands the outcomes are kept."""

CONFLICT: Final = "This request came under an id that stood for another one before. Give each request an id of its own."


class Outcomes:
    """The table, and those who wait for what is not in it yet. One thread adds to it, any may ask.

    The oldest goes for each new one beyond `most`: on every node the same.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.are_kept = False
        """Whether there is a database with which they are kept: what comes before it is only told."""
        self._lock = Lock()
        self._found: dict[bytes, Outcome] = {}
        self._fresh: dict[bytes, None] = {}
        self._waiting: dict[bytes, list[tuple[bytes, Future[Any]]]] = {}

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, id_: bytes) -> bool:
        return id_ in self._found

    def repeated(self, id_: bytes, digest: bytes) -> bool:
        """Whether a command was applied before; who waits for it here is told then."""
        if id_ not in self._found:
            return False
        with self._lock:
            for wanted, future in self._waiting.pop(id_, ()):
                _tell(future, self._found[id_], wanted)
        return True

    def add(self, id_: bytes, digest: bytes, value: Any, error: BlockDBError | None = None) -> None:
        """A command has an outcome now; who waits for it is told."""
        outcome = Outcome(id_, digest, value, None if error is None else _failure(error))
        with self._lock:
            if self.are_kept:
                self._found[id_] = outcome
                self._fresh[id_] = None
            if len(self._found) > self._most:
                oldest = next(iter(self._found))
                del self._found[oldest]
                self._fresh.pop(oldest, None)
            waiting = self._waiting.pop(id_, ())
        for wanted, future in waiting:
            _tell(future, outcome, wanted)

    # Waiting.

    def expect(self, id_: bytes, digest: bytes) -> Future[Any]:
        """What will have become of a command: done at once if it was applied before. The errors are those of `add`.

        IdempotencyConflict where another command had the id. `forget` it, if nobody waits any more.
        """
        future: Future[Any] = unanswered()
        with self._lock:
            found = self._found.get(id_)
            if found is None:
                self._waiting.setdefault(id_, []).append((digest, future))
        if found is not None:
            _tell(future, found, digest)
        return future

    def found(self, id_: bytes) -> Future[Any] | None:
        """What became of the command of that id, whatever it was; None: it was not applied, or too long ago."""
        outcome = self._found.get(id_)
        if outcome is None:
            return None
        future: Future[Any] = unanswered()
        _tell(future, outcome, outcome.digest)
        return future

    def forget(self, id_: bytes, future: Future[Any]) -> None:
        """Nobody waits with this future any more."""
        with self._lock:
            left = [(digest, other) for digest, other in self._waiting.get(id_, ()) if other is not future]
            if left:
                self._waiting[id_] = left
            else:
                self._waiting.pop(id_, None)

    def fail(self, error: BlockDBError) -> None:
        """Nothing is applied here any more: all who wait are told."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for several in waiting.values():
            for _, future in several:
                refuse(future, error)

    # Keeping.

    def all(self) -> list[Outcome]:
        """All of them, the oldest first."""
        return list(self._found.values())

    def take_fresh(self) -> list[Outcome]:
        """Those that were added since the last time."""
        with self._lock:
            fresh, self._fresh = self._fresh, {}
        return [self._found[id_] for id_ in fresh]

    def restore(self, outcomes: Iterable[Outcome]) -> None:
        """Have these alone, which are kept elsewhere; the oldest come first. Who waits for one of them is told."""
        found: dict[bytes, Outcome] = {}
        for outcome in outcomes:
            found.pop(outcome.id, None)  # it may have been forgotten and come again
            found[outcome.id] = outcome
        for id_ in list(found)[: max(0, len(found) - self._most)]:
            del found[id_]
        with self._lock:
            self._found, self._fresh = found, {}
            known = {id_: self._waiting.pop(id_) for id_ in list(self._waiting) if id_ in found}
        for id_, waiting in known.items():
            for wanted, future in waiting:
                _tell(future, found[id_], wanted)


def _tell(future: Future[Any], outcome: Outcome, wanted: bytes) -> None:
    if outcome.digest != wanted:
        refuse(future, IdempotencyConflict(CONFLICT))
    elif outcome.failure is None:
        answer(future, outcome.value)
    else:
        kind, message, arguments = outcome.failure
        refuse(future, error_of(Failure(kind=kind, message=message, arguments=arguments)))


def _failure(error: BlockDBError) -> tuple[str, str, list[Any]]:
    """As it is kept: the same before and after it was written."""
    failure = failure_of(error)
    message = failure.message.encode(errors="backslashreplace").decode()
    try:
        return failure.kind, message, msgspec.msgpack.decode(msgspec.msgpack.encode(failure.arguments))
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError):  # what cannot be told to anybody
        return failure.kind, message, []
