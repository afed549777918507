"""What is sent comes, in order, once; to whom is away, not for ever."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from blockdb.cluster.peers import Limits, ask_address
from blockdb.errors import InvalidData, Unavailable
from blockdb.format.consensus import Entry, Kind
from blockdb.raft.messages import Append
from tests.cluster.peers.nodes import CLUSTER, QUICK, Ears, node, on_both_loops, pair, until


@on_both_loops
async def test_messages_keep_their_order_both_ways() -> None:
    async with pair() as (a, b):
        for term in range(2000):
            a.beat("b", term)
            b.beat("a", term)
        await until(lambda: len(a.ears.messages) == len(b.ears.messages) == 2000)
        assert a.ears.terms == b.ears.terms == list(range(2000))
        assert {sender for sender, _ in a.ears.messages} == {"b"}
        contact = a.peers.contacts()["b"]
        assert (contact.sent, contact.dropped, contact.queued_bytes) == (2000, 0, 0)
        assert contact.last_heard_ms > 1_700_000_000_000
        assert a.ears.contacts == [("b", True)]


@on_both_loops
async def test_entries_come_as_they_were() -> None:
    async with pair() as (a, b):
        entries = tuple(Entry(index, 3, Kind.COMMAND, bytes([index]) * 300_000) for index in range(1, 9))
        message = Append("a", 3, 0, 0, 0, entries)
        a.peers.send("b", message)
        a.peers.send("nobody", message)
        await until(lambda: b.ears.messages)
        assert b.ears.messages == [("a", message)]


@on_both_loops
async def test_a_node_that_comes_back_is_reached_again() -> None:
    async with node("a") as a:
        async with node("b") as b:
            a.knows(b)
            port = b.peers.port
            await until(lambda: a.is_connected("b"))
        await until(lambda: not a.is_connected("b"))
        a.beat("b", 1)
        await asyncio.sleep(2 * QUICK.stale_s)
        async with node("b", port=port) as b:
            await until(lambda: a.is_connected("b"))
            a.beat("b", 2)
            await until(lambda: b.ears.messages)
            assert b.ears.terms == [2], "what waited too long is not sent any more"
        assert a.ears.contacts[:3] == [("b", True), ("b", False), ("b", True)]
        assert a.peers.contacts()["b"].dropped == 1


@on_both_loops
async def test_who_calls_is_called_at_once() -> None:
    slow = replace(QUICK, first_wait_s=3600.0, longest_wait_s=3600.0)
    async with node("b") as b:
        port = b.peers.port
    async with node("a", limits=slow) as a:
        a.knows(b)
        await until(lambda: a.peers._outgoing["b"]._told)
        async with node("b", port=port) as b:
            assert not a.is_connected("b")
            b.knows(a)
            await until(lambda: a.is_connected("b"))


@on_both_loops
async def test_the_oldest_messages_go_where_too_many_wait() -> None:
    limits = replace(QUICK, max_queued_messages=10, stale_s=60.0)
    async with node("a", limits=limits) as a, node("b") as b:
        a.knows(b)
        for term in range(100):
            a.beat("b", term)
        assert a.peers.contacts()["b"].dropped == 90
        await until(lambda: len(b.ears.messages) == 10)
        assert b.ears.terms == list(range(90, 100))


@on_both_loops
async def test_a_side_that_does_not_read_makes_nobody_else_grow() -> None:
    limits = replace(QUICK, max_queued_bytes=1 << 20, silence_timeout_s=60.0)
    message = Append("a", 1, 0, 0, 0, (Entry(1, 1, Kind.COMMAND, bytes(100_000)),))
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server, pair(limits=limits) as (a, b):
        wire = a.peers._outgoing["b"]._wire
        assert wire is not None
        wire.pause_writing()
        for _ in range(200):
            a.peers.send("b", message)
        contact = a.peers.contacts()["b"]
        assert contact.queued_bytes <= 1 << 20
        assert contact.dropped > 180
        wire.resume_writing()
        await until(lambda: len(b.ears.messages) == 200 - contact.dropped)
        assert a.peers.contacts()["b"].queued_bytes == 0


def entry_of(size: int, index: int = 1) -> Append:
    return Append("a", 1, index - 1, 1, 0, (Entry(index, 1, Kind.COMMAND, bytes([index]) * size),))


@on_both_loops
async def test_a_heartbeat_overtakes_a_long_message_and_entries_keep_their_order() -> None:
    limits = replace(QUICK, piece_bytes=10_000, silence_timeout_s=60.0)
    async with pair(limits=limits) as (a, b):
        appends = [entry_of(8_000_000, 1), entry_of(10, 2), entry_of(300_000, 3)]
        for append in appends:
            a.peers.send("b", append)
        backlog = a.peers._outgoing["b"]._backlog
        await until(lambda: backlog._rest is not None)
        a.beat("b", 9)
        await until(lambda: len(b.ears.messages) == 4)
        assert b.ears.terms[0] == 9
        assert [message for _, message in b.ears.messages[1:]] == appends
        assert not backlog.has_any
        assert a.peers.contacts()["b"].sent == 4


@on_both_loops
async def test_of_a_long_message_that_was_cut_short_nothing_comes_later() -> None:
    limits = replace(QUICK, piece_bytes=10_000, silence_timeout_s=60.0)
    async with pair(limits=limits) as (a, b):
        outgoing = a.peers._outgoing["b"]
        a.peers.send("b", entry_of(8_000_000))
        await until(lambda: outgoing._backlog._rest is not None)
        assert outgoing._wire is not None
        outgoing._wire.abort("a test")
        await until(lambda: a.is_connected("b") and outgoing._wire is not None)
        assert a.peers.contacts()["b"].dropped == 1
        a.peers.send("b", entry_of(20_000, 2))
        await until(lambda: b.ears.messages)
        assert b.ears.messages == [("a", entry_of(20_000, 2))]


@on_both_loops
async def test_members_come_move_and_go() -> None:
    async with node("a") as a, node("b") as b:
        a.knows()
        assert a.peers.contacts() == {}
        a.knows(a, b)
        await until(lambda: a.is_connected("b"))
        async with node("b") as moved:
            a.knows(moved)
            await until(lambda: a.is_connected("b"))
            a.beat("b", 5)
            await until(lambda: moved.ears.terms == [5])
            assert not b.ears.messages
        a.knows()
        a.beat("b", 6)
        assert a.peers.contacts() == {}


# ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────


@on_both_loops
async def test_questions_are_answered() -> None:
    async with pair() as (a, b):
        assert await a.peers.ask("b", "head", b"abc") == b"cba"
        assert await asyncio.gather(*(a.peers.ask("b", "n", b"%d" % n) for n in range(60))) == [
            (b"%d" % n)[::-1] for n in range(60)
        ]
        assert b.ears.questions[0] == ("a", "head")
        with pytest.raises(Unavailable, match="no other member"):
            await a.peers.ask("c", "head")
        with pytest.raises(InvalidData, match="is longer"):
            await a.peers.ask("b", "head", bytes(QUICK.max_ask_bytes + 1))


@on_both_loops
async def test_a_question_before_the_connection_waits_for_it() -> None:
    async with node("b") as b, node("a") as a:
        a.knows(b)
        assert await a.peers.ask("b", "head", b"abc") == b"cba"


@on_both_loops
async def test_what_goes_wrong_with_a_question() -> None:
    never = asyncio.Event()

    async def answer(name: str, body: bytes) -> bytes:
        if name == "hang":
            await never.wait()
        if name == "long":
            return bytes(QUICK.max_ask_bytes + 1)
        raise InvalidData("it is wrong") if name == "wrong" else KeyError("secret")

    ears = Ears(answer=answer)
    limits = replace(QUICK, max_asks=4)
    async with node("a") as a, node("b", ears=ears, limits=limits) as b:
        a.knows(b)
        with pytest.raises(InvalidData, match="it is wrong"):
            await a.peers.ask("b", "wrong")
        with pytest.raises(Unavailable, match="its log says why"):
            await a.peers.ask("b", "bug")
        with pytest.raises(InvalidData, match="longer"):
            await a.peers.ask("b", "long")
        with pytest.raises(Unavailable, match="did not answer within"):
            await a.peers.ask("b", "hang", timeout_s=0.01)
        hanging = [asyncio.ensure_future(a.peers.ask("b", "hang")) for _ in range(3)]
        await until(lambda: len(b.ears.questions) == 7)
        with pytest.raises(Unavailable, match="4 questions open"):
            await a.peers.ask("b", "hang")
        await b.peers.close()
        for each in hanging:
            with pytest.raises(Unavailable, match="ended before it answered"):
                await each


@on_both_loops
async def test_who_is_no_member_asks_an_address() -> None:
    async with node("a") as a:
        for cluster in ("", CLUSTER):
            found = await ask_address(a.member.peer_address, "join", b"me", own_id="new", cluster_id=cluster)
            assert found == b"em"
        assert a.ears.questions == [("new", "join")] * 2
        with pytest.raises(Unavailable, match="it is of the cluster 'other'"):
            await ask_address(a.member.peer_address, "join", b"", own_id="new", cluster_id="other")
        address = a.member.peer_address
    with pytest.raises(Unavailable, match="cannot be reached"):
        await ask_address(address, "join", b"", own_id="new")
    with pytest.raises(Unavailable, match=r"did not answer|does not answer|cannot be reached"):
        await ask_address(address, "join", b"", own_id="new", timeout_s=0.001, limits=Limits(dial_timeout_s=0.001))
