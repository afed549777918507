"""Whatever comes, and however slowly: nothing crashes, hangs or grows, and others are served."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from blockdb.cluster.peers import ask_address
from blockdb.cluster.peers.bodies import Hello, Welcome, encode
from blockdb.errors import Unavailable
from blockdb.format.consensus import Member, Members
from blockdb.format.peer_frame import HEADER_BYTES, FrameKind, pack_frame
from tests.cluster.peers.nodes import CLUSTER, QUICK, Ears, Node, node, on_a_loop, until
from tests.cluster.peers.raw import PING, Caller, calling, hello, messages, question

EXCHANGE = hello() + messages(1, 2) + question() + PING + messages(3)


@asynccontextmanager
async def unharmed(**options: Any) -> AsyncIterator[Node]:
    """A node that must be as it was afterwards: it talks to an honest one, and nothing was raised on the loop."""
    raised: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: raised.append(context))
    async with node("a", **options) as a:
        yield a
        a.ears.messages.clear()
        async with node("c") as c:
            c.knows(a)

            def is_heard() -> bool:
                """What is sent before they have met is lost, or while they meet once more."""
                if not a.ears.messages:
                    c.beat("a", 77)
                return set(a.ears.terms) == {77}

            await until(is_heard)
        assert len(a.peers._incoming._greeting) <= QUICK.max_handshakes  # type: ignore[union-attr]
    assert not raised


async def said(a: Node, data: bytes) -> list[FrameKind]:
    """What a node says to that, until it ends the connection or has heard all of it."""
    async with calling(a) as caller:
        if data.startswith(hello()):
            await caller.introduce()
            data = data[len(hello()) :]
        await caller.say(data)
        if caller.writer.can_write_eof():
            caller.writer.write_eof()
        return await caller.rest()


@on_a_loop
async def test_the_exchange_as_it_should_be() -> None:
    async with unharmed() as a:
        await said(a, EXCHANGE)
        assert a.ears.terms == [1, 2, 3]
        assert a.ears.questions == [("b", "head")]


def flips(bits: list[int]) -> None:
    @on_a_loop
    async def scenario() -> None:
        async with unharmed() as a:
            for position in range(len(EXCHANGE)):
                for bit in bits:
                    a.ears.messages.clear()
                    damaged = bytearray(EXCHANGE)
                    damaged[position] ^= bit
                    await said(a, bytes(damaged))
                    assert a.ears.terms in ([], [1, 2]), "what follows damage does not count"

    scenario()


def test_a_flipped_byte_ends_the_connection() -> None:
    flips([0xFF])


@pytest.mark.torture
def test_any_flipped_bit_ends_the_connection() -> None:
    flips([1 << bit for bit in range(8)])


@on_a_loop
async def test_an_exchange_that_is_cut_anywhere() -> None:
    async with unharmed() as a:
        for length in range(0, len(EXCHANGE), 3):
            await said(a, EXCHANGE[:length])


GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "tls": bytes.fromhex("1603010200010001fc0303") + bytes(600),
    "zeros": bytes(100_000),
    "chance": random.Random(1).randbytes(100_000),
    "no hello": PING,
    "hello twice": hello() + hello(),
    "long": pack_frame(FrameKind.HELLO, bytes(5000)),
    "wrong type": pack_frame(FrameKind.HELLO, encode([1, 2, 3])),
    "no msgpack": pack_frame(FrameKind.HELLO, b"\xc1"),
    "not utf-8": pack_frame(
        FrameKind.HELLO, encode(Hello(1, 1, "shop", "b", "a", "ask", 1)).replace(b"shop", b"\xff" * 4)
    ),
    "bad id": hello(sender="../b"),
    "its own id": hello(sender="a"),
    "answer": hello() + pack_frame(FrameKind.ANSWER, b""),
    "no message": hello() + pack_frame(FrameKind.MESSAGES, encode([["Nothing", "b", 1]])),
    "message of another": hello() + messages(1, sender="c"),
    "messages to ask": hello("ask") + messages(1),
    "no snapshot": hello("snapshot") + PING,
    "deep": hello() + pack_frame(FrameKind.MESSAGES, b"\x91" * 100_000),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage(what: str) -> None:
    @on_a_loop
    async def scenario() -> None:
        async with unharmed() as a:
            await said(a, GARBAGE[what])
            assert not a.ears.messages

    scenario()


@on_a_loop
async def test_another_version_is_told_why(caplog: pytest.LogCaptureFixture) -> None:
    later = pack_frame(FrameKind.HELLO, encode(Hello(9, 8, CLUSTER, "b", "a", "messages", 1)))
    async with unharmed() as a, calling(a) as caller:
        await caller.say(later)
        kind, body = await caller.hear() or (None, b"")
        assert kind is FrameKind.REFUSAL
        assert b"it speaks the protocols 8 to 9, and this node 1 to 1" in body
    assert "A connection from 127.0.0.1 was refused: it speaks the protocols 8 to 9" in caplog.text
    newer = bytearray(hello())
    newer[2] = 2
    async with unharmed() as a, calling(a) as caller:
        await caller.say(bytes(newer))
        assert (await caller.rest()) == [FrameKind.REFUSAL]


@on_a_loop
async def test_a_length_that_lies() -> None:
    """A frame that is longer than may be is refused by its header, before anything of it is kept."""
    async with unharmed(limits=replace(QUICK, max_frame_bytes=10_000, silence_timeout_s=60.0)) as a:
        for length in (10_001, 1 << 31, (1 << 32) - 1):
            async with calling(a) as caller:
                await caller.introduce()
                header = pack_frame(FrameKind.MESSAGES, b"")[:HEADER_BYTES]
                await caller.say(lying(header, length))
                assert await caller.rest() == []


@on_a_loop
async def test_pieces_without_end() -> None:
    piece = pack_frame(FrameKind.PIECE, bytes(4_000))
    async with unharmed(limits=replace(QUICK, max_frame_bytes=10_000, silence_timeout_s=60.0)) as a:
        for frames in ([piece] * 3, [pack_frame(FrameKind.PIECE)], [piece, pack_frame(FrameKind.LAST_PIECE, b"x")]):
            async with calling(a) as caller:
                await caller.introduce()
                await caller.say(*frames)
                assert await caller.rest() == []


def lying(header: bytes, length: int) -> bytes:
    from xxhash import xxh3_64_digest

    head = header[:4] + length.to_bytes(4, "little") + header[8:12]
    return head + xxh3_64_digest(head)[:4]


@on_a_loop
async def test_slow_handshakes_keep_nobody_out(caplog: pytest.LogCaptureFixture) -> None:
    limits = replace(QUICK, max_handshakes=8, handshake_timeout_s=0.3)
    async with unharmed(limits=limits) as a:
        callers = []
        for _ in range(50):
            caller = Caller(*await asyncio.open_connection("127.0.0.1", a.peers.port))
            await caller.say(hello()[:3])
            callers.append(caller)
        incoming = a.peers._incoming
        assert incoming is not None
        async with node("c") as c:
            c.knows(a)
            await until(lambda: c.is_connected("a"))
        assert len(incoming._greeting) <= 8
        for caller in callers:
            assert await caller.rest() == []
            caller.writer.close()
        await until(lambda: not incoming._serving)
    assert "did not say who it is in time" in caplog.text
    assert caplog.text.count("was refused") < 5, "a flood of callers is no flood of lines"


@on_a_loop
async def test_connections_that_are_half_open() -> None:
    limits = replace(QUICK, silence_timeout_s=0.1)
    async with unharmed(limits=limits) as a, calling(a) as silent, calling(a) as asking:
        await silent.introduce()
        await silent.say(messages(1))
        await asking.introduce("ask")
        assert await silent.rest() == await asking.rest() == []


@on_a_loop
async def test_who_never_reads_is_not_waited_for() -> None:
    """Pings whose answers nobody reads: what waits to be sent stays bounded."""
    limits = replace(QUICK, silence_timeout_s=60.0)
    async with unharmed(limits=limits) as a, calling(a) as caller:
        await caller.say(hello())
        await until(lambda: a.peers._incoming._wires)  # type: ignore[union-attr]
        wire = a.peers._incoming._wires["b"]  # type: ignore[union-attr]
        pings = PING * 20_000
        for _ in range(5):
            await caller.say(pings)
            assert wire._transport is not None
            assert wire._transport.get_write_buffer_size() < 2 << 20


@on_a_loop
async def test_a_node_that_calls_again_replaces_its_connection() -> None:
    async with unharmed() as a, calling(a) as first:
        await first.say(hello())
        await until(lambda: a.peers._incoming._wires)  # type: ignore[union-attr]
        async with calling(a) as second:
            await second.say(hello(), messages(5))
            await until(lambda: a.ears.terms == [5])
            assert await first.rest() == [FrameKind.WELCOME]


@on_a_loop
async def test_a_bug_in_what_hears_ends_the_connection_alone(caplog: pytest.LogCaptureFixture) -> None:
    ears = Ears()
    hears = ears.on_message
    ears.on_message = lambda sender, message: hears(sender, message) if sender == "c" else 1 / 0  # type: ignore
    async with unharmed(ears=ears) as a, calling(a) as caller:
        await caller.say(hello(), messages(5))
        assert await caller.rest() == [FrameKind.WELCOME]
    assert "A message of b could not be taken in" in caplog.text


# ── whoever is called may be hostile too ─────────────────────────────────────────────────────────────────────────


WELCOME = pack_frame(FrameKind.WELCOME, encode(Welcome(1, CLUSTER, "b", 1)))
ANSWERS = {
    "nothing": b"",
    "the end": None,
    "garbage": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a ping": PING,
    "another node": pack_frame(FrameKind.WELCOME, encode(Welcome(1, CLUSTER, "c", 1))),
    "another cluster": pack_frame(FrameKind.WELCOME, encode(Welcome(1, "bank", "b", 1))),
    "a long refusal": pack_frame(FrameKind.REFUSAL, encode("x" * 5000)),
    "a welcome, then garbage": WELCOME + bytes(100),
    "a welcome, then silence": WELCOME,
}


@pytest.mark.parametrize("what", ANSWERS)
def test_whoever_is_called(what: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = ANSWERS[what]
    limits = replace(QUICK, silence_timeout_s=0.1, handshake_timeout_s=0.1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is not None:
            writer.write(answer)
            await reader.read()
        writer.close()

    @on_a_loop
    async def scenario() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, unharmed(limits=limits) as a:
            a.peers.update(Members((Member("b", "", address),)))
            a.beat("b", 1)
            await until(lambda: a.peers._outgoing["b"]._told)
            with pytest.raises(Unavailable):
                await ask_address(address, "q", b"", own_id="a", limits=limits, timeout_s=0.2)
            a.peers.update(Members())

    scenario()
    assert "is not reached" in caplog.text
