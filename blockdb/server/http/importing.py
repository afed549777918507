"""Records that come as a stream: lines of JSON, or frames of MessagePack, in batches to where they are stored."""

from __future__ import annotations

from typing import Final

import msgspec

from blockdb.errors import InvalidData, RequestTooLarge
from blockdb.server.http.exchange import Exchange
from blockdb.server.http.pump import Inlet
from blockdb.server.http.reading import item_of
from blockdb.wire.messages.records import Import, Item

__all__ = ["feed_items"]

LENGTH_BYTES: Final = 4
MAX_BATCH: Final = 100_000


async def feed_items(exchange: Exchange, inlet: Inlet, first: Import, most_bytes: int) -> None:
    """Hand the records of a body over, a batch at a time. Raises InvalidData, RequestTooLarge, Disconnected."""
    if not 1 <= first.batch_size <= MAX_BATCH:
        raise InvalidData(f"batch_size: it should be from 1 to {MAX_BATCH:,}, not {first.batch_size}.")
    split = _Frames(most_bytes) if exchange.has_msgpack else _Lines(most_bytes)
    waiting: list[Item] = []
    size = 0
    async for piece in exchange.pieces():
        for item in split.take(piece):
            waiting.append(item)
            size += len(item.key) + len(item.value)
            if len(waiting) >= first.batch_size or size > most_bytes:
                await inlet.put(msgspec.structs.replace(first, items=waiting), size)
                waiting, size = [], 0
    waiting += split.end()
    if waiting:
        await inlet.put(msgspec.structs.replace(first, items=waiting), size)


class _Lines:
    """Splits lines of JSON."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._rest = b""
        self._number = 0

    def take(self, piece: bytes) -> list[Item]:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > self._most_bytes:
            raise RequestTooLarge(f"Line {self._number + 1} has more than {self._most_bytes:,} bytes.")
        return [item for line in lines if (item := self._item(line)) is not None]

    def end(self) -> list[Item]:
        item = self._item(self._rest)
        return [] if item is None else [item]

    def _item(self, line: bytes) -> Item | None:
        self._number += 1
        return item_of(line, self._number) if line.strip() else None


class _Frames:
    """Splits frames: four bytes that say how long it is, then an array of items."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._rest = bytearray()
        self._decoder = msgspec.msgpack.Decoder(list[Item])

    def take(self, piece: bytes) -> list[Item]:
        self._rest += piece
        found: list[Item] = []
        while len(self._rest) >= LENGTH_BYTES:
            length = int.from_bytes(self._rest[:LENGTH_BYTES], "big")
            if length > self._most_bytes:
                raise RequestTooLarge(f"A frame has {length:,} bytes, more than {self._most_bytes:,}.")
            if len(self._rest) < LENGTH_BYTES + length:
                break
            data = bytes(self._rest[LENGTH_BYTES : LENGTH_BYTES + length])
            del self._rest[: LENGTH_BYTES + length]
            try:
                found += self._decoder.decode(data)
            except (msgspec.DecodeError, RecursionError) as error:
                raise InvalidData(f"A frame is no array of records: {error}.") from None
        return found

    def end(self) -> list[Item]:
        if self._rest:
            raise InvalidData("The stream ends in the middle of a frame.")
        return []
