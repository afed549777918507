"""The transactions of a database: beginning and ending them, and what can be seen of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from blockdb.database.auditing import AuditedDatabase
from blockdb.database.transactions.manager import ATTEMPTS
from blockdb.database.transactions.part import Part
from blockdb.database.transactions.transaction import Transaction
from blockdb.statistics import TransactionInfo

if TYPE_CHECKING:
    from blockdb.database.collection import Collection

T = TypeVar("T")


class TransactingDatabase(AuditedDatabase):
    """What of a database handle has to do with transactions. `Database` has the rest."""

    def _handle(self, name_or_id: str) -> Collection:
        """A collection that is open here. Raises CollectionNotFound."""
        raise NotImplementedError

    def transaction(self, timeout_s: float | None = None) -> Transaction:
        """A transaction over any of the collections, to be used as a context manager or ended with commit or abort.

        It gives way to others after `timeout_s` seconds (default: `transaction_timeout`). Raises ReadOnly, InvalidData.
        """
        self._reader.check_open()
        return self._core.transactions.begin(self._part_of, timeout_s)

    def execute_transaction(self, run: Callable[[Transaction], T], attempts: int = ATTEMPTS) -> T:
        """Call `run` with a transaction, commit it, and return what `run` did; anew where it ended in a deadlock.

        After the last of `attempts`, Deadlock is raised. Raises ReadOnly, and whatever comes out of `run`.
        """
        self._reader.check_open()
        return self._core.transactions.execute(self._part_of, run, attempts)

    def begin_transaction(self, timeout_s: float | None = None) -> int:
        """Begin a transaction that goes by the number that is returned, and lasts until it is ended or times out."""
        self._reader.check_open()
        return self._core.transactions.begin_by_id(self._part_of, timeout_s)

    def number_transactions_from(self, first: int) -> None:
        """Have the next transactions have these numbers: for who must not take one for that of an earlier process."""
        self._core.transactions.number_from(first)

    def get_transaction(self, transaction_id: int) -> Transaction:
        """The transaction that was begun under a number. Raises TransactionClosed where there is none."""
        self._reader.check_open()
        return self._core.transactions.by_id(transaction_id)

    def commit_transaction(self, transaction_id: int, *, sync: bool = False) -> Mapping[str, Sequence[int]]:
        """Commit it: see `Transaction.commit`. Raises TransactionClosed where there is none."""
        return self.get_transaction(transaction_id).commit(sync=sync)

    def abort_transaction(self, transaction_id: int) -> None:
        """Forget all that it wrote. Raises TransactionClosed where there is none."""
        self.get_transaction(transaction_id).abort()

    def transactions(self) -> tuple[TransactionInfo, ...]:
        """The transactions of this handle that are under way, the oldest first: their locks, and whom they wait for."""
        self._reader.check_open()
        return () if self.read_only else self._core.transactions.infos()

    def recent_transactions(self) -> tuple[TransactionInfo, ...]:
        """The transactions of this handle that ended last, the newest first: how, and after how long. 64 at most."""
        self._reader.check_open()
        return () if self.read_only else self._core.transactions.ended()

    def _part_of(self, name_or_id: str | None) -> Part:
        return self.part() if name_or_id is None else self._handle(name_or_id).part()
