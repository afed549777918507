"""The change streams of several partitions as one, and how a place in all of them is written down."""

from __future__ import annotations

from functools import partial
from queue import Empty, Full, Queue
from threading import Event, Thread
from time import monotonic
from typing import Final
from weakref import finalize

from blockdb.cluster.partitions.merging import each
from blockdb.cluster.partitions.parts import Parts
from blockdb.errors import BlockDBError, InvalidData
from blockdb.interface import AnyFeed
from blockdb.storage.feed import Feed
from blockdb.types import Change

__all__ = ["MergedFeed", "position_of", "positions_in"]

MOST_WAITING: Final = 256
"""So many changes are fetched ahead of whoever takes them."""
LOOK_S: Final = 0.2
"""So often somebody who waits looks whether it is over."""

Told = tuple[int, int, Change | None]
"""The partition, how far its stream is, and the change."""


def position_of(positions: list[int]) -> str:
    """How far the streams of all partitions are, as text: the last record of each, -1 for none, with dots between."""
    return ".".join(map(str, positions))


def positions_in(after: int | str | None, name: str, partitions: int) -> list[int | None]:
    """After which record the stream of each partition begins; None: from now on. Raises InvalidData."""
    if after is None or after == -1:
        return [after if after is None else -1] * partitions
    words = after.split(".") if isinstance(after, str) else ()
    if len(words) != partitions or not all(word == "-1" or (word.isascii() and word.isdigit()) for word in words):
        raise InvalidData(
            f"{name} has {partitions} partitions: after is -1, or a position as a feed of it gives them, which is "
            f"{partitions} numbers with dots between. A single number goes on in one partition: {name}:0, say."
        )
    return list(map(int, words))


class MergedFeed(Feed):
    """See `blockdb.Feed`. One thread for each partition reads its stream; they end when nobody has it any more."""

    def __init__(self, parts: Parts, prefix: bytes | None, after: int | str | None, timeout_s: float | None) -> None:
        """Raises InvalidData."""
        begins = positions_in(after, parts.name, parts.count)
        opens = [
            partial(part.watch, prefix=prefix, after=begin) for part, begin in zip(parts.current(), begins, strict=True)
        ]
        feeds = each(opens)
        self._spreading = parts.spreading
        self._timeout_s = timeout_s
        self._positions = [_number(feed) for feed in feeds]
        self._reading = reading = _Reading(feeds)
        finalize(self, reading.stop)
        for number in range(len(feeds)):
            Thread(target=reading.read, args=(number,), name="blockdb-feed", daemon=True).start()

    @property
    def position(self) -> str:  # type: ignore[override]
        """Where another feed goes on after."""
        return position_of(self._positions)

    def take(self, timeout_s: float | None = None) -> Change | None:
        """See `Feed.take`."""
        deadline = float("inf") if timeout_s is None else monotonic() + timeout_s
        while not self._reading.has_nothing_more():
            try:
                told = self._reading.told.get(timeout=max(0.0, min(LOOK_S, deadline - monotonic())))
            except Empty:
                if monotonic() >= deadline:
                    return None
                continue
            if isinstance(told, BaseException):
                raise told
            partition, self._positions[partition], change = told
            if change is not None:
                return self._spreading.change(change, partition)
        return None

    def stop(self) -> None:
        """See `Feed.stop`."""
        self._reading.stop()

    def is_over(self) -> bool:
        """See `Feed.is_over`. It is when the stream of one partition is: others would leave it behind."""
        return self._reading.has_nothing_more()


class _Reading:
    """What the threads have: it does not know the feed, which ends when nobody has it any more."""

    def __init__(self, feeds: list[AnyFeed]) -> None:
        self.told: Queue[Told | BaseException] = Queue(MOST_WAITING)
        self._feeds = feeds
        self._stopped, self._ended = Event(), Event()

    def has_nothing_more(self) -> bool:
        """Whether nothing comes any more."""
        return self._stopped.is_set() or (self._ended.is_set() and self.told.empty())

    def stop(self) -> None:
        """End all streams."""
        self._stopped.set()
        for feed in self._feeds:
            feed.stop()

    def read(self, partition: int) -> None:
        """In a thread: hand over what comes of one partition, until it is over."""
        feed, position = self._feeds[partition], _number(self._feeds[partition])
        try:
            while not self._stopped.is_set():
                change = feed.take(LOOK_S)
                if change is None and feed.is_over():
                    return
                if (change is not None or _number(feed) != position) and not self._put(
                    (partition, _number(feed), change)
                ):
                    return
                position = _number(feed)
        except BlockDBError as error:
            self._put(error)
        finally:
            self._ended.set()

    def _put(self, told: Told | BaseException) -> bool:
        """Whether somebody still takes it."""
        while not self._stopped.is_set():
            try:
                self.told.put(told, timeout=LOOK_S)
            except Full:
                continue
            return True
        return False


def _number(feed: AnyFeed) -> int:
    """How far the stream of one partition is."""
    return int(feed.position)
