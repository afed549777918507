"""Commits of a node: of transactions over any partitions, and of batches that are whole over several of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from itertools import count
from random import uniform
from threading import Event
from time import monotonic
from typing import Any, Final, cast

from blockdb.cluster.database.context import new_command_id
from blockdb.cluster.machine.commands import ID_BYTES, Commit, CommitPart, Decide, Finish
from blockdb.cluster.partitions.asking import NO_COLLECTION, Asker
from blockdb.cluster.partitions.committing import Crossed, Share, Stored, commit, id_of, run
from blockdb.cluster.partitions.merging import each
from blockdb.cluster.partitions.transaction import SpreadPart, stored_meanwhile
from blockdb.database.transactions.part import Part
from blockdb.errors import DuplicateKey, TransactionTimeout

__all__ = ["Transacting"]

FIRST_PAUSE_S: Final = 0.002
LONGEST_PAUSE_S: Final = 0.2
MOST_FOUND: Final = 32
"""A commit that was tried more often than that is not found afterwards."""
"""Who met another transaction tries again after a pause by chance, up to twice as long each time."""


class Transacting:
    """Safe for threads."""

    def __init__(self, asker: Asker, patience_s: float) -> None:
        self._asker = asker
        self._patience_s = patience_s

    def commit_parts(self, parts: Sequence[Part], sync: bool) -> Mapping[str, Sequence[int]]:
        """Store what a transaction wrote, if what it has read is so still; the numbers, by the names of collections.

        Raises Deadlock where it is not; what refuses records; Unavailable where nobody can tell, and
        TransactionTimeout where others were in the way all the time.
        """
        spread = [cast(SpreadPart, part) for part in parts]
        work = {name: share for part in spread for name, share in part.shares().items()}
        if not any(share.writes for share in work.values()):
            each([partial(self._asker.check, name, share.reads) for name, share in work.items()])
            return {}
        try:
            stored = self._store(work)
        except DuplicateKey as error:
            if not any(part.has_missed(error.key) for part in spread):
                raise
            raise stored_meanwhile(error.key) from error
        first = {name: found[0][1] for name, found in stored.items()}
        return {part.name: _shown(part.numbered(first), len(part.spread.handles)) for part in spread if part.items}

    def commit_whole(
        self, partitions: Sequence[str], wanted: Sequence[tuple[int, Sequence[tuple[bytes, bytes]]]]
    ) -> Sequence[Sequence[int]]:
        """Store batches in partitions of a collection, all or nothing; what each numbers them. See `CommitWhole`."""
        work = {partitions[n]: Share((CommitPart(NO_COLLECTION, tuple(items)),)) for n, items in wanted}
        stored = self._store(work)
        return [range(first, first + size) for n, _ in wanted for _, first, size in stored[partitions[n]]]

    def _store(self, work: Mapping[str, Share]) -> dict[str, Stored]:
        """Store all of it. Whoever asks again in the same request takes the same way, and comes to the same."""
        name, until_s = new_command_id(), monotonic() + self._patience_s
        for attempt in count():
            try:
                return run(commit(_transaction(name, attempt), work), self._asker.ask, until_s)
            except Crossed as error:
                if monotonic() >= until_s:
                    raise TransactionTimeout(
                        f"Other transactions were in the way for {self._patience_s:g} s: nothing was stored. Run it "
                        "again."
                    ) from error
            Event().wait(uniform(0, min(FIRST_PAUSE_S * 2 ** min(attempt, 20), LONGEST_PAUSE_S)))
        raise AssertionError("it is tried until it is over")

    def found(self, name: bytes, partitions: Iterable[tuple[str, int, int]]) -> dict[str, Sequence[int]] | None:
        """What was stored by the commit whose first command has an id; None where that is not found.

        `partitions` are all that there are: the name of each, its number, and how many its collection has. The numbers
        of a collection are in their own order.
        """
        asked = list(partitions)
        tries = [_transaction(name, attempt) for attempt in range(MOST_FOUND)]
        ids = [id_of(transaction, kind) for transaction in tries for kind in (Commit, Decide, Finish)]
        found = each([partial(self._asker.found, partition, ids) for partition, _, _ in asked])
        for transaction in tries:
            alone, decide, finish = (id_of(transaction, kind) for kind in (Commit, Decide, Finish))
            stored = [one.get(alone) or _if_so(one.get(decide)) for one in found]
            if any(stored):
                parts = [of or one.get(finish, []) for of, one in zip(stored, found, strict=True)]
                return _numbered(parts, asked)
        return None


def _transaction(name: bytes, attempt: int) -> bytes:
    """The id of a transaction, each time that it is tried."""
    return sha256(name + attempt.to_bytes(4, "little")).digest()[:ID_BYTES]


def _if_so(decision: Any) -> Stored:
    return decision[1] if decision is not None and decision[0] else []


def _numbered(parts: Sequence[Stored], asked: Sequence[tuple[str, int, int]]) -> dict[str, Sequence[int]]:
    numbers: dict[str, tuple[int, list[int]]] = {}
    for stored, (_, number, partitions) in zip(parts, asked, strict=True):
        for name, first, size in stored:
            own = numbers.setdefault(name, (partitions, []))[1]
            own += [sequence * partitions + number for sequence in range(first, first + size)]
    return {name: _shown(sorted(own), partitions) for name, (partitions, own) in numbers.items()}


def _shown(numbers: list[int], partitions: int) -> Sequence[int]:
    """As one partition gives them, a range."""
    return range(numbers[0], numbers[0] + len(numbers)) if partitions == 1 else numbers
