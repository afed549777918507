"""What a server allows a client, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of connections; those of requests are the application's."""

    max_connections: int = 1000
    max_header_bytes: int = 16 * 1024
    max_headers: int = 100
    max_pipelined: int = 128
    """Requests that may wait on a connection for the answer to the one before."""
    head_timeout_s: float = 10.0
    """For the whole head of a request, from its first byte on (of the first one: from the connection on)."""
    idle_timeout_s: float = 60.0
    """For the next request to begin."""
    body_timeout_s: float = 30.0
    """For the next piece of a body."""
    write_timeout_s: float = 30.0
    """For a client to take what waits for it."""
    stop_timeout_s: float = 10.0
    """For what was begun to be finished when the server is told to end."""
