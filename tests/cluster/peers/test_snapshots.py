"""Snapshots: whole or not at all, and no faster than they are taken in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from hashlib import sha256

import pytest

from blockdb.cluster.peers.bodies import End, encode
from blockdb.errors import InvalidData, Unavailable
from blockdb.format.peer_frame import FrameKind, pack_frame
from tests.cluster.peers.nodes import HEAD, QUICK, Ears, node, on_both_loops, pair, until
from tests.cluster.peers.raw import calling

BEGIN = pack_frame(FrameKind.SNAPSHOT, encode(HEAD))


def end(data: bytes) -> bytes:
    return pack_frame(FrameKind.END, encode(End(len(data), sha256(data).digest())))


async def streamed(chunks: int, chunk_bytes: int, lead_bytes: int) -> None:
    """Send a snapshot to a slow reader, and see how far the sender is ahead of it."""
    given = taken = most = 0
    turn = asyncio.Event()

    async def slow(chunk: bytes) -> None:
        nonlocal taken
        taken += len(chunk)
        await turn.wait()  # a turn of the loop or two

    async def source() -> AsyncIterator[bytes]:
        nonlocal given, most
        for number in range(chunks):
            given += chunk_bytes
            most = max(most, given - taken)
            if given - taken > lead_bytes // 2:
                turn.set()
            yield bytes([number % 256]) * chunk_bytes
        turn.set()

    ears = Ears(on_chunk=slow)
    async with node("b", ears=ears) as b, node("a") as a:
        a.knows(b)
        asyncio.get_running_loop().call_later(0.2, turn.set)
        await a.peers.send_snapshot("b", HEAD, source())
    assert ears.snapshots == [("a", HEAD, chunks * chunk_bytes)]
    assert most < lead_bytes


@on_both_loops
async def test_back_pressure() -> None:
    """While the reader does not read, the sender gets no further than what sockets and buffers hold."""
    await streamed(200, 256 << 10, 16 << 20)


@pytest.mark.torture
@on_both_loops
async def test_back_pressure_over_a_long_snapshot() -> None:
    await streamed(2000, 256 << 10, 16 << 20)


@on_both_loops
async def test_pieces_of_any_size_from_a_thread() -> None:
    def source() -> Iterator[bytes]:
        yield b""
        yield bytes(1_000_001)
        yield b"1"

    async with pair() as (a, b):
        await a.peers.send_snapshot("b", HEAD, source())
        await a.peers.send_snapshot("b", HEAD, iter(()))
        assert [size for *_, size in b.ears.snapshots] == [1_000_002, 0]


@on_both_loops
async def test_a_source_that_fails_is_a_stream_that_is_cut() -> None:
    def source() -> Iterator[bytes]:
        yield bytes(100_000)
        raise OSError("the disk")

    async with pair() as (a, b):
        with pytest.raises(OSError, match="the disk"):
            await a.peers.send_snapshot("b", HEAD, source())
        await until(lambda: b.ears.failures)
        assert isinstance(b.ears.failures[0], Unavailable)
        assert not b.ears.snapshots
        await a.peers.send_snapshot("b", HEAD, iter([b"1"]))
        assert len(b.ears.snapshots) == 1


@on_both_loops
async def test_what_the_taker_raises_is_what_the_sender_is_told() -> None:
    async def refuse(_: bytes) -> None:
        raise InvalidData("it is of another database")

    async def fail(_: bytes) -> None:
        raise KeyError("secret")

    for on_chunk, words in ((refuse, "it is of another database"), (fail, "its log says why")):
        async with node("b", ears=Ears(on_chunk=on_chunk)) as b, node("a") as a:
            a.knows(b)
            with pytest.raises(Unavailable, match=words):
                await a.peers.send_snapshot("b", HEAD, iter([bytes(1_000_000)] * 40))


@on_both_loops
async def test_one_at_a_time() -> None:
    never = asyncio.Event()

    async def hang(_: bytes) -> None:
        await never.wait()

    async with node("b", ears=Ears(on_chunk=hang)) as b, node("a") as a:
        a.knows(b)
        first = asyncio.ensure_future(a.peers.send_snapshot("b", HEAD, iter([b"1"])))
        incoming = b.peers._incoming
        assert incoming is not None
        await until(lambda: incoming._taking._is_busy)
        with pytest.raises(Unavailable, match="another snapshot"):
            await a.peers.send_snapshot("b", HEAD, iter([b"2"]))
        never.set()
        await first


@on_both_loops
async def test_a_sender_waits_no_longer_than_the_taker_lives() -> None:
    async def hang(_: bytes) -> None:
        await asyncio.Event().wait()

    async with node("a") as a:
        async with node("b", ears=Ears(on_chunk=hang)) as b:
            a.knows(b)
            sending = asyncio.ensure_future(a.peers.send_snapshot("b", HEAD, iter([bytes(300_000)] * 100)))
            await until(lambda: b.peers._incoming._taking._is_busy)  # type: ignore[union-attr]
        with pytest.raises(Unavailable):
            await sending
        with pytest.raises(Unavailable, match="no other member"):
            await a.peers.send_snapshot("c", HEAD, iter([b"1"]))


DATA = bytes(range(256)) * 40
CHUNK = pack_frame(FrameKind.CHUNK, DATA)
DAMAGED = CHUNK[:100] + bytes([CHUNK[100] ^ 1]) + CHUNK[101:]
CUT = {
    "cut in a chunk": (CHUNK[:-1], Unavailable, "cut short"),
    "cut before its end": (CHUNK, Unavailable, "cut short"),
    "a damaged chunk": (DAMAGED + end(DATA), InvalidData, "damaged on its way"),
    "a chunk too few": (CHUNK + end(DATA * 2), InvalidData, "10240 bytes came of 20480"),
    "a chunk too many": (CHUNK * 2 + end(DATA), InvalidData, "is not what was sent"),
    "other bytes": (CHUNK + end(DATA[::-1]), InvalidData, "is not what was sent"),
    "an empty chunk": (pack_frame(FrameKind.CHUNK) + end(b""), InvalidData, "no place in a snapshot"),
    "a message": (CHUNK + pack_frame(FrameKind.MESSAGES), InvalidData, "no place in a snapshot"),
    "an end that is none": (CHUNK + pack_frame(FrameKind.END, b"1"), InvalidData, "does not end as it should"),
}


@pytest.mark.parametrize("what", CUT)
def test_what_is_no_whole_snapshot(what: str) -> None:
    data, error, words = CUT[what]

    @on_both_loops
    async def scenario() -> None:
        async with node("a") as a:
            async with calling(a) as caller:
                await caller.introduce("snapshot")
                await caller.say(BEGIN, data)
                if error is Unavailable:
                    caller.writer.write_eof()
                kinds = await caller.rest()
            await until(lambda: a.ears.failures)
            assert FrameKind.DONE not in kinds
            assert not a.ears.snapshots
            assert isinstance(a.ears.failures[0], error)
            assert words in str(a.ears.failures[0])

    scenario()


@on_both_loops
async def test_a_stream_that_stalls_is_given_up() -> None:
    async with node("a", limits=replace(QUICK, stall_timeout_s=0.1)) as a, calling(a) as caller:
        await caller.introduce("snapshot")
        await caller.say(BEGIN, CHUNK)
        assert (await caller.rest())[-1] is FrameKind.REFUSAL
        assert "cut short: Nothing happened" in str(a.ears.failures[0])
