"""What became of the last commands, by their ids: a command that is sent again gets its first outcome."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Lock
from typing import Any, Final, NamedTuple

import msgspec

from blockdb.cluster.waiting import answer, refuse, unanswered
from blockdb.errors import BlockDBError, IdempotencyConflict
from blockdb.format.applied import Outcome
from blockdb.wire.failures import Failure, error_of, failure_of

__all__ = ["MOST", "Expected", "Outcomes"]

MOST: Final = 100_000
"""Of so many commands the outcomes are kept."""

CONFLICT: Final = "This request came under an id that stood for another one before. Give each request an id of its own."


class Expected:
    """What becomes of commands that somebody waits for together: `done` once all of it is known. Safe for threads."""

    def __init__(self, count: int) -> None:
        self.became: list[Any] = [None] * count
        """Of each the value, or the error."""
        self.done: Future[None] = unanswered()
        self._left = count
        self._lock = Lock()

    def take(self, number: int, value: Any, error: BlockDBError | None) -> None:
        """This has become of one of them."""
        with self._lock:
            self.became[number] = value if error is None else error
            self._left -= 1
            is_last = not self._left
        if is_last:
            answer(self.done, None)


class _Waiter(NamedTuple):
    """Somebody who waits for a command."""

    digest: bytes
    """What the command is to be."""
    owner: object
    tell: Callable[[Any, BlockDBError | None], None]


class Outcomes:
    """The table, and those who wait for what is not in it yet. One thread adds to it, any may ask.

    The oldest goes for each new one beyond `most`: on every node the same.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.are_kept = False
        """Whether there is a database with which they are kept: what comes before it is only told."""
        self._lock = Lock()
        self._found: OrderedDict[bytes, Outcome] = OrderedDict()
        """The oldest first: to find that in a `dict`, whose first ones go again and again, takes O(n)."""
        self._fresh: dict[bytes, None] = {}
        self._waiting: dict[bytes, list[_Waiter]] = {}

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, id_: bytes) -> bool:
        return id_ in self._found

    def has_any(self, ids: Iterable[bytes]) -> bool:
        """Whether one of these was applied before."""
        return not self._found.keys().isdisjoint(ids)

    def repeated(self, id_: bytes, digest: bytes) -> bool:
        """Whether a command was applied before; who waits for it here is told then."""
        if id_ not in self._found:
            return False
        with self._lock:
            for waiter in self._waiting.pop(id_, ()):
                _tell(waiter, self._found[id_])
        return True

    def add(self, id_: bytes, digest: bytes, value: Any, error: BlockDBError | None = None) -> None:
        """A command has an outcome now; who waits for it is told."""
        self.add_all([(id_, digest, value if error is None else error)])

    def add_all(self, became: Iterable[tuple[bytes, bytes, Any]]) -> None:
        """Commands have outcomes now: of each its id, its digest, and the value or the error. O(n)."""
        outcomes = [_outcome(*each) for each in became]
        told: list[tuple[_Waiter, Outcome]] = []
        with self._lock:
            if self.are_kept:
                self._keep(outcomes)
            if self._waiting:
                told = [(waiter, each) for each in outcomes for waiter in self._waiting.pop(each.id, ())]
        for waiter, outcome in told:
            _tell(waiter, outcome)

    def _keep(self, outcomes: Sequence[Outcome]) -> None:
        found, fresh = self._found, self._fresh
        for outcome in outcomes:
            id_ = outcome.id
            if id_ in found:  # what is told anew comes last, as it does when it is read from files
                found.move_to_end(id_)
                fresh.pop(id_, None)
            found[id_] = outcome
            fresh[id_] = None
        while len(found) > self._most:
            oldest, _ = found.popitem(last=False)
            fresh.pop(oldest, None)

    def tell(self, id_: bytes, digest: bytes, value: Any, error: BlockDBError | None = None) -> None:
        """Tell who waits for a command here, but do not keep it: sent again, it may have another outcome."""
        with self._lock:
            waiting = self._waiting.pop(id_, ())
        for waiter in waiting:
            if error is not None and waiter.digest == digest:
                waiter.tell(None, error)
            else:
                _tell(waiter, Outcome(id_, digest, value))

    # Waiting.

    def expect(self, id_: bytes, digest: bytes) -> Future[Any]:
        """What will have become of a command: done at once if it was applied before. The errors are those of `add`.

        IdempotencyConflict where another command had the id. `forget` it, if nobody waits any more.
        """
        future: Future[Any] = unanswered()
        self._expect(id_, _Waiter(digest, future, partial(_settle, future)))
        return future

    def expect_all(self, wanted: Sequence[tuple[bytes, bytes]]) -> Expected:
        """The same for several commands, by ids and digests: cheaper than a future for each. `forget` all of them."""
        expected = Expected(len(wanted))
        for number, (id_, digest) in enumerate(wanted):
            self._expect(id_, _Waiter(digest, expected, partial(expected.take, number)))
        return expected

    def _expect(self, id_: bytes, waiter: _Waiter) -> None:
        with self._lock:
            found = self._found.get(id_)
            if found is None:
                self._waiting.setdefault(id_, []).append(waiter)
        if found is not None:
            _tell(waiter, found)

    def found(self, id_: bytes) -> Future[Any] | None:
        """What became of the command of that id, whatever it was; None: it was not applied, or too long ago."""
        outcome = self._found.get(id_)
        if outcome is None:
            return None
        future: Future[Any] = unanswered()
        _tell(_Waiter(outcome.digest, future, partial(_settle, future)), outcome)
        return future

    def forget(self, id_: bytes, owner: object) -> None:
        """Nobody waits with this future, or this `Expected`, any more."""
        with self._lock:
            left = [waiter for waiter in self._waiting.get(id_, ()) if waiter.owner is not owner]
            if left:
                self._waiting[id_] = left
            else:
                self._waiting.pop(id_, None)

    def fail(self, error: BlockDBError) -> None:
        """Nothing is applied here any more: all who wait are told."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for several in waiting.values():
            for waiter in several:
                waiter.tell(None, error)

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
        found: OrderedDict[bytes, Outcome] = OrderedDict()
        for outcome in outcomes:
            found.pop(outcome.id, None)  # it may have been forgotten and come again
            found[outcome.id] = outcome
        while len(found) > self._most:
            found.popitem(last=False)
        with self._lock:
            self._found, self._fresh = found, {}
            known = {id_: self._waiting.pop(id_) for id_ in list(self._waiting) if id_ in found}
        for id_, waiting in known.items():
            for waiter in waiting:
                _tell(waiter, found[id_])


def _outcome(id_: bytes, digest: bytes, became: Any) -> Outcome:
    if isinstance(became, BlockDBError):
        return Outcome(id_, digest, None, _failure(became))
    return Outcome(id_, digest, became)


def _settle(future: Future[Any], value: Any, error: BlockDBError | None) -> None:
    if error is None:
        answer(future, value)
    else:
        refuse(future, error)


def _tell(waiter: _Waiter, outcome: Outcome) -> None:
    if outcome.digest != waiter.digest:
        waiter.tell(None, IdempotencyConflict(CONFLICT))
    elif outcome.failure is None:
        waiter.tell(outcome.value, None)
    else:
        kind, message, arguments = outcome.failure
        waiter.tell(None, error_of(Failure(kind=kind, message=message, arguments=arguments)))


def _failure(error: BlockDBError) -> tuple[str, str, list[Any]]:
    """As it is kept: the same before and after it was written."""
    failure = failure_of(error)
    message = failure.message.encode(errors="backslashreplace").decode()
    try:
        return failure.kind, message, msgspec.msgpack.decode(msgspec.msgpack.encode(failure.arguments))
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError):  # what cannot be told to anybody
        return failure.kind, message, []
