"""A state machine that remembers what it was given, for tests of the log under it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Event, Lock

import msgspec

from blockdb.cluster.replicated_log import Command, Snapshot
from blockdb.errors import InvalidData, WritesStopped

POISON = b"a command that no machine can apply"

History = list[tuple[int, bytes]]


class Recorder:
    """Keeps every command with its index. What was made durable outlives `crashed`."""

    def __init__(self, kept: History | None = None, kept_index: int = 0) -> None:
        self.commands: History = list(kept or [])
        self.applied_index = kept_index
        self.batches: list[int] = []
        self.restored = 0
        self.calls = 0
        self.may_go_on = Event()
        self.may_go_on.set()
        self._busy = Lock()
        self._durable: tuple[History, int] = (list(self.commands), kept_index)

    def crashed(self) -> Recorder:
        """The machine that comes up again after its process was killed."""
        return Recorder(*self._durable)

    @property
    def data(self) -> list[bytes]:
        return [data for _, data in self.commands]

    def apply(self, commands: Sequence[Command]) -> None:
        self.calls += 1
        self.may_go_on.wait(60)
        assert self._busy.acquire(blocking=False), "two threads at a time"
        try:
            self.batches.append(len(commands))
            for command in commands:
                if command.data == POISON:
                    raise WritesStopped("The disk is gone.")
                assert command.index > self.applied_index, f"{command.index} after {self.applied_index}"
                self.commands.append((command.index, command.data))
                self.applied_index = command.index
        finally:
            self._busy.release()

    def pass_over(self, index: int) -> None:
        assert index > self.applied_index, f"{index} after {self.applied_index}"
        self.applied_index = index

    def make_durable(self) -> int:
        self._durable = (list(self.commands), self.applied_index)
        return self.applied_index

    def snapshot(self) -> Snapshot:
        packed = msgspec.msgpack.encode((self.applied_index, self.commands))
        return Snapshot(self.applied_index, _chunks(packed, 1000))

    def restore(self, snapshot: Snapshot) -> None:
        try:
            index, commands = msgspec.msgpack.decode(b"".join(snapshot.chunks), type=tuple[int, History])
        except msgspec.DecodeError as error:
            raise InvalidData(f"This is no snapshot: {error}") from error
        if index != snapshot.index:
            raise InvalidData(f"The snapshot is of {index}, not of {snapshot.index}.")
        self.commands, self.applied_index = commands, index
        self.restored += 1
        self.make_durable()


def _chunks(data: bytes, size: int) -> Iterator[bytes]:
    for first in range(0, len(data), size):
        yield data[first : first + size]
