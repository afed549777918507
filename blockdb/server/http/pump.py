"""Between threads, which make answers, and the event loop, which sends them; bounded in both directions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from threading import Condition
from typing import Any, Final

__all__ = ["MOST_BYTES", "Inlet", "InletEnded", "Outlet"]

MOST_BYTES: Final = 256 * 1024
"""More does not wait between the two sides."""


class Outlet:
    """Takes pieces from a thread and gives them to the loop; several that have come meanwhile at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pieces: deque[bytes] = deque()
        self._bytes = 0
        self._changed = Condition()
        self._arrived = asyncio.Event()
        self._is_ended = False
        self.is_abandoned = False
        """Whether nobody takes anything any more."""

    def run(self, answers: Iterator[Any], encode: Callable[[Any], bytes]) -> None:
        """In a thread: encode answers as they come; an error comes as the last of them."""
        try:
            for answer in answers:
                if not self._put(encode(answer)):
                    break
        except Exception as error:
            self._put(encode(error))
            raise
        finally:
            close = getattr(answers, "close", None)
            if close is not None:
                close()
            with self._changed:
                self._is_ended = True
            self._wake()

    def _put(self, piece: bytes) -> bool:
        """Whether somebody still wants it; waits while there is too much."""
        with self._changed:
            self._changed.wait_for(lambda: self._bytes < MOST_BYTES or self.is_abandoned)
            if self.is_abandoned:
                return False
            self._pieces.append(piece)
            self._bytes += len(piece)
        self._wake()
        return True

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._arrived.set)

    async def pieces(self) -> AsyncIterator[bytes]:
        """On the loop: what has come, joined, until it ends."""
        async for batch in self.batches():
            yield b"".join(batch)

    async def batches(self) -> AsyncIterator[list[bytes]]:
        """On the loop: the pieces that have come, until it ends."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            with self._changed:
                taken, is_ended = list(self._pieces), self._is_ended
                self._pieces.clear()
                self._bytes = 0
                self._changed.notify_all()
            if taken:
                yield taken
            if is_ended:
                return

    def abandon(self) -> None:
        """Nobody takes anything any more."""
        with self._changed:
            self.is_abandoned = True
            self._changed.notify_all()


class InletEnded(Exception):
    """Who took the pieces has ended before they did."""


class Inlet:
    """Takes pieces from the loop and gives them to a thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pieces: deque[Any] = deque()
        self._bytes = 0
        self._changed = Condition()
        self._room = asyncio.Event()
        self._end: BaseException | None = None
        self._is_ended = False

    async def put(self, piece: Any, size: int) -> None:
        """On the loop: hand a piece over; waits while there is too much. Raises InletEnded where nobody takes it."""
        while True:
            with self._changed:
                if self._is_ended:
                    raise InletEnded
                if self._bytes < MOST_BYTES:
                    self._pieces.append(piece)
                    self._bytes += size
                    self._changed.notify_all()
                    return
                self._room.clear()
            await self._room.wait()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing comes any more: all of it was there, or `error` says why not."""
        with self._changed:
            self._is_ended, self._end = True, self._end or error
            self._changed.notify_all()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._room.set)

    def pieces(self) -> Iterator[Any]:
        """In a thread: each piece. Raises what it ended with."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pieces or self._is_ended)
                taken = list(self._pieces)
                self._pieces.clear()
                self._bytes = 0
                is_over = not taken
            self._loop.call_soon_threadsafe(self._room.set)
            if is_over:
                if self._end is not None:
                    raise self._end
                return
            yield from taken
