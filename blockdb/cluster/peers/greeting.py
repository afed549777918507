"""How a connection begins: who is it, and is it one of us."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from blockdb.cluster.peers.addresses import check_name, host_and_port
from blockdb.cluster.peers.bodies import OLDEST_PROTOCOL, PROTOCOL, Hello, Purpose, Welcome, decode, encode
from blockdb.cluster.peers.limits import Limits
from blockdb.cluster.peers.tls import LiveTls, node_uri, uris_of
from blockdb.cluster.peers.wire import Wire
from blockdb.errors import BlockDBError, ConfigError, Unavailable
from blockdb.format.peer_frame import BadFrame, FrameKind
from blockdb.security.exposure import is_loopback

__all__ = ["Identity", "accept", "dial", "hear", "welcome"]

NO_DELAY: Final = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a node is, to others."""

    id: str
    cluster: str
    """Empty where it is not known yet."""
    incarnation: int
    tls: LiveTls | None
    insecure_public: bool
    limits: Limits

    def hello(self, to_id: str, purpose: Purpose) -> Hello:
        """What to say first."""
        return Hello(PROTOCOL, OLDEST_PROTOCOL, self.cluster, self.id, to_id, purpose, self.incarnation)


# ── who calls ────────────────────────────────────────────────────────────────────────────────────────────────────


async def dial(own: Identity, address: str, to_id: str, purpose: Purpose) -> Wire:
    """A connection to the node at an address, which is `to_id` (empty: whoever is there) and took this one in.

    Raises Unavailable, and ConfigError for an address that is none or that must not be dialled.
    """
    try:
        async with asyncio.timeout(own.limits.dial_timeout_s):
            wire = await _connected(own, address)
    except TimeoutError:
        raise Unavailable(f"{address} does not answer.") from None
    except ssl.SSLError as error:
        raise Unavailable(f"{address} and this node do not agree on TLS: {_reason(error)}.") from None
    except OSError as error:
        raise Unavailable(f"{address} cannot be reached: {error.strerror or error}.") from None
    try:
        return await _introduced(own, wire, address, to_id, purpose)
    except (BlockDBError, BadFrame) as error:
        wire.abort("the handshake failed")
        raise Unavailable(f"{address}: {error}") from None
    except BaseException:
        wire.abort("the handshake was given up")
        raise


async def _connected(own: Identity, address: str) -> Wire:
    host, port = host_and_port(address)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if own.tls is None and not own.insecure_public and not all(is_loopback(str(place[0])) for *_, place in found):
        raise ConfigError(
            f"{address} is not on this machine, and without TLS nobody is sure who that is. Give nodes certificates "
            "(`blockdb cert DIR --cluster NAME --node ID`), or say --insecure-public where something else guards them."
        )
    sock = await _first_socket([(family, place) for family, *_, place in found])
    wire = Wire()
    if own.tls is None:
        await loop.create_connection(lambda: wire, sock=sock)
    else:
        await loop.create_connection(lambda: wire, sock=sock, ssl=own.tls.client, server_hostname="")
    return wire


async def _first_socket(places: Sequence[tuple[socket.AddressFamily, Any]]) -> socket.socket:
    """A socket to the first of several addresses that takes one. Raises OSError of the last one."""
    for family, place in places[:-1]:
        with suppress(OSError):
            return await _socket_to(family, place)
    return await _socket_to(*places[-1])


async def _socket_to(family: socket.AddressFamily, place: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(*NO_DELAY)
        await asyncio.get_running_loop().sock_connect(sock, place)
    except BaseException:
        sock.close()
        raise
    return sock


async def _introduced(own: Identity, wire: Wire, address: str, to_id: str, purpose: Purpose) -> Wire:
    if own.tls is not None:
        _check_certificate(own, wire, to_id)
    wire.send(FrameKind.HELLO, encode(own.hello(to_id, purpose)))
    kind, body = await wire.receive(own.limits.handshake_timeout_s)
    if kind is FrameKind.REFUSAL:
        raise Unavailable(f"it refused this node: {decode(str, body)}")
    if kind is not FrameKind.WELCOME:
        raise BadFrame(f"it answered with a frame of kind {kind.name}")
    found = decode(Welcome, body)
    if found.node != (to_id or found.node) or found.cluster != (own.cluster or found.cluster):
        raise Unavailable(f"it is node {found.node} of cluster {found.cluster}")
    wire.allow(own.limits.max_frame_bytes)
    return wire


def _check_certificate(own: Identity, wire: Wire, to_id: str) -> None:
    """See that whom we reached is whom we meant, before anything is said."""
    uris = uris_of(wire.info("peercert"))
    if to_id and own.cluster:
        wanted = node_uri(own.cluster, to_id)
        if wanted not in uris:
            raise Unavailable(f"its certificate names {_listed(uris)}, not {wanted}")
    elif not any(uri.startswith(node_uri(own.cluster, "") if own.cluster else "blockdb://") for uri in uris):
        raise Unavailable(f"its certificate names {_listed(uris)}, which is no node of this cluster")


# ── who is called ────────────────────────────────────────────────────────────────────────────────────────────────


async def accept(own: Identity, sock: socket.socket) -> Wire:
    """The connection that somebody made, with TLS around it; it owns the socket. Raises Unavailable."""
    loop = asyncio.get_running_loop()
    tls = None if own.tls is None else own.tls.server
    timeout_s = None if tls is None else own.limits.handshake_timeout_s
    try:
        with suppress(OSError):
            sock.setsockopt(*NO_DELAY)
        wire = Wire()  # what uvloop gives back is not it
        await loop.connect_accepted_socket(lambda: wire, sock, ssl=tls, ssl_handshake_timeout=timeout_s)
    except ssl.SSLError as error:
        raise Unavailable(f"TLS failed: {_reason(error)}") from None
    except OSError as error:
        raise Unavailable(f"it went away: {error.strerror or error}") from None
    return wire


async def hear(own: Identity, wire: Wire) -> Hello:
    """What whoever made a connection says first. Raises BadFrame, Unavailable; ConfigError for who is not let in."""
    kind, body = await wire.receive(own.limits.handshake_timeout_s)
    if kind is not FrameKind.HELLO:
        raise BadFrame(f"it began with a frame of kind {kind.name}")
    hello = decode(Hello, body)
    _check_hello(own, hello)
    if own.tls is not None:
        uris, claimed = uris_of(wire.info("peercert")), node_uri(own.cluster, hello.sender)
        if claimed not in uris:
            raise ConfigError(f"it says it is {claimed}, and its certificate names {_listed(uris)}")
    return hello


def welcome(own: Identity, wire: Wire, hello: Hello) -> None:
    """Let it in."""
    chosen = min(PROTOCOL, hello.protocol)
    wire.send(FrameKind.WELCOME, encode(Welcome(chosen, own.cluster, own.id, own.incarnation)))
    wire.allow(own.limits.max_frame_bytes)


def _check_hello(own: Identity, hello: Hello) -> None:
    is_question = hello.purpose == "ask"
    if hello.oldest_protocol > PROTOCOL or hello.protocol < OLDEST_PROTOCOL:
        theirs = f"{hello.oldest_protocol} to {hello.protocol}"
        raise ConfigError(f"it speaks the protocols {theirs}, and this node {OLDEST_PROTOCOL} to {PROTOCOL}")
    check_name(hello.sender, "id of a node")
    if hello.cluster != own.cluster and (hello.cluster or not is_question):
        raise ConfigError(f"it is of the cluster {hello.cluster!r}, and this node of {own.cluster!r}")
    if hello.receiver != own.id and (hello.receiver or not is_question):
        raise ConfigError(f"it looks for node {hello.receiver!r}, and this is {own.id!r}")
    if hello.sender == own.id and not is_question:
        raise ConfigError(f"it says it is {hello.sender!r}, which this node is")


def _listed(uris: frozenset[str]) -> str:
    return ", ".join(sorted(uris)) or "no node"


def _reason(error: ssl.SSLError) -> str:
    return getattr(error, "verify_message", "") or error.reason or str(error)
