"""Nodes on loopback in one process: what they hear, and how they are started and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from blockdb.cluster.peers import Limits, Peers, PeerTls
from blockdb.format.consensus import Member, Members
from blockdb.raft.messages import Heartbeat, Message, SnapshotHead
from blockdb.serving.process import loop_factory

CLUSTER = "shop"
HEAD = SnapshotHead(7, 2, Members((Member("a"), Member("b"))))
QUICK = Limits(
    ping_every_s=0.05,
    first_wait_s=0.01,
    longest_wait_s=0.05,
    stale_s=0.1,
)
PATIENCE_S = 60.0


Test = Callable[..., Coroutine[Any, Any, None]]


def on_a_loop(test: Test) -> Callable[..., None]:
    """A test that is a coroutine, on a loop as a node has it, and for a bounded time."""
    return _on([loop_factory()], test)


def on_both_loops(test: Test) -> Callable[..., None]:
    """The same test also on the loop of a machine without uvloop."""
    return _on([loop_factory(), asyncio.new_event_loop], test)


def _on(factories: list[Callable[[], asyncio.AbstractEventLoop]], test: Test) -> Callable[..., None]:
    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(4 * PATIENCE_S):
                await test(*args, **kwargs)

        for factory in factories:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(bounded())

    return run


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    loop = asyncio.get_running_loop()
    last = loop.time() + PATIENCE_S
    while not condition():
        assert loop.time() < last, "it did not come to pass"
        await asyncio.sleep(0.002)


@dataclass
class Ears:
    """A handler that keeps what it hears."""

    messages: list[tuple[str, Message]] = field(default_factory=list)
    contacts: list[tuple[str, bool]] = field(default_factory=list)
    snapshots: list[tuple[str, SnapshotHead, int]] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    on_chunk: Callable[[bytes], Coroutine[Any, Any, None]] | None = None
    questions: list[tuple[str, str]] = field(default_factory=list)
    answer: Callable[[str, bytes], Coroutine[Any, Any, bytes]] | None = None

    def on_message(self, sender: str, message: Message) -> None:
        self.messages.append((sender, message))

    def on_contact(self, id_: str, is_reached: bool) -> None:
        self.contacts.append((id_, is_reached))

    async def on_snapshot(self, sender: str, head: SnapshotHead, chunks: AsyncIterator[bytes]) -> None:
        size = 0
        try:
            async for chunk in chunks:
                size += len(chunk)
                if self.on_chunk is not None:
                    await self.on_chunk(chunk)
        except BaseException as error:
            self.failures.append(error)
            raise
        self.snapshots.append((sender, head, size))

    async def on_ask(self, sender: str, name: str, body: bytes) -> bytes:
        self.questions.append((sender, name))
        return body[::-1] if self.answer is None else await self.answer(name, body)

    @property
    def terms(self) -> list[int]:
        return [message.term for _, message in self.messages]


@dataclass
class Node:
    """A node that is listening."""

    id: str
    ears: Ears
    peers: Peers

    @property
    def member(self) -> Member:
        return Member(self.id, "", f"127.0.0.1:{self.peers.port}")

    def knows(self, *others: Node) -> None:
        self.peers.update(Members(tuple(node.member for node in others)))

    def beat(self, to: str, term: int) -> None:
        self.peers.send(to, Heartbeat(self.id, term, 0))

    def is_connected(self, to: str) -> bool:
        return self.peers.contacts()[to].is_connected


@asynccontextmanager
async def node(
    id_: str,
    *,
    cluster: str = CLUSTER,
    port: int = 0,
    tls: PeerTls | None = None,
    limits: Limits = QUICK,
    ears: Ears | None = None,
) -> AsyncIterator[Node]:
    ears = ears or Ears()
    peers = Peers(Member(id_, "", f"127.0.0.1:{port}"), cluster, ears, tls=tls, limits=limits)
    await peers.start()
    try:
        yield Node(id_, ears, peers)
    finally:
        await peers.close()


@asynccontextmanager
async def pair(**options: Any) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes that know and reach each other."""
    async with node("a", **options) as a, node("b", **options) as b:
        a.knows(b)
        b.knows(a)
        await until(lambda: a.is_connected("b") and b.is_connected("a"))
        yield a, b
