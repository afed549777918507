"""Transactions over several partitions that have a part here and whose end this partition does not know yet.

What they write and what they have read is theirs until then: who gets in the way has to wait. This is two-phase commit
with the locks of two-phase locking, held from the vote to the end (Bernstein, Hadzilacos, Goodman, "Concurrency Control
and Recovery in Database Systems", 1987, chapter 7). All of it follows from the commands alone.

Format page: docs/formats/pending.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import Condition
from time import monotonic
from typing import Final, NamedTuple

import msgspec

from blockdb.cluster.machine.commands import CommitRead, Items, Prepare, encode_content
from blockdb.database.transactions.reads import Edges
from blockdb.errors import BlockDBError
from blockdb.format.applied import Decided, Prepared, Unfinished

__all__ = ["Blocked", "Pending"]

MOST_ABORTED: Final = 10_000
"""Of so many transactions it is remembered that they ended before they were prepared here."""

_prepares: Final = msgspec.msgpack.Decoder(Prepare)


class Blocked(BlockDBError):
    """A transaction over several partitions is in the way until it ends: then the command may be sent again.

    Nothing of this is kept: what is sent again goes by the same id.
    """

    def __init__(self, transaction: bytes) -> None:
        self.transaction = transaction
        super().__init__(f"The transaction {transaction.hex()} over several partitions is not decided yet.")


class Held(NamedTuple):
    """What transactions hold of a collection, each in the order in which they came."""

    writes: dict[bytes, bytes]
    """The keys that they will store, and which of them does."""
    reads: dict[bytes, dict[bytes, None]]
    """The keys that they have read as absent, and which of them have."""
    ranges: list[tuple[Edges, bytes]]

    def writer(self) -> bytes | None:
        """The first that writes."""
        return next(iter(self.writes.values()), None)

    def anybody(self) -> bytes | None:
        """The first that is found."""
        found = (*self.writes.values(), *(each for several in self.reads.values() for each in several))
        return next(iter((*found, *(each for _, each in self.ranges))), None)

    def blocker_of(self, key: bytes) -> bytes | None:
        """Who is in the way of a record."""
        found = self.writes.get(key) or next(iter(self.reads.get(key, ())), None)
        return found or next((each for edges, each in self.ranges if _is_in(key, edges)), None)

    def writer_of(self, read: CommitRead) -> bytes | None:
        """Who will change what somebody has read."""
        found = next((self.writes[key] for key in read.keys if key in self.writes), None)
        within = (self.writes[key] for edges in read.ranges for key in self.writes if _is_in(key, edges))
        return found or next(within, None)


class Pending:
    """One thread changes it, any may ask what there is and wait for it to end."""

    def __init__(self) -> None:
        self._ended = Condition()
        self._prepared: dict[bytes, tuple[Prepare, Prepared]] = {}
        self._decided: dict[bytes, Decided] = {}
        self._aborted: dict[bytes, None] = {}
        self._held: dict[bytes, Held] = {}

    # What there is.

    def __bool__(self) -> bool:
        return bool(self._prepared)

    def all(self) -> Unfinished:
        """All of it, as it is kept."""
        kept = tuple(prepared for _, prepared in self._prepared.values())
        return Unfinished(kept, tuple(self._decided.values()), tuple(self._aborted))

    def find(self, transaction: bytes) -> tuple[Prepare, Prepared] | None:
        """The part that was prepared, of one that has not ended."""
        return self._prepared.get(transaction)

    def homes(self) -> dict[bytes, str]:
        """All that have not ended, and which partition decides each; empty: this one. For any thread."""
        with self._ended:
            return {transaction: prepare.home for transaction, (prepare, _) in self._prepared.items()}

    def decided(self) -> dict[bytes, tuple[str, ...]]:
        """All that were committed here, and the other partitions, which may not know it yet. For any thread."""
        with self._ended:
            return {transaction: decided.others for transaction, decided in self._decided.items()}

    def is_decided(self, transaction: bytes) -> bool:
        """Whether it is one of `decided`."""
        return transaction in self._decided

    def is_aborted(self, transaction: bytes) -> bool:
        """Whether it has ended before it was prepared here, not too long ago."""
        return transaction in self._aborted

    # Who is in the way. Raises Blocked.

    def check_writes(self, collection: bytes, keys: Iterable[bytes], *, all_of_it: bool = False) -> None:
        """Before records are stored; with `all_of_it`, values of any two records may be in each other's way."""
        held = self._held.get(collection)
        if held is not None:
            _block(held.writer() if all_of_it else None)
            for key in keys:
                _block(held.blocker_of(key))

    def check_reads(self, reads: Iterable[CommitRead]) -> None:
        """Before what was read counts as still so."""
        for read in reads:
            held = self._held.get(read.collection)
            if held is not None:
                _block(held.writer_of(read))

    def check_keys(self, collection: bytes, keys: Iterable[bytes]) -> None:
        """Before something is done to records that may be about to come."""
        held = self._held.get(collection)
        if held is not None:
            for key in keys:
                _block(held.writes.get(key))

    def check_unused(self, collection: bytes) -> None:
        """Before a collection becomes another one."""
        held = self._held.get(collection)
        if held is not None:
            _block(held.anybody())

    # Changing.

    def add(self, prepare: Prepare, time_ms: int, seed: bytes) -> None:
        """One is prepared."""
        prepared = Prepared(time_ms, seed, encode_content(prepare))
        with self._ended:
            self._prepared[prepare.transaction] = prepare, prepared
            self._hold(prepare)

    def end(self, transaction: bytes) -> None:
        """One has ended here; who waits for that goes on."""
        with self._ended:
            del self._prepared[transaction]
            self._held = {}
            for prepare, _ in self._prepared.values():
                self._hold(prepare)
            self._ended.notify_all()

    def decide(self, transaction: bytes, others: tuple[str, ...]) -> None:
        """One was committed here, which the others have to be told."""
        with self._ended:
            self._decided[transaction] = Decided(transaction, others)

    def close(self, transaction: bytes) -> None:
        """They all know."""
        with self._ended:
            del self._decided[transaction]

    def abort(self, transaction: bytes) -> None:
        """One has ended before it was prepared here."""
        self._aborted[transaction] = None
        if len(self._aborted) > MOST_ABORTED:
            del self._aborted[next(iter(self._aborted))]

    def restore(self, unfinished: Unfinished) -> None:
        """Have this alone, which is kept elsewhere."""
        decoded = [(_prepares.decode(prepared.content), prepared) for prepared in unfinished.pending]
        with self._ended:
            self._prepared = {prepare.transaction: (prepare, prepared) for prepare, prepared in decoded}
            self._decided = {decided.transaction: decided for decided in unfinished.decided}
            self._aborted = dict.fromkeys(unfinished.aborted)
            self._held = {}
            for prepare, _ in decoded:
                self._hold(prepare)
            self._ended.notify_all()

    def _hold(self, prepare: Prepare) -> None:
        transaction = prepare.transaction
        for part in prepare.parts:
            self._of(part.collection).writes.update(dict.fromkeys(_keys(part.items), transaction))
        for read in prepare.reads:
            held = self._of(read.collection)
            for key in read.keys:
                held.reads.setdefault(key, {})[transaction] = None
            held.ranges.extend((edges, transaction) for edges in read.ranges)

    def _of(self, collection: bytes) -> Held:
        found = self._held.get(collection)
        if found is None:
            found = self._held[collection] = Held({}, {}, [])
        return found

    # Waiting. For any thread.

    def wait(self, transactions: Iterable[bytes], until_s: float) -> bytes | None:
        """Wait for transactions to end here; one that has not by then (as `monotonic` tells it), if there is one."""
        left = dict.fromkeys(transactions)
        with self._ended:
            while (found := next((each for each in left if each in self._prepared), None)) is not None:
                if not self._ended.wait(max(until_s - monotonic(), 0)) and monotonic() >= until_s:
                    return found
        return None


def _keys(items: Items) -> Iterator[bytes]:
    return (key for key, _ in items)


def _is_in(key: bytes, edges: Edges) -> bool:
    start, stop = edges
    return start <= key and (stop is None or key < stop)


def _block(transaction: bytes | None) -> None:
    if transaction is not None:
        raise Blocked(transaction)
