"""Questions to the nodes that hold a partition, and answers: requests of NATS to the queue group of the holders.

What is longer than a message may be is offered: its owner says where, and whoever needs it fetches piece after piece.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Final

import msgspec
from nats import errors
from nats.aio.msg import Msg

from blockdb.cluster.jetstream.connection import Connection
from blockdb.cluster.jetstream.names import Names
from blockdb.errors import Unavailable

__all__ = ["Asking"]

MOST_THREADS: Final = 64
QUEUE: Final = "holders"
WHOLE: Final = b"\x00"
OFFER: Final = b"\x01"
"""What follows is `_Offer`."""
ROOM: Final = 4_096
"""How much of a message is left for its head."""
OFFERED_S: Final = 60.0
PIECE_S: Final = 5.0
PAUSE_S: Final = 0.05

_log = logging.getLogger("blockdb.cluster.jetstream")


class _Offer(msgspec.Struct, frozen=True, array_like=True):
    subject: str
    size: int


_encoder: Final = msgspec.msgpack.Encoder()
_offers: Final = msgspec.msgpack.Decoder(_Offer)
_offsets: Final = msgspec.msgpack.Decoder(int)


class Asking:
    """Of one node."""

    def __init__(self, connection: Connection, names: Names) -> None:
        """Nothing happens before the first question."""
        self._connection = connection
        self._names = names
        self._threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="answers")
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, partition: str, question: bytes, timeout_s: float) -> bytes:
        """On the loop: the answer of one of the holders. Raises Unavailable where none gives one in time.

        Where nobody listens just now it is tried again until then; a question that was taken is not asked twice.
        """
        subject, deadline = self._names.subject("ask", partition), monotonic() + timeout_s
        async with self._packed(question) as packed:
            while True:
                try:
                    left_s = max(deadline - monotonic(), 0.001)
                    answer = await self._connection.client.request(subject, packed, timeout=left_s)
                    return await self._unpacked(answer.data)
                except errors.NoRespondersError:
                    if monotonic() + PAUSE_S > deadline:
                        raise Unavailable(f"No node answers for the partition {partition} just now.") from None
                except TimeoutError:
                    raise Unavailable(
                        f"The nodes of the partition {partition} gave no answer within {timeout_s:g} s."
                    ) from None
                await asyncio.sleep(PAUSE_S)

    async def answer(self, partition: str, handler: Callable[[bytes], bytes]) -> Callable[[], None]:
        """On the loop: answer questions about a partition, on threads; what is given ends that, from any thread."""

        async def take(message: Msg) -> None:
            task = asyncio.get_running_loop().create_task(self._respond(message, handler))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        subject = self._names.subject("ask", partition)
        subscription = await self._connection.client.subscribe(subject, queue=QUEUE, cb=take)

        def end() -> None:
            self._connection.run(subscription.unsubscribe())

        return end

    async def _respond(self, message: Msg, handler: Callable[[bytes], bytes]) -> None:
        try:
            question = await self._unpacked(message.data)
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._threads, handler, question)
            async with self._packed(answer) as packed:
                await message.respond(packed)
                if packed.startswith(OFFER):
                    await asyncio.sleep(OFFERED_S)
        except Exception as error:  # who asked hears nothing, and its time runs out
            _log.warning("a question of another node was not answered: %s", error)

    @asynccontextmanager
    async def _packed(self, content: bytes) -> AsyncIterator[bytes]:
        """A message that is it, or that offers it while the block runs."""
        most = self._connection.max_payload - ROOM
        if len(content) <= most:
            yield WHOLE + content
            return

        async def give(message: Msg) -> None:
            offset = _offsets.decode(message.data)
            await message.respond(content[offset : offset + most])

        client = self._connection.client
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=give)
        try:
            yield OFFER + _encoder.encode(_Offer(inbox, len(content)))
        finally:
            with suppress(errors.Error):
                await subscription.unsubscribe()

    async def _unpacked(self, message: bytes) -> bytes:
        if not message.startswith(OFFER):
            return message[len(WHOLE) :]
        offer, content = _offers.decode(message[len(OFFER) :]), bytearray()
        while len(content) < offer.size:
            request = _encoder.encode(len(content))
            piece = await self._connection.client.request(offer.subject, request, timeout=PIECE_S)
            if not piece.data:
                raise Unavailable("What a node offered is gone.")
            content += piece.data
        return bytes(content)

    def close(self) -> None:
        """Begin no more answers."""
        self._threads.shutdown(wait=False, cancel_futures=True)
