"""Where nodes are, as people write it."""

from __future__ import annotations

from blockdb.format.consensus import Member

__all__ = ["host_and_port", "parse_peer"]


def parse_peer(text: str) -> Member:
    """`<id>:<host>:<port>` or `<id>:<host>:<port>:<peer port>`, with an IPv6 address in brackets.

    The port serves users; nodes talk to each other at that port + 1000 where no other one is said. Raises ConfigError.
    """
    raise NotImplementedError


def host_and_port(address: str) -> tuple[str, int]:
    """What `host:port` or `[address]:port` names. Raises ConfigError."""
    raise NotImplementedError
