"""What a command of the log is wrapped in: which node proposed it in which life, and its number there.

The layout is in docs/formats/raft.md.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

__all__ = ["ORIGIN_BYTES", "PROPOSAL_BYTES", "unwrap", "wrap"]

_HEAD: Final = Struct(">8sQ")

ORIGIN_BYTES: Final = 8
PROPOSAL_BYTES: Final = _HEAD.size


def wrap(origin: bytes, number: int, command: bytes) -> bytes:
    """A command as the log keeps it. `origin` are 8 bytes that a node draws anew whenever it starts."""
    return _HEAD.pack(origin, number) + command


def unwrap(data: bytes) -> tuple[bytes, int, bytes]:
    """Origin, number and command of what `wrap` gave. Raises ValueError."""
    if len(data) < PROPOSAL_BYTES:
        raise ValueError(f"an entry of {len(data)} bytes is too short to hold a command")
    origin, number = _HEAD.unpack_from(data)
    return origin, number, data[PROPOSAL_BYTES:]
