"""The transactions of an open database: beginning, committing, and plain writes that have to wait for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from random import uniform
from threading import Event
from typing import Final, TypeVar

from blockdb.database.catalog import Catalog
from blockdb.database.documents import Given
from blockdb.database.preparation import Preparation
from blockdb.database.transactions.committing import Committer
from blockdb.database.transactions.gate import CollectionGate
from blockdb.database.transactions.locks import Holder, Locks
from blockdb.database.transactions.part import Opening, Part, Readable
from blockdb.database.transactions.reads import Reads
from blockdb.database.transactions.transaction import Transaction
from blockdb.errors import Deadlock, InvalidData, TransactionClosed
from blockdb.statistics import TransactionInfo, TransactionStatistics
from blockdb.storage.store import Store
from blockdb.storage.transaction_log import TransactionLog

T = TypeVar("T")

ATTEMPTS: Final = 10
FIRST_PAUSE_S: Final = 0.001
LONGEST_PAUSE_S: Final = 0.1


class TransactionManager:
    """Safe for threads."""

    def __init__(self, catalog: Catalog, log: TransactionLog, timeout_s: float) -> None:
        """For a database that is open for writing. `timeout_s` is how long a transaction may take."""
        self._log = log
        self._timeout_s = timeout_s
        self._locks = Locks()
        self._committer = Committer(catalog, log)
        self.commit_parts: Callable[[Sequence[Part], bool], Mapping[str, Sequence[int]]] = self._committer.commit
        """Stores what was written in all parts, or nothing. In a cluster that is for all nodes to do."""
        self.keeps_reads = False
        """Whether transactions keep what they have read, for a commit that has to look whether it is so still."""
        self._gates: dict[str, CollectionGate] = {}
        self._begun: dict[int, Transaction] = {}
        """Those that go by their number alone."""

    def number_from(self, first: int) -> None:
        """Have the next transactions have these numbers."""
        self._locks.number_from(first)

    def begin(self, opening: Opening, timeout_s: float | None = None, id_: int | None = None) -> Transaction:
        """A new transaction. Raises InvalidData."""
        limit = self._timeout_s if timeout_s is None else timeout_s
        if not limit > 0:
            raise InvalidData(f"A transaction may take some seconds, more than {limit}.")
        return Transaction(self, self._locks, self._locks.begin(limit, id_), opening)

    def begin_by_id(self, opening: Opening, timeout_s: float | None = None) -> int:
        """A new transaction that lives until it is ended by its number."""
        self._begun = {id_: transaction for id_, transaction in self._begun.items() if transaction.is_active}
        transaction = self.begin(opening, timeout_s)
        self._begun[transaction.id] = transaction
        return transaction.id

    def by_id(self, id_: int) -> Transaction:
        """One that was begun so. Raises TransactionClosed."""
        found = self._begun.get(id_)
        if found is None:
            raise TransactionClosed(f"There is no transaction {id_} under way.")
        return found

    def execute(self, opening: Opening, run: Callable[[Transaction], T], attempts: int = ATTEMPTS) -> T:
        """What `run` returns, in a transaction that is committed then; again where it had to give way in a deadlock.

        It stays as old as it was, so that it is the oldest one day, which nobody takes anything from.
        """
        id_ = None
        for attempt in range(attempts):
            try:
                with self.begin(opening, None, id_) as transaction:
                    id_ = transaction.id
                    return run(transaction)
            except Deadlock:
                if attempt + 1 >= attempts:
                    raise
                Event().wait(uniform(0, min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S)))
        raise InvalidData(f"A transaction is attempted once at least, not {attempts} times.")

    def part(self, collection: Readable, store: Store, preparation: Preparation) -> Part:
        """What one transaction has to do with a collection."""
        gate = self._gates.get(store.metadata.id)
        if gate is None:
            gate = self._gates.setdefault(store.metadata.id, CollectionGate(self._locks, store))
        return Part(collection, gate, preparation, Reads() if self.keeps_reads else None)

    def commit(self, holder: Holder, parts: Sequence[Part], sync: bool) -> Mapping[str, Sequence[int]]:
        """Store all that a transaction wrote, or nothing, and end it."""
        self._locks.start_commit(holder)
        try:
            sequences = self.commit_parts(parts, sync)
        except BaseException as error:
            self._locks.end(holder, f"Transaction {holder.id} could not be committed: {error}")
            raise
        self._locks.end(holder, f"Transaction {holder.id} was committed.", committed=True)
        return sequences

    # Plain writes.

    def commit_alone(self, part: Part, items: Sequence[tuple[bytes, Given]], sync: bool) -> range:
        """A plain write that met a lock: it becomes a transaction of its own, and waits. Raises as a commit does."""
        holder = self._locks.begin(self._timeout_s)
        try:
            part.take(items)
            holder.parts[None] = part
            for key, _ in items:
                self._locks.lock_key(holder, part.gate.space, key, True)
            holder.deadline = inf  # it has waited enough
            part.gate.shut()
            stored = self.commit(holder, [part], sync)[part.name]
            assert isinstance(stored, range), "one collection numbers one after the other"
            return stored
        finally:
            self._locks.end(holder, "The write has failed.")

    # What can be seen, and the end.

    def infos(self) -> tuple[TransactionInfo, ...]:
        """The transactions that are under way, the oldest first."""
        return self._locks.infos()

    def ended(self) -> tuple[TransactionInfo, ...]:
        """Those that ended last, the newest first."""
        return self._locks.ended()

    def statistics(self) -> TransactionStatistics:
        """Counts since the database was opened, and what is locked now."""
        return self._locks.statistics()

    def recover(self) -> None:
        """Finish what was decided by an earlier process. Raises Corruption, StorageError."""
        self._committer.recover()

    def empty(self) -> None:
        """Empty the transaction log, once all of it is on the disk. Raises StorageError."""
        self._committer.empty()

    def abort_all(self) -> None:
        """End all transactions: the database is closed."""
        self._locks.end_all("The database was closed, and the transaction with it.")
        self._begun = {}

    def close(self) -> None:
        """Once all collections are closed: leave a log that says so. Idempotent. Raises StorageError."""
        self._log.close()

    def disown(self) -> None:
        """In a forked child: all transactions are the parent's."""
        self._locks.disown()
        self._log.disown()
