"""The other nodes, as one thing: what is sent to them, and what they send."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from functools import partial
from random import Random
from secrets import randbits
from time import time

from blockdb.cluster.peers.addresses import check_name, host_and_port
from blockdb.cluster.peers.bodies import encode
from blockdb.cluster.peers.greeting import Identity, dial
from blockdb.cluster.peers.handling import Contact, PeerHandler
from blockdb.cluster.peers.incoming import Incoming
from blockdb.cluster.peers.limits import Limits
from blockdb.cluster.peers.outgoing import Outgoing
from blockdb.cluster.peers.snapshots import give
from blockdb.cluster.peers.tls import LiveTls, PeerTls
from blockdb.errors import ConfigError, Unavailable
from blockdb.format.consensus import Member, Members
from blockdb.raft.messages import Message, SnapshotHead
from blockdb.serving.listening import is_loopback, listen

__all__ = ["Peers"]

_log = logging.getLogger("blockdb.cluster.peers")


class Peers:
    """Connections of a node to all others. It belongs to the loop on which `start` is awaited, and is called there."""

    def __init__(
        self,
        own: Member,
        cluster_id: str,
        handler: PeerHandler,
        *,
        tls: PeerTls | None = None,
        insecure_public: bool = False,
        listen_address: str = "",
        limits: Limits | None = None,
    ) -> None:
        """`cluster_id` is what all nodes of the cluster have in common, and what stands in their certificates.

        `listen_address` is where to listen if not at `own.peer_address`, which others are told (as behind a proxy).
        Without TLS only loopback addresses are listened at and dialled, unless `insecure_public`. Raises ConfigError.
        """
        check_name(own.id, "id of a node")
        check_name(cluster_id, "name of a cluster")
        live = None if tls is None else LiveTls(tls, cluster_id, own.id)
        self._own = Identity(own.id, cluster_id, randbits(63), live, insecure_public, limits or Limits())
        self._address = host_and_port(listen_address or own.peer_address)
        self._handler = handler
        self._chance = Random(self._own.incarnation)
        self._members: dict[str, Member] = {}
        self._outgoing: dict[str, Outgoing] = {}
        self._heard_ms: dict[str, int] = {}
        self._incoming: Incoming | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._long: tuple[Message, bytes] | None = None
        self._port = 0
        self._is_closed = False

    @property
    def port(self) -> int:
        """Where it listens, once started."""
        return self._port

    async def start(self) -> None:
        """Listen, and dial whom `update` named. Raises ConfigError, InvalidData, StorageError for the address."""
        host, port = self._address
        if self._own.tls is None and not self._own.insecure_public and not is_loopback(host, port):
            raise ConfigError(
                f"Others can reach {host}, and without TLS they could pretend to be nodes. Give nodes certificates "
                "(`blockdb cert DIR --cluster NAME --node ID`), or say --insecure-public where something else guards "
                "this address."
            )
        listening = listen(host, port)
        self._port = int(listening.getsockname()[1])
        self._incoming = Incoming(self._own, self._handler, listening, self._called, self._heard)
        self._ticking = asyncio.get_running_loop().create_task(self._tick())
        for member in self._members.values():
            self._call(member)

    def update(self, members: Members) -> None:
        """Who the other nodes are from now on (the own one among them is passed over). Raises nothing."""
        before = self._members
        self._members = {member.id: member for member in members.all if member.id != self._own.id}
        if self._incoming is None or self._is_closed:
            return
        for id_, member in before.items():
            now = self._members.get(id_)
            if now is None or now.peer_address != member.peer_address:
                self._let_go(id_)
        for member in self._members.values():
            if member.id not in self._outgoing:
                self._call(member)

    def _call(self, member: Member) -> None:
        self._outgoing[member.id] = Outgoing(
            self._own,
            member,
            self._chance,
            partial(self._handler.on_contact, member.id),
            partial(self._heard, member.id),
        )

    def _let_go(self, id_: str) -> None:
        leaving = self._outgoing.pop(id_, None)
        if leaving is not None:
            task = asyncio.get_running_loop().create_task(leaving.close())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def send(self, to_id: str, message: Message) -> None:
        """Send a message of consensus, if it can be. Neither blocks nor raises.

        Those about entries of the log keep their order, others may overtake them, and any of them may be lost; to a
        node that is no member all are.
        """
        outgoing = self._outgoing.get(to_id)
        if outgoing is not None:
            outgoing.send(message, self._encoded(message))

    def _encoded(self, message: Message) -> bytes:
        """The bytes of a message; of a long one that goes to several nodes, the same."""
        if self._long is not None and self._long[0] is message:
            return self._long[1]
        data = encode(message)
        if len(data) > self._own.limits.piece_bytes:
            self._long = message, data
            asyncio.get_running_loop().call_soon(self._forget_long)
        return data

    def _forget_long(self) -> None:
        self._long = None

    async def send_snapshot(
        self, to_id: str, head: SnapshotHead, chunks: AsyncIterator[bytes] | Iterator[bytes]
    ) -> None:
        """Send a snapshot on a connection of its own, and return once the other node has taken it over.

        An `Iterator` is read in a thread. Raises Unavailable with what went wrong, or what the other node says.
        """
        member = self._member(to_id)
        try:
            wire = await dial(self._own, member.peer_address, to_id, "snapshot")
            try:
                await give(wire, head, chunks, self._own.limits)
            finally:
                await wire.finish()
        except ConfigError as error:
            raise Unavailable(str(error)) from None

    async def ask(self, to_id: str, name: str, body: bytes = b"", timeout_s: float = 5.0) -> bytes:
        """Ask a node something, and give its answer. Raises Unavailable, and what `PeerHandler.on_ask` hands over."""
        self._member(to_id)
        return await self._outgoing[to_id].ask(name, body, timeout_s)

    def _member(self, id_: str) -> Member:
        if id_ not in self._outgoing:
            raise Unavailable(f"{id_} is no other member of this cluster, as far as this node knows.")
        return self._members[id_]

    def contacts(self) -> dict[str, Contact]:
        """How it stands with each of the other nodes."""
        return {
            id_: Contact(self._heard_ms.get(id_, 0), each.is_connected, each.queued_bytes, each.sent, each.dropped)
            for id_, each in self._outgoing.items()
        }

    def _heard(self, id_: str) -> None:
        if id_ in self._members:
            self._heard_ms[id_] = int(time() * 1000)

    def _called(self, id_: str) -> None:
        """A node is there, and has called: so it can be called too."""
        outgoing = self._outgoing.get(id_)
        if outgoing is not None and not outgoing.is_connected:
            outgoing.nudge()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._own.limits.ping_every_s)
            for outgoing in list(self._outgoing.values()):
                outgoing.look_after(loop.time())

    async def close(self) -> None:
        """End all connections, and whoever waits for one. Idempotent."""
        self._is_closed = True
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        for id_ in list(self._outgoing):
            self._let_go(id_)
        await asyncio.gather(*self._leaving, return_exceptions=True)
        if self._incoming is not None:
            await self._incoming.close()
