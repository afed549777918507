"""Bytes on a socket, as somebody sends them who is no node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from blockdb.cluster.peers.bodies import PROTOCOL, Ask, Hello, Purpose, encode, encode_batch
from blockdb.format.peer_frame import FrameKind, FrameReader, pack_frame
from blockdb.raft.messages import Heartbeat
from tests.cluster.peers.nodes import CLUSTER, PATIENCE_S, Node


def hello(purpose: Purpose = "messages", sender: str = "b", receiver: str = "a", cluster: str = CLUSTER) -> bytes:
    return pack_frame(FrameKind.HELLO, encode(Hello(PROTOCOL, 1, cluster, sender, receiver, purpose, 1)))


def messages(*terms: int, sender: str = "b") -> bytes:
    return pack_frame(FrameKind.MESSAGES, encode_batch([encode(Heartbeat(sender, term, 0)) for term in terms]))


def question() -> bytes:
    return pack_frame(FrameKind.ASK, encode(Ask(1, "head", b"abc")))


PING = pack_frame(FrameKind.PING)


class Caller:
    """A connection to a node."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))
        with suppress(OSError):
            await self.writer.drain()

    async def introduce(self, purpose: Purpose = "messages") -> None:
        """Be let in as node b."""
        await self.say(hello(purpose))
        assert (await self.hear() or ())[:1] == (FrameKind.WELCOME,)

    async def hear(self) -> tuple[FrameKind, bytes] | None:
        """The next frame; None where the connection was ended."""
        frames = FrameReader(1 << 20)
        while True:
            found = frames.pull()
            if found is not None:
                return found
            data = await self.piece()
            if not data:
                return None
            frames.push(data)

    async def piece(self) -> bytes:
        with suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE_S):
                return await self.reader.read(1)
        return b""

    async def rest(self) -> list[FrameKind]:
        """What comes until the connection is ended."""
        kinds = []
        while (found := await self.hear()) is not None:
            kinds.append(found[0])
            if found[0] is FrameKind.REFUSAL:
                break  # who was refused goes; the node waits for that
        return kinds


@asynccontextmanager
async def calling(node: Node) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", node.peers.port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
