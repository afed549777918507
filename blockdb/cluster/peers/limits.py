"""How much, and how long, nodes bear with each other."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of connections between nodes. Times in seconds."""

    max_frame_bytes: int = 64 << 20
    """The longest frame after the handshake, and the longest message that comes in pieces."""
    batch_bytes: int = 1 << 20
    """Messages that wait are sent together, up to so many bytes in a frame."""
    piece_bytes: int = 256 << 10
    """Longer messages are sent in pieces of this size, so that others need not wait for them."""
    max_queued_bytes: int = 32 << 20
    """What may wait for a node; the oldest messages go first."""
    max_queued_messages: int = 4096
    max_ask_bytes: int = 1 << 20
    """The longest question, and the longest answer."""
    max_asks: int = 64
    """Questions to a node, and of a node, that are open at the same time."""
    chunk_bytes: int = 256 << 10
    """Bytes of a snapshot are sent in pieces of this size."""
    max_handshakes: int = 64
    """Connections that have not said yet who they are; one more ends the oldest of them."""
    handshake_timeout_s: float = 5.0
    dial_timeout_s: float = 3.0
    ping_every_s: float = 1.0
    silence_timeout_s: float = 5.0
    """A connection on which nothing was heard for so long is given up."""
    stall_timeout_s: float = 30.0
    """A snapshot of which nothing moved for so long is given up."""
    first_wait_s: float = 0.05
    """How long to wait before connecting again, at first; twice as long each time, give or take some chance."""
    longest_wait_s: float = 1.0
    stale_s: float = 0.5
    """Messages that waited longer for a connection are not sent any more."""
