"""The bytes of a snapshot, on a connection of their own: nobody sends faster than the other side takes in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from typing import Final

from blockdb.cluster.peers.bodies import End, decode, encode
from blockdb.cluster.peers.handling import PeerHandler
from blockdb.cluster.peers.limits import Limits
from blockdb.cluster.peers.wire import Frame, Wire
from blockdb.errors import BlockDBError, InvalidData, Unavailable
from blockdb.format.peer_frame import BadFrame, FrameKind
from blockdb.raft.messages import SnapshotHead

__all__ = ["Taking", "give"]

_log = logging.getLogger("blockdb.cluster.peers")
_NO_MORE: Final = b""


# ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def give(wire: Wire, head: SnapshotHead, chunks: AsyncIterator[bytes] | Iterator[bytes], limits: Limits) -> None:
    """Send a snapshot, and return once the other node has taken it over. Raises Unavailable."""
    verdict: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    wire.handle(lambda frame: _heard(frame, verdict))
    wire.send(FrameKind.SNAPSHOT, encode(head))
    digest, size = sha256(), 0
    async for chunk in _pieces(chunks, limits.chunk_bytes):
        digest.update(chunk)
        size += len(chunk)
        wire.send(FrameKind.CHUNK, chunk)
        await _room(wire, verdict, limits)
        if verdict.done():
            break
    wire.send(FrameKind.END, encode(End(size, digest.digest())))
    words = await _said(wire, verdict, limits)
    if words:
        raise Unavailable(f"The snapshot was not taken over: {words}")


def _heard(frame: Frame, verdict: asyncio.Future[str]) -> None:
    kind, body = frame
    if kind is FrameKind.REFUSAL and not verdict.done():
        verdict.set_result(decode(str, body) or "no reason was given")
    elif kind is FrameKind.DONE and not verdict.done():
        verdict.set_result("")
    elif kind is not FrameKind.PING:
        raise BadFrame(f"a frame of kind {kind.name} has no place there")


async def _room(wire: Wire, verdict: asyncio.Future[str], limits: Limits) -> None:
    """Wait until more can be sent, or it is no longer wanted. Raises Unavailable."""
    if not wire.is_full and wire.end_reason is None:
        return
    drained = asyncio.ensure_future(wire.drained(limits.stall_timeout_s))
    try:
        await asyncio.wait((drained, verdict), return_when=asyncio.FIRST_COMPLETED)
        if not verdict.done():
            await drained
    finally:
        drained.cancel()
        await asyncio.gather(drained, return_exceptions=True)


async def _said(wire: Wire, verdict: asyncio.Future[str], limits: Limits) -> str:
    """What the other node says in the end. It says now and then that it is at work still."""
    loop = asyncio.get_running_loop()
    while not verdict.done():
        await asyncio.wait((verdict,), timeout=limits.ping_every_s)
        if not verdict.done() and wire.end_reason is not None:
            raise Unavailable(f"The snapshot may not have been taken over: {wire.end_reason}.")
        if not verdict.done() and loop.time() - wire.heard_at > limits.stall_timeout_s:
            raise Unavailable(f"Nothing was heard of the snapshot for {limits.stall_timeout_s:g} s.")
    return verdict.result()


async def _pieces(chunks: AsyncIterator[bytes] | Iterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The chunks, none longer than `size`, and none that is empty."""
    async for chunk in chunks if isinstance(chunks, AsyncIterator) else _threaded(chunks):
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]


async def _threaded(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """An iterator that reads the disk, read in a thread."""
    loop = asyncio.get_running_loop()
    while (chunk := await loop.run_in_executor(None, next, chunks, None)) is not None:
        yield chunk


# ── taking ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Taking:
    """Snapshots that others send, one at a time."""

    def __init__(self, handler: PeerHandler, limits: Limits) -> None:
        self._handler = handler
        self._limits = limits
        self._is_busy = False

    async def take(self, wire: Wire, sender: str) -> None:
        """Take one over, or say why not."""
        if self._is_busy:
            await self._refuse(wire, sender, "this node is taking over another snapshot")
            return
        self._is_busy = True
        try:
            await self._take(wire, sender)
        except (BlockDBError, BadFrame) as error:
            await self._refuse(wire, sender, str(error))
        except Exception:
            _log.exception("The snapshot of %s could not be taken over.", sender)
            await self._refuse(wire, sender, "the node failed to take it over; its log says why")
        finally:
            self._is_busy = False

    async def _take(self, wire: Wire, sender: str) -> None:
        kind, body = await wire.receive(self._limits.handshake_timeout_s)
        if kind is not FrameKind.SNAPSHOT:
            raise BadFrame(f"a frame of kind {kind.name} has no place there")
        head = decode(SnapshotHead, body)
        stream = _Stream(wire, self._limits)
        taking = asyncio.ensure_future(self._handler.on_snapshot(sender, head, stream.chunks()))
        try:
            while not taking.done():
                await asyncio.wait((taking,), timeout=self._limits.ping_every_s)
                if not wire.is_full:
                    wire.send(FrameKind.PING)
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
        taking.result()
        if not stream.is_whole:
            raise Unavailable("The snapshot was not read to its end.")
        wire.send(FrameKind.DONE)

    async def _refuse(self, wire: Wire, sender: str, why: str) -> None:
        _log.warning("The snapshot of %s is not taken over: %s", sender, why)
        await wire.refuse(encode(why), self._limits.handshake_timeout_s)


class _Stream:
    """What comes of one."""

    def __init__(self, wire: Wire, limits: Limits) -> None:
        self._wire = wire
        self._limits = limits
        self.is_whole = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Its bytes; ends of itself only where all of them are there, and right."""
        digest, size = sha256(), 0
        while True:
            kind, body = await self._receive()
            if kind is FrameKind.END:
                self._check(body, size, digest.digest())
                return
            if kind is not FrameKind.CHUNK or not body:
                raise InvalidData(f"A frame of kind {kind.name} has no place in a snapshot.")
            digest.update(body)
            size += len(body)
            yield body

    async def _receive(self) -> Frame:
        try:
            return await self._wire.receive(self._limits.stall_timeout_s)
        except BadFrame as error:
            raise InvalidData(f"The snapshot was damaged on its way: {error}.") from None
        except Unavailable as error:
            raise Unavailable(f"The snapshot was cut short: {error}") from None

    def _check(self, body: bytes, size: int, digest: bytes) -> None:
        try:
            end = decode(End, body)
        except BadFrame as error:
            raise InvalidData(f"The snapshot does not end as it should: {error}.") from None
        if end.size_bytes != size or end.sha256 != digest:
            raise InvalidData(f"The snapshot is not what was sent: {size} bytes came of {end.size_bytes}.")
        self.is_whole = True
