"""Whoever calls: listening, letting in, and handing on what is said."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

from blockdb.cluster.peers.addresses import joined
from blockdb.cluster.peers.asking import Answering
from blockdb.cluster.peers.bodies import Hello, decode_batch, encode
from blockdb.cluster.peers.greeting import Identity, accept, hear, welcome
from blockdb.cluster.peers.handling import PeerHandler
from blockdb.cluster.peers.snapshots import Taking
from blockdb.cluster.peers.wire import Frame, Wire
from blockdb.errors import BlockDBError, Unavailable
from blockdb.format.peer_frame import BadFrame, FrameKind

__all__ = ["Incoming"]

COMPLAIN_EVERY_S: Final = 10.0
"""The same complaint about the same host is told so often at most."""
MAX_COMPLAINTS: Final = 256
MAX_CONNECTIONS: Final = 256
"""Of all that were let in."""
NO_DESCRIPTORS_S: Final = 0.5
"""How long not to accept when that fails, as where there are no descriptors."""

_log = logging.getLogger("blockdb.cluster.peers")


class Incoming:
    """Connections that others make to this node."""

    def __init__(
        self,
        own: Identity,
        handler: PeerHandler,
        listening: socket.socket,
        on_called: Callable[[str], None],
        on_heard: Callable[[str], None],
    ) -> None:
        self._own = own
        self._handler = handler
        self._listening = listening
        self._on_called = on_called
        self._on_heard = on_heard
        self._taking = Taking(handler, own.limits)
        self._loop = asyncio.get_running_loop()
        self._greeting: dict[asyncio.Task[None], None] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._unserved: dict[asyncio.Task[None], socket.socket] = {}
        """Sockets of those that have not begun: they are closed with them."""
        self._wires: dict[str, Wire] = {}
        self._complaints: dict[tuple[str, str], float] = {}
        self._accepting = self._loop.create_task(self._accept())

    async def _accept(self) -> None:
        while True:
            try:
                sock, address = await self._loop.sock_accept(self._listening)
            except OSError as error:
                self._complain("", f"no connection can be accepted: {error.strerror}")
                await asyncio.sleep(NO_DESCRIPTORS_S)
                continue
            while len(self._greeting) >= self._own.limits.max_handshakes:
                oldest = next(iter(self._greeting))
                del self._greeting[oldest]
                oldest.cancel()
            task = self._loop.create_task(self._serve(sock, str(address[0]), int(address[1])))
            self._greeting[task] = None
            self._serving.add(task)
            task.add_done_callback(self._forget)
            self._unserved[task] = sock

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._serving.discard(task)
        self._greeting.pop(task, None)
        sock = self._unserved.pop(task, None)
        if sock is not None:  # it was ended before it began
            sock.close()

    async def _serve(self, sock: socket.socket, host: str, port: int) -> None:
        wire = None
        self._unserved.pop(_current(), None)
        try:
            async with asyncio.timeout(self._own.limits.handshake_timeout_s):
                wire = await accept(self._own, sock)
                hello = await self._let_in(wire, host, port)
            if hello is not None:
                self._greeting.pop(_current(), None)
                await self._go_on(wire, hello)
        except TimeoutError:
            self._complain(host, "it did not say who it is in time")
        except BlockDBError as error:
            self._complain(host, str(error))
        finally:
            if wire is not None:
                await wire.finish()

    async def _let_in(self, wire: Wire, host: str, port: int) -> Hello | None:
        """Who it is; None where it was turned away."""
        try:
            hello = await hear(self._own, wire)
            if len(self._serving) - len(self._greeting) >= MAX_CONNECTIONS:
                raise Unavailable("this node has too many connections already")
        except (BlockDBError, BadFrame) as error:
            self._complain(host, str(error))
            await wire.refuse(encode(str(error)), self._own.limits.handshake_timeout_s)
            return None
        welcome(self._own, wire, hello)
        _log.debug("%s calls from %s: %s.", hello.sender, joined(host, port), hello.purpose)
        return hello

    async def _go_on(self, wire: Wire, hello: Hello) -> None:
        if hello.purpose == "snapshot":
            await self._taking.take(wire, hello.sender)
            return
        answering = Answering(self._handler, wire, hello.sender, self._own.limits)
        ended = asyncio.Event()
        wire.on_end = ended.set
        if hello.purpose == "messages":
            self._replace(hello.sender, wire)
            self._on_heard(hello.sender)
            self._on_called(hello.sender)
        wire.handle(lambda frame: self._heard(frame, wire, hello, answering))
        try:
            while wire.end_reason is None:
                await self._silence(wire, ended)
        finally:
            answering.end()
            if self._wires.get(hello.sender) is wire:
                del self._wires[hello.sender]
        if wire.end_reason is not None:
            _log.debug("The connection that %s made has ended: %s.", hello.sender, wire.end_reason)

    def _replace(self, sender: str, wire: Wire) -> None:
        """A node that calls again has given up its connection from before, whatever became of that."""
        before = self._wires.get(sender)
        self._wires[sender] = wire
        if before is not None:
            before.abort("it made another connection")

    async def _silence(self, wire: Wire, ended: asyncio.Event) -> None:
        """Wait for the end, and make one where nobody is there any more."""
        limit_s = 2 * self._own.limits.silence_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await ended.wait()
        except TimeoutError:
            if self._loop.time() - wire.heard_at >= limit_s:
                wire.abort(f"nothing was heard for {limit_s:g} s")

    def _heard(self, frame: Frame, wire: Wire, hello: Hello, answering: Answering) -> None:
        kind, body = frame
        if hello.purpose == "messages":
            self._on_heard(hello.sender)
        if kind is FrameKind.PING:
            if not wire.is_full:
                wire.send(FrameKind.PONG)
        elif kind is FrameKind.ASK:
            answering.ask(body)
        elif kind is FrameKind.MESSAGES and hello.purpose == "messages":
            self._hand_on(body, wire, hello.sender)
        else:
            raise BadFrame(f"a frame of kind {kind.name} has no place there")

    def _hand_on(self, body: bytes, wire: Wire, sender: str) -> None:
        try:
            messages = decode_batch(body)
            if any(message.sender != sender for message in messages):
                raise BadFrame("a message names another sender")
        except BadFrame as error:
            _log.warning("The connection that %s made is ended: %s.", sender, error)
            raise
        try:
            for message in messages:
                self._handler.on_message(sender, message)
        except Exception:
            _log.exception("A message of %s could not be taken in.", sender)
            wire.abort("a message could not be taken in")

    def _complain(self, host: str, why: str) -> None:
        """Tell of it, unless it was told just now: who is not let in is not to fill the log."""
        now = self._loop.time()
        if now - self._complaints.get((host, why), -COMPLAIN_EVERY_S) < COMPLAIN_EVERY_S:
            return
        if len(self._complaints) >= MAX_COMPLAINTS:
            self._complaints.pop(next(iter(self._complaints)))
        self._complaints[host, why] = now
        _log.warning("A connection from %s was refused: %s.", host or "anywhere", why.rstrip("."))

    async def close(self) -> None:
        """Listen no longer, and end what there is."""
        tasks = [self._accepting, *self._serving]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listening.close()


def _current() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task
