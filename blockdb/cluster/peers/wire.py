"""One connection: frames in both directions, with back-pressure both ways."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias, cast

from blockdb.errors import Unavailable
from blockdb.format.peer_frame import BadFrame, FrameKind, FrameReader, pack_frame

__all__ = ["Frame", "Wire"]

GREETING_BYTES: Final = 4096
"""The longest frame before the handshake is through."""
WAITING_BYTES: Final = 1 << 20
"""Frames that nobody has received yet; with more, nothing is read from the socket."""
FRAME_BYTES: Final = 64
"""What a frame takes besides its body."""
WRITE_BUFFER_BYTES: Final = 1 << 20
GRACE_S: Final = 1.0
"""How long what was said last may take to go out."""

Frame: TypeAlias = tuple[FrameKind, bytes]


class Wire(asyncio.Protocol):
    """A connection. What comes is received frame by frame, or, after `handle`, handed over at once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader(GREETING_BYTES)
        self._waiting: deque[Frame] = deque()
        self._waiting_bytes = 0
        self._bad: BadFrame | None = None
        self._on_frame: Callable[[Frame], None] | None = None
        self._wakers: list[asyncio.Future[None]] = []
        self._is_reading = True
        self._gone = asyncio.Event()
        self.on_writable: Callable[[], None] = _nothing
        """Called when it is no longer full."""
        self.on_end: Callable[[], None] = _nothing
        """Called once when it has ended."""
        self.is_full = False
        """Whether so much waits for the other side to read that no more should be sent."""
        self.end_reason: str | None = None
        """Why it ended; None while it has not."""
        self.heard_at = self._loop.time()
        """When something came last, by the loop's clock."""

    def info(self, name: str) -> Any:
        """What the transport knows (`peername`, `peercert`)."""
        return None if self._transport is None else self._transport.get_extra_info(name)

    def allow(self, limit_bytes: int) -> None:
        """Take longer frames from here on."""
        self._reader.limit_bytes = limit_bytes

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, kind: FrameKind, body: bytes = b"") -> None:
        """Send a frame; it is lost where the connection has ended."""
        if self._transport is not None and self.end_reason is None:
            self._transport.write(pack_frame(kind, body))

    async def drained(self, timeout_s: float) -> None:
        """Wait until it is not full. Raises Unavailable when it ended, or nothing moved for so long."""
        while self.is_full and self.end_reason is None:
            await self._woken(timeout_s)
        self._check_alive()

    # ── receiving ────────────────────────────────────────────────────────────────────────────────────────────────

    async def receive(self, timeout_s: float) -> Frame:
        """The next frame. Raises BadFrame; Unavailable when it ended, or nothing came for so long."""
        while not self._waiting:
            if self._bad is not None:
                raise self._bad
            self._check_alive()
            await self._woken(timeout_s)
        frame = self._waiting.popleft()
        self._waiting_bytes -= _weight(frame)
        if not self._is_reading and self._waiting_bytes <= WAITING_BYTES and self._transport is not None:
            self._is_reading = True
            self._transport.resume_reading()
            self._parse()
        return frame

    def handle(self, on_frame: Callable[[Frame], None]) -> None:
        """Hand what comes to `on_frame` from here on. What that raises as BadFrame ends the connection."""
        self._on_frame = on_frame
        if self._bad is not None:
            self.abort(str(self._bad))
        while self._waiting and self.end_reason is None:
            self._hand_over(self._waiting.popleft())
        if not self._is_reading and self._transport is not None:
            self._is_reading = True
            self._transport.resume_reading()
        self._parse()

    def _parse(self) -> None:
        try:
            while self._is_reading and self._bad is None and self.end_reason is None:
                frame = self._reader.pull()
                if frame is None:
                    return
                self._hand_over(frame)
        except BadFrame as error:
            self._bad = error
            if self._on_frame is None:
                self._wake()
            else:
                self.abort(str(error))

    def _hand_over(self, frame: Frame) -> None:
        if self._on_frame is not None:
            try:
                self._on_frame(frame)
            except BadFrame as error:
                self.abort(str(error))
            return
        self._waiting.append(frame)
        self._waiting_bytes += _weight(frame)
        if self._waiting_bytes > WAITING_BYTES and self._transport is not None:
            self._is_reading = False
            self._transport.pause_reading()
        self._wake()

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def close(self) -> None:
        """End it once what was sent has gone out, or shortly after."""
        if self._transport is not None and self.end_reason is None:
            self._transport.close()
            self._loop.call_later(GRACE_S, self._transport.abort)
        self._ended("it was closed here")

    async def finish(self) -> None:
        """End it, and return once nothing is left of it."""
        self.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * GRACE_S):
                await self._gone.wait()

    def abort(self, reason: str) -> None:
        """End it now."""
        if self._transport is not None:
            self._transport.abort()
        self._ended(reason)

    async def refuse(self, body: bytes, timeout_s: float) -> None:
        """Say why not, and end it when the other side has read that."""
        self.send(FrameKind.REFUSAL, body)
        if self._bad is None:
            self.handle(_ignore)
        while self.end_reason is None:
            try:
                await self._woken(timeout_s)
            except Unavailable:
                self.abort("it was refused")

    def _ended(self, reason: str) -> None:
        if self.end_reason is None:
            self.end_reason = reason
            self._wake()
            self.on_end()

    def _check_alive(self) -> None:
        if self.end_reason is not None:
            raise Unavailable(f"The connection has ended: {self.end_reason}.")

    def _wake(self) -> None:
        wakers, self._wakers = self._wakers, []
        for waker in wakers:
            if not waker.done():
                waker.set_result(None)

    async def _woken(self, timeout_s: float) -> None:
        waker: asyncio.Future[None] = self._loop.create_future()
        self._wakers.append(waker)
        try:
            async with asyncio.timeout(timeout_s):
                await waker
        except TimeoutError:
            raise Unavailable(f"Nothing happened on the connection for {timeout_s:g} s.") from None

    # ── asyncio.Protocol ─────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        self._transport = cast("asyncio.Transport", transport)  # that of uvloop does not say so
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        """Something came."""
        if self._bad is not None or self.end_reason is not None:
            return
        self.heard_at = self._loop.time()
        self._reader.push(data)
        self._parse()

    def pause_writing(self) -> None:
        """The other side reads too slowly."""
        self.is_full = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self.is_full = False
        self._wake()
        self.on_writable()

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone."""
        self._gone.set()
        self._ended(f"the other side closed it{_told(error)}")


def _weight(frame: Frame) -> int:
    return len(frame[1]) + FRAME_BYTES


def _told(error: Exception | None) -> str:
    return "" if error is None else f" ({error})"


def _nothing() -> None:
    pass


def _ignore(_: Frame) -> None:
    pass
