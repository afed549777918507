"""What waits to be sent to one node, and in which order it goes out.

A long message goes out in pieces, with short ones in between: a heartbeat that stood behind it would come too late, and
the other nodes would take the leader for dead. What is about entries of the log keeps its order, since a follower
refuses what does not follow what it has; all else may overtake that.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from blockdb.cluster.peers.bodies import ONE_MESSAGE, encode_batch
from blockdb.cluster.peers.limits import Limits
from blockdb.format.peer_frame import FrameKind
from blockdb.raft.messages import Append, Message, Propose, SnapshotOffer

__all__ = ["Backlog"]

_IN_ORDER: Final = (Append, Propose, SnapshotOffer)

_Queue = deque[tuple[float, bytes]]
"""When it came, and what it is."""


class Backlog:
    """Two queues that forget the oldest, and the message that is under way."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._short: _Queue = deque()
        self._ordered: _Queue = deque()
        self._rest: memoryview | None = None
        """What is left of the message that is being sent in pieces."""
        self.bytes = 0
        """How many wait, without that message."""
        self.dropped = 0
        """How many messages were forgotten."""

    def __len__(self) -> int:
        return len(self._short) + len(self._ordered)

    @property
    def has_any(self) -> bool:
        """Whether there is anything to be sent."""
        return bool(self._short or self._ordered or self._rest is not None)

    def put(self, message: Message, data: bytes, now: float) -> None:
        """Have a message wait, of which `data` is the encoding."""
        queue = self._ordered if isinstance(message, _IN_ORDER) else self._short
        queue.append((now, data))
        self.bytes += len(data)
        limits = self._limits
        while len(self) > 1 and (self.bytes > limits.max_queued_bytes or len(self) > limits.max_queued_messages):
            self._forget_oldest()

    def forget_stale(self, now: float) -> None:
        """Forget what has waited too long."""
        while len(self) and self._oldest()[0][0] < now - self._limits.stale_s:
            self._forget_oldest()

    def cut_short(self) -> None:
        """The connection has ended: nobody has use for the rest of a message."""
        if self._rest is not None:
            self._rest = None
            self.dropped += 1

    def _oldest(self) -> _Queue:
        return min((queue for queue in (self._ordered, self._short) if queue), key=lambda queue: queue[0][0])

    def _forget_oldest(self) -> None:
        self._next(self._oldest())
        self.dropped += 1

    def _next(self, queue: _Queue) -> bytes:
        data = queue.popleft()[1]
        self.bytes -= len(data)
        return data

    def next_frame(self) -> tuple[FrameKind, bytes, int]:
        """What goes out next, if there is any: kind and body of a frame, and how many messages end with it."""
        if self._short:
            return self._batch(self._short)
        if self._rest is not None:
            return self._piece(b"")
        if len(self._ordered[0][1]) <= self._limits.piece_bytes:
            return self._batch(self._ordered)
        self._rest = memoryview(self._next(self._ordered))
        return self._piece(ONE_MESSAGE)

    def _batch(self, queue: _Queue) -> tuple[FrameKind, bytes, int]:
        """What was handed in together goes out together."""
        batch = [self._next(queue)]
        size = len(batch[0])
        while queue and size + len(queue[0][1]) <= self._limits.batch_bytes:
            batch.append(self._next(queue))
            size += len(batch[-1])
        return FrameKind.MESSAGES, encode_batch(batch), len(batch)

    def _piece(self, begin: bytes) -> tuple[FrameKind, bytes, int]:
        assert self._rest is not None, "a message is under way"
        piece, rest = self._rest[: self._limits.piece_bytes], self._rest[self._limits.piece_bytes :]
        self._rest = rest if len(rest) else None
        kind = FrameKind.LAST_PIECE if self._rest is None else FrameKind.PIECE
        return kind, begin + piece, int(self._rest is None)
