"""Links between nodes: what is cut carries nothing, and what is healed carries all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from blockdb.cluster.demo.links import Links
from blockdb.format.consensus import Member, Members
from tests.cluster.peers.nodes import HEAD, QUICK, Node, node, on_a_loop, until
from tests.cluster.peers.raw import hello


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Node, Node, Links]]:
    """Two nodes that reach each other through links."""
    limits = replace(QUICK, dial_timeout_s=0.5, handshake_timeout_s=0.5, silence_timeout_s=0.5)
    async with node("a", limits=limits) as a, node("b", limits=limits) as b:
        links = Links(
            {each.id: each.member.peer_address for each in (a, b)}, {each.id: "127.0.0.1:0" for each in (a, b)}
        )
        try:
            for each, other in ((a, "b"), (b, "a")):
                each.peers.update(Members((Member(other, "", links.address(each.id, other)),)))
            await until(lambda: a.is_connected("b") and b.is_connected("a"))
            yield a, b, links
        finally:
            await asyncio.to_thread(links.close)
            await asyncio.to_thread(links.close)


@on_a_loop
async def test_a_link_carries_everything() -> None:
    async with linked() as (a, b, _):
        for term in range(500):
            a.beat("b", term)
            b.beat("a", term)
        await until(lambda: len(a.ears.messages) == len(b.ears.messages) == 500)
        assert a.ears.terms == b.ears.terms == list(range(500))
        await a.peers.send_snapshot("b", HEAD, iter([bytes(1 << 20)] * 8))
        assert b.ears.snapshots == [("a", HEAD, 8 << 20)]


@on_a_loop
async def test_a_link_that_is_cut_and_healed() -> None:
    async with linked() as (a, b, links):
        links.cut("a", "b")
        a.beat("b", 1)
        b.beat("a", 1)
        await until(lambda: not a.is_connected("b") and not b.is_connected("a"))
        assert not a.ears.messages
        assert not b.ears.messages
        links.heal()
        await until(lambda: a.is_connected("b") and b.is_connected("a"))
        a.beat("b", 2)
        await until(lambda: 2 in b.ears.terms)


@on_a_loop
async def test_a_link_that_is_cut_one_way() -> None:
    async with linked() as (a, b, links):
        links.cut("a", "b", one_way=True)
        await until(lambda: not a.is_connected("b"))
        b.beat("a", 1)
        await until(lambda: a.ears.terms == [1])
        assert b.is_connected("a")
        links.heal()
        await until(lambda: a.is_connected("b"))


@on_a_loop
async def test_a_link_that_is_slow_or_loses_connections() -> None:
    async with linked() as (a, b, links):
        links.delay(50)
        loop = asyncio.get_running_loop()
        began = loop.time()
        a.beat("b", 1)
        await until(lambda: b.ears.terms == [1])
        assert loop.time() - began > 0.045
        links.delay(0)
        links.lose(1.0)
        a.beat("b", 2)
        await until(lambda: ("b", False) in a.ears.contacts)
        links.heal()
        await until(lambda: a.is_connected("b"))


@on_a_loop
async def test_nobody_behind_it_and_nobody_known_before_it() -> None:
    async with linked() as (a, b, links):
        host, _, port = links.address("b", "a").partition(":")
        for data in (b"garbage" * 10, hello()[:5], hello(sender="x")):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(data)
            writer.write_eof()
            await reader.read()
            writer.close()
        assert b.is_connected("a")
        await a.peers.close()
        await until(lambda: not b.is_connected("a"))
