"""Copies of a node's database for another one: asked for piece by piece, and checked by the machine that gets it."""

from __future__ import annotations

from asyncio import Lock, run_coroutine_threadsafe, sleep, to_thread, wrap_future
from collections import OrderedDict, deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Final

import msgspec

from blockdb.cluster.replicated_log import Snapshot, StateMachine
from blockdb.errors import BlockDBError, InvalidData, Unavailable

if TYPE_CHECKING:
    from blockdb.cluster.jetstream.driving import Driver

__all__ = ["Snapshots"]

_PIECE_BYTES: Final = 512 << 10
_ROOM_BYTES: Final = 4_096
"""A message has so much beside the piece."""
_IN_FLIGHT: Final = 4
"""So many pieces are asked for at a time; as many are kept for who did not get the answer."""
_IDLE_S: Final = 60.0
"""A copy that nobody asked for during so long is forgotten."""
_TIMEOUT_S: Final = 20.0
_ATTEMPTS: Final = 3

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_opened: Final = msgspec.msgpack.Decoder(tuple[int, int]).decode


class _Outgoing:
    """A copy that another node is getting."""

    def __init__(self, snapshot: Snapshot, piece_bytes: int) -> None:
        self.used_at = monotonic()
        self._chunks = snapshot.chunks
        self._pieces = _pieces(snapshot.chunks, piece_bytes)
        self._lock = Lock()
        self._made: deque[tuple[int, bytes]] = deque(maxlen=2 * _IN_FLIGHT)
        self._numbers = count()

    async def piece(self, number: int) -> bytes:
        """A piece; empty behind the last one. Raises InvalidData for one that is not here any more."""
        async with self._lock:
            self.used_at = monotonic()
            while not self._made or self._made[-1][0] < number:
                self._made.append((next(self._numbers), await to_thread(next, self._pieces, b"")))
            for made, data in self._made:
                if made == number:
                    return data
        raise InvalidData(f"piece {number} of the copy was given before")

    async def close(self) -> None:
        """Let go of the files."""
        async with self._lock:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                await to_thread(close)


class Snapshots:
    """Belongs to the loop."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._outgoing: OrderedDict[int, _Outgoing] = OrderedDict()
        self._numbers = count(1)

    # ── to others ────────────────────────────────────────────────────────────────────────────────────────────────

    async def on_copy(self, other: str) -> bytes:
        """Another node wants a copy: its number, and the index that it is of. Raises Unavailable."""
        driver = self._driver
        if driver.mending is not None:
            raise Unavailable(f"'{driver.own.id}' needs a copy itself.")
        snapshot = await wrap_future(driver.applying.call(lambda machine: machine.snapshot()))
        number = next(self._numbers)
        self._outgoing[number] = _Outgoing(snapshot, min(_PIECE_BYTES, driver.max_payload - _ROOM_BYTES))
        driver.tell("snapshot", index=snapshot.index, other=other, what="is being sent")
        return _encode((number, snapshot.index))

    async def on_piece(self, number: int, piece: int) -> bytes:
        """A piece of a copy. Raises InvalidData where it is not there any more."""
        outgoing = self._outgoing.get(number)
        if outgoing is None:
            raise InvalidData(f"there is no copy {number} here any more")
        return await outgoing.piece(piece)

    def tick(self) -> None:
        """Forget copies that nobody asks for any more."""
        limit = monotonic() - _IDLE_S
        for number, outgoing in list(self._outgoing.items()):
            if outgoing.used_at < limit:
                del self._outgoing[number]
                self._driver.begin(outgoing.close())

    async def close(self) -> None:
        """Let go of all copies."""
        for outgoing in self._outgoing.values():
            with suppress(BlockDBError, ValueError):  # a thread is still reading it, and lets go of it then
                await outgoing.close()
        self._outgoing.clear()

    # ── from others ──────────────────────────────────────────────────────────────────────────────────────────────

    async def fetch(self, at_least: int) -> int:
        """Have the machine become what another node has that is so far; tried until it is. Gives the index."""
        driver = self._driver
        while True:
            for id_ in driver.pulses.who_has(at_least):
                try:
                    return await self._fetch_from(id_, at_least)
                except BlockDBError as error:
                    driver.tell("snapshot", index=at_least, other=id_, what=f"could not be taken over: {error}")
            await sleep(driver.settings.pulse_s)

    async def _fetch_from(self, id_: str, at_least: int) -> int:
        driver = self._driver
        number, index = _decode_opened(await driver.ask(id_, "copy", b"", _TIMEOUT_S))
        if index < at_least:
            raise Unavailable(f"it is of {index}, and {at_least} is needed")
        driver.tell("snapshot", index=index, other=id_, what="is being received")
        chunks = self._incoming(id_, number)
        await wrap_future(driver.applying.call(partial(self._take_over, Snapshot(index, chunks))))
        driver.tell("snapshot", index=index, other=id_, what="was taken over")
        return index

    def _incoming(self, id_: str, number: int) -> Iterator[bytes]:
        """The pieces of another node's copy, some of them asked for ahead: in a thread."""

        def ask(piece: int) -> Future[bytes]:
            asking = self._ask(id_, _encode((number, piece)))
            return run_coroutine_threadsafe(asking, self._driver.loop)

        asked = deque(ask(piece) for piece in range(_IN_FLIGHT))
        for piece in count(_IN_FLIGHT):
            data = asked.popleft().result()
            if not data:
                return
            asked.append(ask(piece))
            yield data

    async def _ask(self, id_: str, question: bytes) -> bytes:
        for _ in range(_ATTEMPTS - 1):
            with suppress(Unavailable):
                return await self._driver.ask(id_, "piece", question, _TIMEOUT_S)
        return await self._driver.ask(id_, "piece", question, _TIMEOUT_S)

    def _take_over(self, snapshot: Snapshot, machine: StateMachine) -> None:
        """Have the machine become what the snapshot holds: on the applying thread."""
        driver, before = self._driver, machine.applied_index
        driver.applying.drop()
        try:
            machine.restore(snapshot)
        except BaseException as error:
            if machine.applied_index != before:
                driver.fail(error)  # whoever starts it again sees what it is now
            raise
        driver.applying.restored(snapshot.index, driver.term)


def _pieces(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The same bytes, in pieces of a size."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)
