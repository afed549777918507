"""A remote change stream: it goes on behind what was had last, whatever becomes of the connection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from queue import Empty, Full, Queue
from random import random
from threading import Event, Thread
from time import monotonic
from typing import Any, Final

import msgspec

from blockdb.client.link import Link, Stream
from blockdb.client.plans.plan import Ask, restored
from blockdb.errors import BlockDBError, DatabaseClosed, RequestTimeout, Unavailable
from blockdb.types import Change
from blockdb.wire.messages.server import Watch, Watched

__all__ = ["RemoteFeed", "behind", "change_of"]

MOST_WAITING: Final = 1_000
"""So many changes are fetched ahead of whoever takes them."""
LOOK_S: Final = 0.2
"""So often somebody who waits looks whether it is over."""


class RemoteFeed:
    """See `blockdb.Feed`. A thread reads the stream; where it breaks off, it is opened again behind the last change.

    Raises Unavailable where no server could be reached for as long as a request may take.
    """

    def __init__(self, link: Link, wanted: Watch, timeout_s: float | None) -> None:
        self._link = link
        self._timeout_s = timeout_s
        self._told: Queue[Watched | BlockDBError] = Queue(MOST_WAITING)
        self._stopped, self._ended = Event(), Event()
        self._stream, answers = self._opened(wanted)
        first: Watched | None = next(answers, None)
        if first is None:
            raise Unavailable("The server ended the stream before it began: it is about to stop.")
        self._wanted = behind(wanted, first.position)
        self._position = first.position
        Thread(target=self._read, args=(answers,), name="blockdb-feed", daemon=True).start()

    @property
    def position(self) -> int:
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
        while not self.is_over() and not (self._ended.is_set() and self._told.empty()):
            try:
                told = self._told.get(timeout=max(0.0, min(LOOK_S, deadline - monotonic())))
            except Empty:
                if monotonic() >= deadline:
                    return None
                continue
            if isinstance(told, BlockDBError):
                raise told
            self._position = told.position
            if told.change is not None:
                return change_of(told)
        return None

    def stop(self) -> None:
        """See `blockdb.Feed.stop`."""
        self._stopped.set()
        self._stream.stop()

    def is_over(self) -> bool:
        """See `blockdb.Feed.is_over`."""
        return self._stopped.is_set() or self._link.is_closed

    # In the thread that reads.

    def _read(self, answers: Iterator[Any]) -> None:
        try:
            while not self.is_over():
                if not self._followed(answers):
                    return
                self._stream, answers = self._opened_again()
        except DatabaseClosed:
            pass
        except BlockDBError as error:
            self._put(error)
        finally:
            self._stream.stop()
            self._ended.set()

    def _followed(self, answers: Iterator[Any]) -> bool:
        """Hand over what comes, up to the end of the stream; whether there is to be another one."""
        try:
            for told in answers:
                if not self._put(told):
                    return False
                self._wanted = behind(self._wanted, told.position)
        except (Unavailable, RequestTimeout):
            pass
        return not self.is_over()

    def _opened_again(self) -> tuple[Stream, Iterator[Any]]:
        policy = self._link.transport.policy
        deadline, pauses = monotonic() + policy.timeout_s, 0
        while True:
            self._link.transport.pause(policy.pause_s(pauses, random()))
            pauses += 1
            try:
                return self._opened(self._wanted)
            except (Unavailable, RequestTimeout):
                if monotonic() > deadline or self.is_over():
                    raise

    def _opened(self, wanted: Watch) -> tuple[Stream, Iterator[Any]]:
        stream = self._link.stream(Ask("watch", wanted))
        return stream, iter(stream)

    def _put(self, told: Watched | BlockDBError) -> bool:
        """Whether somebody still takes it."""
        while not self.is_over():
            try:
                self._told.put(told, timeout=LOOK_S)
            except Full:
                continue
            return True
        return False


def behind(wanted: Watch, position: int) -> Watch:
    """The same stream from behind a record on."""
    return msgspec.structs.replace(wanted, after=position)


def change_of(told: Watched) -> Change | None:
    """The change, if there is one."""
    change = told.change
    return None if change is None else replace(change, record=restored(change.record))
