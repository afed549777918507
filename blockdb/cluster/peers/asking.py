"""Questions that are not of consensus: to a node at an address, and how those of others are answered."""

from __future__ import annotations

import asyncio
import logging
from secrets import randbits
from typing import Final

from blockdb.cluster.peers.bodies import Answer, Ask, answer_of_error, body_of, decode, encode
from blockdb.cluster.peers.greeting import Identity, dial
from blockdb.cluster.peers.handling import PeerHandler
from blockdb.cluster.peers.limits import Limits
from blockdb.cluster.peers.tls import LiveTls, PeerTls
from blockdb.cluster.peers.wire import Wire
from blockdb.errors import BlockDBError, InvalidData, Unavailable
from blockdb.format.peer_frame import BadFrame, FrameKind

__all__ = ["Answering", "ask_address", "check_question"]

QUESTION_BYTES: Final = 512
"""The most that a question has besides its body."""

_log = logging.getLogger("blockdb.cluster.peers")


async def ask_address(
    address: str,
    name: str,
    body: bytes,
    *,
    own_id: str,
    cluster_id: str = "",
    tls: PeerTls | None = None,
    insecure_public: bool = False,
    timeout_s: float = 5.0,
    limits: Limits | None = None,
) -> bytes:
    """Ask the node at a peer address, on a connection for this alone, and give its answer.

    `cluster_id` may be left out by who does not know it yet; with TLS both certificates must be of the same cluster all
    the same. Raises Unavailable where there is no answer, and what `PeerHandler.on_ask` hands over; ConfigError for an
    address that cannot be.
    """
    limits = limits or Limits()
    check_question(limits, body)
    live = None if tls is None else LiveTls(tls, cluster_id, own_id)
    own = Identity(own_id, cluster_id, randbits(63), live, insecure_public, limits)
    try:
        async with asyncio.timeout(timeout_s):
            wire = await dial(own, address, "", "ask")
            try:
                wire.send(FrameKind.ASK, encode(Ask(0, name, body)))
                kind, answer = await wire.receive(timeout_s)
            finally:
                await wire.finish()
        if kind is FrameKind.ANSWER:
            return body_of(decode(Answer, answer))
    except TimeoutError:
        raise Unavailable(f"{address} did not answer within {timeout_s:g} s.") from None
    except BadFrame as error:
        raise Unavailable(f"{address} does not answer as it should: {error}.") from None
    raise Unavailable(f"{address} does not answer as it should: a frame of kind {kind.name} came.")


def check_question(limits: Limits, body: bytes) -> None:
    """Raise InvalidData for one that is too long."""
    if len(body) > limits.max_ask_bytes:
        raise InvalidData(
            f"A question of {len(body)} bytes is longer than the {limits.max_ask_bytes} that a node takes."
        )


class Answering:
    """The questions of one connection, a bounded number at a time."""

    def __init__(self, handler: PeerHandler, wire: Wire, sender: str, limits: Limits) -> None:
        self._handler = handler
        self._wire = wire
        self._sender = sender
        self._limits = limits
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, body: bytes) -> None:
        """Have a question answered. Raises BadFrame for one that is none."""
        if len(body) > self._limits.max_ask_bytes + QUESTION_BYTES:
            raise BadFrame(f"a question of {len(body)} bytes is too long")
        question = decode(Ask, body)
        if len(self._tasks) >= self._limits.max_asks:
            too_many = Unavailable(f"{self._sender} has {self._limits.max_asks} questions open.")
            if not self._wire.is_full:
                self._wire.send(FrameKind.ANSWER, encode(answer_of_error(question.number, too_many)))
            return
        task = asyncio.get_running_loop().create_task(self._answer(question))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, question: Ask) -> None:
        try:
            answer = Answer(question.number, await self._handler.on_ask(self._sender, question.name, question.body))
            check_question(self._limits, answer.body)
        except BlockDBError as error:
            answer = answer_of_error(question.number, error)
        except Exception as error:
            _log.exception("A question (%s) of %s could not be answered.", question.name, self._sender)
            answer = answer_of_error(question.number, error)
        try:
            await self._wire.drained(self._limits.stall_timeout_s)
        except Unavailable:
            return
        self._wire.send(FrameKind.ANSWER, encode(answer))

    def end(self) -> None:
        """Answer no more."""
        for task in self._tasks:
            task.cancel()
