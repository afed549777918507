"""A remote change stream: it goes on behind what was had last, whatever becomes of the connection."""

from __future__ import annotations

from dataclasses import replace
from queue import Empty, Full, Queue
from random import random
from threading import Event, Thread
from time import monotonic
from typing import Final
from weakref import finalize

import msgspec

from blockdb.client.link import Link
from blockdb.client.plans.plan import Ask, restored
from blockdb.errors import BlockDBError, DatabaseClosed, RequestTimeout, Unavailable
from blockdb.types import Change
from blockdb.wire.messages.server import Watch, Watched, asked_as

__all__ = ["RemoteFeed", "behind", "change_of"]

MOST_WAITING: Final = 1_000
"""So many changes are fetched ahead of whoever takes them."""
LOOK_S: Final = 0.2
"""So often somebody who waits looks whether it is over."""


class RemoteFeed:
    """See `blockdb.Feed`. A thread reads the stream; where it breaks off, it is opened again behind the last change.

    Raises Unavailable where no server could be reached for as long as a request may take. It is stopped when nobody has
    it any more.
    """

    def __init__(self, link: Link, wanted: Watch, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._reader = reader = _Reader(link, wanted)
        self._position = reader.position
        finalize(self, reader.stop)
        Thread(target=reader.read, name="blockdb-feed", daemon=True).start()

    @property
    def position(self) -> int | str:
        """See `blockdb.Feed.position`."""
        return self._position

    def __iter__(self) -> RemoteFeed:
        return self

    def __next__(self) -> Change:
        change = self.take(self._timeout_s)
        if change is None:
            raise StopIteration
        return change

    def take(self, timeout_s: float | None = None) -> Change | None:
        """See `blockdb.Feed.take`."""
        deadline = float("inf") if timeout_s is None else monotonic() + timeout_s
        while not self._reader.has_nothing_more():
            try:
                told = self._reader.told.get(timeout=max(0.0, min(LOOK_S, deadline - monotonic())))
            except Empty:
                if monotonic() >= deadline:
                    return None
                continue
            if isinstance(told, BlockDBError):
                raise told
            self._position = told.place
            if told.change is not None:
                return change_of(told)
        return None

    def stop(self) -> None:
        """See `blockdb.Feed.stop`."""
        self._reader.stop()

    def is_over(self) -> bool:
        """See `blockdb.Feed.is_over`."""
        return self._reader.is_over()


class _Reader:
    """What the thread has: it does not know the feed, which ends when nobody has it any more."""

    def __init__(self, link: Link, wanted: Watch) -> None:
        self.told: Queue[Watched | BlockDBError] = Queue(MOST_WAITING)
        self._link = link
        self._stopped, self._ended = Event(), Event()
        self._stream = link.stream(Ask("watch", wanted))
        self._answers = iter(self._stream)
        first: Watched | None = next(self._answers, None)
        if first is None:
            raise Unavailable("The server ended the stream before it began: it is about to stop.")
        self.position: int | str = first.place
        """Where it began."""
        self._wanted = behind(wanted, first.place)
        """The stream from behind what was had last."""

    def is_over(self) -> bool:
        return self._stopped.is_set() or self._link.is_closed

    def has_nothing_more(self) -> bool:
        return self.is_over() or (self._ended.is_set() and self.told.empty())

    def stop(self) -> None:
        self._stopped.set()
        self._stream.stop()

    def read(self) -> None:
        """In the thread: hand over what comes until it is over."""
        try:
            while self._followed():
                self._open_again()
        except DatabaseClosed:
            pass
        except BlockDBError as error:
            self._put(error)
        finally:
            self._stream.close()
            self._ended.set()

    def _followed(self) -> bool:
        """Hand over what comes, up to the end of the stream; whether there is to be another one."""
        try:
            for told in self._answers:
                if not self._put(told):
                    return False
                self._wanted = behind(self._wanted, told.place)
        except (Unavailable, RequestTimeout):
            pass
        return not self.is_over()

    def _open_again(self) -> None:
        policy = self._link.transport.policy
        deadline, pauses = monotonic() + policy.timeout_s, 0
        while True:
            self._link.transport.pause(policy.pause_s(pauses, random()))
            pauses += 1
            try:
                self._stream = self._link.stream(Ask("watch", self._wanted))
                self._answers = iter(self._stream)
                return
            except (Unavailable, RequestTimeout):
                if monotonic() > deadline or self.is_over():
                    raise

    def _put(self, told: Watched | BlockDBError) -> bool:
        """Whether somebody still takes it."""
        while not self.is_over():
            try:
                self.told.put(told, timeout=LOOK_S)
            except Full:
                continue
            return True
        return False


def behind(wanted: Watch, place: int | str) -> Watch:
    """The same stream from behind a record on."""
    return msgspec.structs.replace(wanted, **asked_as(place))


def change_of(told: Watched) -> Change | None:
    """The change, if there is one."""
    change = told.change
    return None if change is None else replace(change, record=restored(change.record))
