"""Holds connections open with heads that come a byte at a time: `python slow_heads.py HOST PORT MANY`.

Says "held" once all are open, and goes on until its standard input ends. It is a program, so that it takes no time from
whoever measures.
"""

from __future__ import annotations

import select
import socket
import sys
from contextlib import suppress

HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: "
PERIOD_S = 1.0
"""Every connection sends a byte that often; where it was hung up on, it comes again."""


def opened(address: tuple[str, int]) -> socket.socket:
    """A connection with the beginning of a head."""
    connection = socket.create_connection(address, timeout=20)
    connection.sendall(HEAD)
    return connection


def main() -> None:
    """Hold them until there is nobody to hold them for."""
    host, port, many = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    held = [opened((host, port)) for _ in range(many)]
    print("held", flush=True)
    while True:
        for number in range(many):
            if select.select([sys.stdin], [], [], PERIOD_S / many)[0]:
                return
            try:
                held[number].send(b"x")
            except OSError:
                held[number].close()
                with suppress(OSError):
                    held[number] = opened((host, port))


if __name__ == "__main__":
    main()
