"""Where nodes are, as people write it."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final

from blockdb.errors import ConfigError
from blockdb.format.consensus import Member

__all__ = ["check_name", "host_and_port", "joined", "parse_peer"]

PEER_PORT_OFFSET: Final = 1000
"""What is added to the port for users where no port for nodes is said."""
LAST_PORT: Final = 65_535
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_PEER: Final = re.compile(r"(?P<id>[^:]*):(?P<host>\[[^\]]*\]|[^:\[\]]*):(?P<port>[^:]*)(?::(?P<peer_port>[^:]*))?")
_ADDRESS: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*):(?P<port>[^:]*)")


def check_name(name: str, what: str) -> str:
    """The name of a node or of a cluster, if it can be one. Raises ConfigError."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be the {what}: it has 1 to 64 letters, digits and . _ -, and begins with none of these."
        )
    return name


def parse_peer(text: str) -> Member:
    """`<id>:<host>:<port>` or `<id>:<host>:<port>:<peer port>`, with an IPv6 address in brackets.

    The port serves users; nodes talk to each other at that port + 1000 where no other one is said. Raises ConfigError.
    """
    found = _PEER.fullmatch(text)
    if found is None:
        raise ConfigError(
            f"{text!r} is no node: write ID:HOST:PORT, or ID:HOST:PORT:PEER_PORT, with an IPv6 address in brackets."
        )
    id_ = check_name(found["id"], f"id of a node (in {text!r})")
    host, port = _host(found["host"], text), _port(found["port"], text)
    if found["peer_port"] is not None:
        return Member(id_, joined(host, port), joined(host, _port(found["peer_port"], text)))
    if port + PEER_PORT_OFFSET > LAST_PORT:
        raise ConfigError(
            f"{text!r}: {port} + {PEER_PORT_OFFSET} is no port. Give the port for nodes as a fourth part."
        )
    return Member(id_, joined(host, port), joined(host, port + PEER_PORT_OFFSET))


def host_and_port(address: str) -> tuple[str, int]:
    """What `host:port` or `[address]:port` names. Raises ConfigError."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ConfigError(f"{address!r} is no address: write HOST:PORT, with an IPv6 address in brackets.")
    return _host(found["host"], address), _port(found["port"], address, least=0)


def joined(host: str, port: int) -> str:
    """`host:port`, as `host_and_port` takes it apart."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _host(host: str, where: str) -> str:
    if host.startswith("["):
        try:
            return str(IPv6Address(host[1:-1]))
        except ValueError:
            raise ConfigError(f"{where!r}: {host!r} is no IPv6 address.") from None
    if not _HOST.fullmatch(host):
        raise ConfigError(f"{where!r}: {host!r} is neither the name of a host (in ASCII) nor an address.")
    return host


def _port(text: str, where: str, least: int = 1) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and least <= int(text) <= LAST_PORT):
        raise ConfigError(f"{where!r}: {text!r} is no port; it should be a number from {least} to {LAST_PORT}.")
    return int(text)
