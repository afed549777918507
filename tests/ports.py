"""Ports for what is started by its number in tests."""

import os
import socket
from itertools import count

__all__ = ["free_port"]

FIRST, PORTS = 10_000, 20_000
"""Below those that the system hands out by itself: a port that was only looked at may be anybody's a moment later."""

_numbers = count(os.getpid() * 97)
"""Each process of a test run begins elsewhere, and takes none twice."""


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    for number in _numbers:
        port = FIRST + number % PORTS
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError("the numbers do not end")
