"""A machine that is small enough to be run a million times: records in a dictionary, transactions as the real one."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from blockdb.cluster.machine import commands
from blockdb.cluster.machine.commands import CommitPart, CommitRead
from blockdb.cluster.machine.deciding import Deciding
from blockdb.cluster.machine.outcomes import Outcomes
from blockdb.cluster.machine.pending import Blocked, Pending
from blockdb.cluster.machine.refusals import REFUSALS
from blockdb.errors import BlockDBError, Deadlock, DuplicateKey
from blockdb.format.applied import decode_unfinished, encode_unfinished

COLLECTION = bytes(16)


class ModelMachine:
    """Applies puts, commits of one partition, and those of several."""

    def __init__(self) -> None:
        self._mark: tuple[int, dict[bytes, tuple[int, bytes]], bytes, list[Any]] = (0, {}, b"", [])
        self.restart()

    def restart(self) -> None:
        """Be as the last mark says: who waited here hears nothing."""
        index, records, unfinished, outcomes = self._mark
        self.applied = index
        self.records = dict(records)
        self.pending, self.outcomes = Pending(), Outcomes()
        self.outcomes.are_kept = True
        if unfinished:
            self.pending.restore(decode_unfinished(unfinished))
        self.outcomes.restore(outcomes)
        holding: Any = SimpleNamespace(
            pending=self.pending, outcomes=self.outcomes, time_ms=0, surroundings=SimpleNamespace(enter=lambda *_: None)
        )
        storing: Any = self
        self._deciding = Deciding(holding, storing)

    def mark(self) -> None:
        """Have all of it last."""
        unfinished = encode_unfinished(self.pending.all())
        self._mark = (self.applied, dict(self.records), unfinished, self.outcomes.all())

    def state(self) -> Any:
        """What all machines of a partition have to agree on."""
        return self.records, self.pending.all(), self.outcomes.all()

    def apply(self, data: bytes) -> None:
        envelope, content = commands.decode(data)
        self.applied += 1
        if not self._deciding.apply(envelope, content):
            self._store(envelope, content)

    def _store(self, envelope: commands.Envelope, content: Any) -> None:
        digest = commands.digest_of(commands.lasting(content, bytes(envelope.content)))
        if self.outcomes.repeated(envelope.id, digest):
            return
        value: Any = None
        refusal: BlockDBError | None = None
        try:
            self.look(content.parts, content.reads, 0, b"")
            value = self.store_parts(content.parts, 0, b"")
        except Blocked as error:
            self.outcomes.tell(envelope.id, digest, None, error)
            return
        except REFUSALS as error:
            refusal = error
        self.outcomes.add(envelope.id, digest, value, refusal)

    # As `Storing`.

    def look(self, parts: Sequence[CommitPart], reads: Sequence[CommitRead], time_ms: int, seed: bytes) -> None:
        """What is in the way of a transaction."""
        self.check_current(reads)
        for part in parts:
            for key, _ in part.items:
                if key in self.records:
                    raise DuplicateKey(key)
            self.pending.check_writes(COLLECTION, [key for key, _ in part.items])

    def check_current(self, reads: Sequence[CommitRead]) -> None:
        """Whether what was read is so still."""
        for read in reads:
            for key, (sequence, _) in self.records.items():
                within = any(start <= key and (stop is None or key < stop) for start, stop in read.ranges)
                if sequence >= read.records and (key in read.keys or within):
                    raise Deadlock("What was read has changed.")
        self.pending.check_reads(reads)

    def store_parts(self, parts: Sequence[CommitPart], time_ms: int, seed: bytes) -> list[list[Any]]:
        """Store what nothing is in the way of."""
        stored = []
        for part in parts:
            first = len(self.records)
            for key, value in part.items:
                assert key not in self.records, "what was prepared is nobody else's"
                self.records[key] = len(self.records), value
            stored.append(["c", first, len(part.items)])
        return stored
