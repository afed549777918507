"""What connects the nodes of a demonstration: a proxy in front of each, which can be cut, slowed down and healed.

A connection belongs to the link from whoever made it, as its first frame says, to the node behind the proxy. Over a
link that is cut nothing goes, and nobody is told: as with a cable that was pulled. What was on its way comes later,
when it is healed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from random import Random
from threading import Thread
from typing import Any, Final, TypeVar

from blockdb.cluster.peers.addresses import host_and_port
from blockdb.cluster.peers.bodies import Hello, decode
from blockdb.format.peer_frame import BadFrame, FrameKind, FrameReader
from blockdb.serving.listening import listen

__all__ = ["Links"]

HELLO_BYTES: Final = 4096
PIECE_BYTES: Final = 64 << 10
PIECES: Final = 64
"""So many pieces are on their way in each direction of a connection."""
CALL_S: Final = 10.0

T = TypeVar("T")


class Links:
    """The links between some nodes. Safe for threads."""

    def __init__(self, nodes: Mapping[str, str], fronts: Mapping[str, str], chance: Random | None = None) -> None:
        """`nodes` are the addresses at which nodes listen for each other, by their ids, `fronts` those that others are
        to be told (port 0: any). Raises ConfigError, InvalidData, StorageError for addresses that cannot be."""
        self._nodes = nodes
        self._chance = chance or Random()
        self._open: dict[tuple[str, str], asyncio.Event] = {}
        self._delay_s = 0.0
        self._loss = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._fronts = {id_: listen(*host_and_port(address)) for id_, address in fronts.items()}
        self._addresses = {id_: "{}:{}".format(*each.getsockname()[:2]) for id_, each in self._fronts.items()}
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._thread.start()
        self._call(self._listen())

    def address(self, from_id: str, to_id: str) -> str:
        """`host:port` under which one node reaches another: the same for all others."""
        return self._addresses[to_id]

    def cut(self, a: str, b: str, *, one_way: bool = False) -> None:
        """Let nothing through between two nodes; with `one_way`, nothing that `a` says to `b`."""
        self._call(self._switch([(a, b)] if one_way else [(a, b), (b, a)], is_open=False))

    def heal(self) -> None:
        """Let everything through again, at once and without losses."""
        self._delay_s = self._loss = 0.0
        self._call(self._switch(list(self._open), is_open=True))

    def delay(self, milliseconds: float) -> None:
        """Have everything take so much longer, each way."""
        self._delay_s = milliseconds / 1000

    def lose(self, share: float) -> None:
        """End the connection at so many of the pieces that come (0 to 1)."""
        self._loss = share

    def close(self) -> None:
        """Connect nobody any more. Idempotent."""
        if self._thread.is_alive():
            self._call(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_S)

    # ── on the loop ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _listen(self) -> None:
        for id_, front in self._fronts.items():
            await asyncio.start_server(self._caller_of(id_), sock=front)

    def _caller_of(self, to_id: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._connect(to_id, reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return called

    async def _switch(self, links: list[tuple[str, str]], *, is_open: bool) -> None:
        for link in links:
            event = self._event(link)
            event.set() if is_open else event.clear()

    def _event(self, link: tuple[str, str]) -> asyncio.Event:
        if link not in self._open:
            self._open[link] = asyncio.Event()
            self._open[link].set()
        return self._open[link]

    async def _connect(self, to_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        try:
            sender, first = await _introduction(reader)
            is_open = self._event((sender, to_id))
            first += await _until_open(is_open, reader)
            there, back = await asyncio.open_connection(*host_and_port(self._nodes[to_id]))
            try:
                back.write(first)
                await self._carry(is_open, (reader, back), (there, writer))
            finally:
                back.transport.abort()
        except OSError:
            pass  # the node behind it is away, or one side went
        finally:
            writer.transport.abort()

    async def _carry(self, is_open: asyncio.Event, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        """Both directions, until one of them ends."""
        tasks = [self._loop.create_task(each) for way in ways for each in self._way(is_open, *way)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _way(
        self, is_open: asyncio.Event, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[Coroutine[Any, Any, None], Coroutine[Any, Any, None]]:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(PIECES)

        async def take() -> None:
            piece = b"x"
            while piece:
                piece = await reader.read(PIECE_BYTES)
                await under_way.put((self._loop.time() + self._delay_s, piece))
            await asyncio.Event().wait()  # the other half ends the connection, once all has gone

        async def give() -> None:
            while True:
                due, piece = await under_way.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                await is_open.wait()
                if not piece or self._chance.random() < self._loss:
                    return
                writer.write(piece)
                await writer.drain()

        return take(), give()

    async def _end(self) -> None:
        for front in self._fronts.values():
            self._loop.remove_reader(front)
            front.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_open(is_open: asyncio.Event, reader: asyncio.StreamReader) -> bytes:
    """Wait for a link, and give what came meanwhile. Raises ConnectionError where whoever called gave up before."""
    opened, meanwhile = asyncio.ensure_future(is_open.wait()), b""
    try:
        while not is_open.is_set():
            read = asyncio.ensure_future(reader.read(HELLO_BYTES))
            try:
                await asyncio.wait((opened, read), return_when=asyncio.FIRST_COMPLETED)
                if read.done() and not read.result():
                    raise ConnectionAbortedError
                meanwhile += read.result() if read.done() else b""
            finally:
                read.cancel()
    finally:
        opened.cancel()
    return meanwhile


async def _introduction(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Who makes a connection, and all that it has said so far; nobody where that is not to be understood."""
    frames, first = FrameReader(HELLO_BYTES), b""
    with suppress(BadFrame):
        while (frame := frames.pull()) is None:
            piece = await reader.read(HELLO_BYTES)
            if not piece:
                break
            first += piece
            frames.push(piece)
        else:
            if frame[0] is FrameKind.HELLO:
                return decode(Hello, frame[1]).sender, first
    return "", first
