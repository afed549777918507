"""Indexes of the log, and sequence numbers of the stream: a message has room for a thousand commands.

The last command of a message has the index `PLACES` times its sequence number, those before it count up to that. So
whoever has applied such a multiple has applied whole messages.
"""

from __future__ import annotations

from typing import Final

__all__ = ["PLACES", "index_of", "whole_messages"]

PLACES: Final = 1_000


def index_of(sequence: int) -> int:
    """The index of the last command of a message, and of a message without any."""
    return sequence * PLACES


def whole_messages(index: int) -> int:
    """The last message all of whose commands have no higher index."""
    return index // PLACES
