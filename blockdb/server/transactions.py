"""Transactions that clients have open: each belongs to who began it, and ends with its time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from blockdb.database.database import Database
from blockdb.database.transactions.transaction import Transaction
from blockdb.errors import BlockDBError, InvalidData, TransactionClosed, TransactionTimeout
from blockdb.security.roles import Principal

__all__ = ["MOST_OPEN", "OpenTransactions"]

MOST_OPEN = 10_000
MOST_LATE = 1_000


@dataclass(slots=True)
class Open:
    """A transaction, whose it is, and when it ends by itself."""

    transaction: Transaction
    owner: tuple[str, str | None]
    deadline: float
    seconds: float
    using: threading.Lock = field(default_factory=threading.Lock)
    """A transaction does one thing at a time."""


class Late(NamedTuple):
    """What is left of a transaction that took too long."""

    id: int
    owner: tuple[str, str | None]
    seconds: float


class HeldOff:
    """Says whether no transaction is under way, and lets none begin meanwhile. Cheap: each quick write asks."""

    def __init__(self, changing: threading.Lock, under_way: dict[int, Open]) -> None:
        self._changing = changing
        self._open = under_way

    def __enter__(self) -> bool:
        self._changing.acquire()
        return not self._open

    def __exit__(self, *_: object) -> None:
        self._changing.release()


class OpenTransactions:
    """Safe for threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._first = self._last = time.time_ns() // 1000
        if not database.read_only:  # what clients remember of an earlier server is nobody's number now
            database.number_transactions_from(self._first)
        self._open: dict[int, Open] = {}
        self._late: deque[Late] = deque(maxlen=MOST_LATE)
        """The last ones that took too long, so that whoever goes on with one is told so."""
        self._changing = threading.Lock()
        self._held_off = HeldOff(self._changing, self._open)

    def begin(self, principal: Principal, timeout_s: float | None) -> tuple[int, float]:
        """A new one: its number, and how many seconds it may take. Raises InvalidData."""
        longest = float(self._database.config.transaction_timeout)
        seconds = longest if timeout_s is None else timeout_s
        if not 0 < seconds <= longest:
            raise InvalidData(f"timeout_s: it should be more than 0 and at most {longest:g} (`transaction_timeout`).")
        self.end_overdue()
        with self._changing:
            if len(self._open) >= MOST_OPEN:
                raise InvalidData(f"There are {MOST_OPEN:,} transactions under way, and no more are taken. End some.")
            transaction = self._database.transaction(seconds)
            self._last = transaction.id
            self._open[transaction.id] = Open(transaction, _owner(principal), time.monotonic() + seconds, seconds)
            return transaction.id, seconds

    def is_of_here(self, id_: int) -> bool:
        """Whether a transaction was begun here, as far as its number says."""
        return self._first <= id_ <= self._last

    def held_off(self) -> HeldOff:
        """Whether none is under way; none begins then before this is over."""
        return self._held_off

    @contextmanager
    def using(self, principal: Principal, id_: int, *, is_last: bool = False) -> Iterator[Transaction]:
        """One that somebody began, for one thing to be done in it. Raises TransactionClosed, also for another's."""
        found = self._found(principal, id_)
        with found.using:
            try:
                yield found.transaction
            finally:
                if is_last or not found.transaction.is_active:
                    self._open.pop(id_, None)

    def abort(self, principal: Principal, id_: int) -> None:
        """Give one up, also while something is done in it, or it waits for another. Raises TransactionClosed."""
        self._found(principal, id_).transaction.abort()
        self._open.pop(id_, None)

    def _found(self, principal: Principal, id_: int) -> Open:
        self.end_overdue()
        found, owner = self._open.get(id_), _owner(principal)
        if found is not None and found.owner == owner:
            return found
        for late in tuple(self._late):
            if (late.id, late.owner) == (id_, owner):
                took = f"Transaction {id_} took longer than its {late.seconds:g} seconds"
                raise TransactionTimeout(f"{took}: nothing of it was stored. Run it again.")
        raise TransactionClosed(f"There is no transaction {id_} under way: it was ended, or took too long.")

    def end_overdue(self) -> None:
        """Abort what has taken longer than it may, unless something is being done in it this moment."""
        now = time.monotonic()
        for id_, each in list(self._open.items()):
            if each.deadline < now and each.using.acquire(blocking=False):
                try:
                    _abort(each)
                    self._late.append(Late(id_, each.owner, each.seconds))
                    self._open.pop(id_, None)
                finally:
                    each.using.release()

    def abort_all(self) -> None:
        """The server stops."""
        for id_, each in list(self._open.items()):
            _abort(each)
            self._open.pop(id_, None)

    def __len__(self) -> int:
        return len(self._open)


def _abort(each: Open) -> None:
    with suppress(BlockDBError):
        each.transaction.abort()


def _owner(principal: Principal) -> tuple[str, str | None]:
    return principal.name, principal.token_id
