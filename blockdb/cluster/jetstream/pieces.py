"""Putting commands together that came in several messages.

What is complete, and at which message, follows from the stream alone: commands are complete with a message if that and
the `WINDOW` - 1 messages before it have all of their pieces. So every node finds the same, wherever it began to read,
if it looked at `WINDOW` messages before that.
"""

from __future__ import annotations

from collections import deque
from typing import Final, TypeAlias

from blockdb.format.stream_message import Message

__all__ = ["WINDOW", "Assembly"]

WINDOW: Final = 4_096
"""Among so many messages commands have to have all their pieces."""

_Name: TypeAlias = tuple[bytes, int, int]
"""Origin and number of the first command, and how many pieces there are."""


class Assembly:
    """Pieces that others belong to. Messages are added in the order of the stream."""

    def __init__(self) -> None:
        self._parts: dict[_Name, dict[int, tuple[int, bytes]]] = {}
        """Of each piece the sequence number of its message, and the data."""
        self._order: deque[tuple[int, _Name, int]] = deque()

    def add(self, sequence: int, message: Message) -> bytes | None:
        """The data of the commands that are complete with this message, if some are. O(pieces) where, else O(1)."""
        if message.pieces == 1:
            return message.data
        self._forget(sequence - WINDOW)
        name = message.origin, message.number, message.pieces
        parts = self._parts.setdefault(name, {})
        parts[message.piece] = sequence, message.data
        self._order.append((sequence, name, message.piece))
        if len(parts) < message.pieces:
            return None
        del self._parts[name]
        return b"".join(parts[piece][1] for piece in range(message.pieces))

    def _forget(self, last: int) -> None:
        """Drop the pieces that came with messages up to that one."""
        while self._order and self._order[0][0] <= last:
            sequence, name, piece = self._order.popleft()
            parts = self._parts.get(name, {})
            if piece in parts and parts[piece][0] == sequence:
                del parts[piece]
                if not parts:
                    del self._parts[name]
