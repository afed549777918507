"""Parking: of very many collections those that nobody uses give back their files and memory, until somebody does.

A parked collection is as if it was closed, but its object stays: whoever holds it need not know. What it let go of is
gone from its attributes; the first to ask for one of those has the collection opened again, as recovery opens it. So
nothing is asked while it is open, and who reads with what was there before comes to the end of it undisturbed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock, RLock
from typing import Any, Final, Protocol

LEAST_OPEN: Final = 8
"""So many collections may be open however low the limit is."""


class Tryable(Protocol):
    """A lock that can be tried."""

    def acquire(self, blocking: bool = True) -> bool:
        """Take it, if it is free."""

    def release(self) -> None:
        """Give it back."""


@contextmanager
def all_free(locks: Sequence[Tryable]) -> Iterator[bool]:
    """Hold all of these locks, if all are free, and say whether they are. Nobody is waited for."""
    held: list[Tryable] = []
    try:
        for lock in locks:
            if not lock.acquire(blocking=False):
                break
            held.append(lock)
        yield len(held) == len(locks)
    finally:
        for lock in reversed(held):
            lock.release()


class Resource:
    """An attribute that is gone while the collection is parked. It costs nothing while it is there."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, owner: Parkable | None, kind: type | None = None) -> Any:
        """Asked when the object itself has no such attribute: open the collection again."""
        if owner is None:
            return self
        with owner.unparking:  # so that it is not parked again before we have it
            owner.unpark()
            try:
                return vars(owner)[self._name]
            except KeyError:
                raise AttributeError(f"{type(owner).__name__} has no {self._name} yet") from None


def resources(kind: type, *names: str) -> None:
    """Let these attributes of a kind of collection go while it is parked."""
    for name in names:
        resource = Resource()
        resource.__set_name__(kind, name)
        setattr(kind, name, resource)


class Parkable:
    """What can be parked. Its subclass says which attributes go, how they come back, and when it may be."""

    _parking_lot: ParkingLot | None = None

    def __init__(self) -> None:
        self.is_parked = False
        self.unparking = RLock()

    @property
    def activity(self) -> object:
        """Another value whenever somebody did something with it, nearly."""
        raise NotImplementedError

    def park(self) -> bool:
        """Let go of files and memory, unless somebody is at work, and say whether that was done. Waits for nobody."""
        raise NotImplementedError

    def unpark(self) -> None:
        """Have the attributes back. Raises BlockDBError, DatabaseClosed too."""
        with self.unparking:
            if not self.is_parked:
                return
            self.is_parked = False
            try:
                self.resume()
            except BaseException:
                self.let_go()
                raise
        if self._parking_lot is not None:
            self._parking_lot.arrived(self)

    def leave(self) -> None:
        """It is closed, and not to be parked any more."""
        if self._parking_lot is not None:
            self._parking_lot.left(self)

    def resume(self) -> None:
        """Make the attributes again."""
        raise NotImplementedError

    def let_go(self) -> None:
        """Forget the attributes; under `unparking`."""
        self.is_parked = True
        for kind in type(self).__mro__:
            for name, value in vars(kind).items():
                if isinstance(value, Resource):
                    vars(self).pop(name, None)


class ParkingLot:
    """The collections that are open, and may be parked once they are more than `limit`. Safe for threads.

    Who did nothing for the longest time goes first. That is looked at when room is needed, so that using a collection
    costs nothing (the second chance of clock algorithms). Those at work stay, and the limit is passed meanwhile.
    """

    def __init__(self, limit: int) -> None:
        self.limit = max(limit, LEAST_OPEN)
        self._changing = Lock()
        self._open: dict[Parkable, object] = {}
        """What each had done when it was looked at; who did something most lately stands last."""

    def __len__(self) -> int:
        return len(self._open)

    def arrived(self, collection: Parkable) -> None:
        """One more is open: others are parked for it. O(open collections), and the parking."""
        collection._parking_lot = self
        with self._changing:
            self._open[collection] = collection.activity
            if len(self._open) <= self.limit:
                return
            self._sort()
            candidates = [other for other in self._open if other is not collection]
        for other in candidates:
            if other.park():
                self.left(other)
            if len(self._open) <= self.limit:
                return

    def left(self, collection: Parkable) -> None:
        """It is not open any more."""
        with self._changing, suppress(KeyError):
            del self._open[collection]

    def _sort(self) -> None:
        for collection, seen in list(self._open.items()):
            activity = collection.activity
            if activity != seen:
                del self._open[collection]
                self._open[collection] = activity
