"""The log of transactions over several collections: what was decided, until each collection has its part on the disk.

A mark stands beside it (`transactions.mark`), as beside a collection's log. The file is made by the first transaction
that needs it, and emptied by putting a new one in its place, whose base says that all before it is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from threading import Lock
from typing import Final, NamedTuple

from blockdb.errors import Corruption, WritesStopped
from blockdb.format.frame import BadFrame
from blockdb.format.transaction import (
    HEADER_BYTES,
    Decision,
    LogHeader,
    Writes,
    decode_header,
    encode,
    encode_header,
    walk,
)
from blockdb.format.walk import DamagedChain
from blockdb.layout import DatabaseFiles
from blockdb.storage.door import Door, guarded
from blockdb.storage.erasure import destroy, keep_as, old_name
from blockdb.storage.marked_log import MarkedLog
from blockdb.storage.recovery import Trust, read_mark, trust_in

EMPTY_AT_BYTES: Final = 4 * 1024 * 1024
"""The log is emptied when it has more than this."""


class Loaded(NamedTuple):
    """What stands in the log."""

    base: int
    decisions: tuple[Decision, ...]
    end: int
    """Where the next decision goes."""
    forced: int
    torn_bytes: int
    is_clean: bool
    """Whether it was closed, and nothing in it is left to be done."""

    def has(self, number: int) -> bool:
        """Whether a transaction was decided."""
        return number < self.base or any(decision.number == number for decision in self.decisions)


def load(door: Door, files: DatabaseFiles, database: bytes) -> Loaded | None:
    """Read the log, None where there is none. O(bytes). Raises Corruption.

    The mark is read first: a writer that is at work tells it last.
    """
    path = str(files.transactions)
    with guarded("reading the transaction log"):
        mark = read_mark(door, files.transactions_mark, database)
        try:
            data = door.read(files.transactions)
        except FileNotFoundError:
            return None
    try:
        header = decode_header(data)
    except BadFrame as error:
        raise Corruption(path, 0, str(error)) from None
    if header.database != database:
        raise Corruption(path, 0, "the transaction log belongs to another database")
    start = header.base + HEADER_BYTES
    if not isinstance(mark, str) and mark.written < start:  # it is that of the log before this one was begun
        mark = "the mark is older than the log"
    trust = trust_in(mark, door.boot_id(), start)
    decisions, end, torn_bytes = _walk(path, data, header.base, trust)
    forced = start if isinstance(mark, str) else min(mark.forced, end)
    return Loaded(header.base, tuple(decisions), end, forced, torn_bytes, trust.end is not None)


def _walk(path: str, data: bytes, base: int, trust: Trust) -> tuple[list[Decision], int, int]:
    """The decisions, where they end, and how many bytes a write that was cut short left behind them."""
    decisions, end, torn_bytes = [], base + HEADER_BYTES, 0
    try:
        for decision, offset in walk(data, base):
            decisions.append(decision)
            end = base + offset
    except DamagedChain as error:
        if base + error.offset < trust.place or not (error.torn or trust.rubbish):
            raise Corruption(path, error.offset, str(error)) from None
        torn_bytes = len(data) - error.offset
    if end < trust.place:
        raise Corruption(path, end - base, f"it was cut: it should have at least {trust.place - base} bytes")
    if trust.end is not None and (torn_bytes or end != trust.end):
        raise Corruption(path, trust.end - base, "the transaction log does not end where it did when it was closed")
    return decisions, end, torn_bytes


class Decisions:
    """Which transactions were decided, as far as the log on the disk says. Safe for threads.

    A log that is not there has decided nothing: it is made before the first batch of a transaction is written.
    """

    def __init__(self, door: Door, files: DatabaseFiles, database: bytes) -> None:
        self._door = door
        self._files = files
        self._database = database
        self._loaded: Loaded | None = None

    def force(self, number: int) -> None:
        """Nothing: who reads writes no batch."""

    def has(self, number: int) -> bool:
        """Whether a transaction was decided; what is not known is looked up anew. Raises Corruption, StorageError."""
        if self._loaded is None or not self._loaded.has(number):
            self._loaded = load(self._door, self._files, self._database)
        return self._loaded is not None and self._loaded.has(number)


class TransactionLog:
    """The writing end of the log. `decide`, `retract` and `empty` are called under a lock of the user's."""

    def __init__(self, door: Door, files: DatabaseFiles, database: bytes) -> None:
        """Read what there is. `database` is 16 bytes of its own. Raises Corruption, StorageError."""
        self._door = door
        self._files = files
        self._database = database
        self._opening = Lock()
        self._log: MarkedLog | None = None
        found = load(door, files, database)
        self._base = 0 if found is None else found.base
        self.unfinished: tuple[Decision, ...] = () if found is None else found.decisions
        """What was decided before this process came, and may not have reached the collections."""
        self.was_closed = found is None or found.is_clean
        """Whether nothing can be left to be done: it was closed, or has never been."""
        self._first: float = inf
        """The number of the first decision of this process."""
        self._known = frozenset(decision.number for decision in self.unfinished)

    def has(self, number: int) -> bool:
        """Whether a transaction was decided: all of this process were whose batches are anywhere."""
        return number < self._base or number >= self._first or number in self._known

    @property
    def size(self) -> int:
        """How many bytes of decisions it has."""
        return 0 if self._log is None else self._log.end - self._base - HEADER_BYTES

    def decide(self, writes: Iterable[Writes]) -> int:
        """Decide that all of this is to be stored, and return the number of the transaction.

        Once it is on the disk (see `force`), or the process lives on, it will be: O(bytes). Raises StorageError, and
        nothing is decided then.
        """
        log = self._log or self._opened()
        number = log.append(encode(Decision(log.end, tuple(writes))))
        self._first = min(self._first, number)
        return number

    def retract(self, number: int) -> None:
        """Take the last decision back: nothing of it was stored anywhere. Raises WritesStopped."""
        self._opened().take_back(number)

    def force(self, number: int | None = None) -> None:
        """Have a decision on the disk, or (None) all of them. Raises WritesStopped."""
        if self._log is not None:
            self._log.force(None if number is None else number + 1)

    def empty(self) -> None:
        """Begin a new log: every collection has on the disk what was decided. Raises StorageError.

        The old one is overwritten, since values stand in it that may have to be erased one day. Whatever fails, there
        is one log or the other, and the next decision goes to the one that is there.
        """
        log = self._opened()
        log.force()
        if not self.size:
            return
        path, base = self._files.transactions, log.end
        with guarded("emptying the transaction log"):
            keep_as(self._door, path, old_name(path))
            self._door.replace(path, encode_header(LogHeader(self._database, base)))
        self._log = None
        log.close()
        self.unfinished = ()
        self._opened()
        with guarded("emptying the transaction log"):
            self._destroy_old()

    def _destroy_old(self) -> None:
        door, path = self._door, self._files.transactions
        old = old_name(path)
        if door.inode(old) is not None and door.inode(old) == door.inode(path):
            door.remove(old)  # another name of the very log: a process was stopped before another one took its place
        if door.inode(old) is not None:
            destroy(self._door, old, [(0, bytes(self._door.disk_size(old)))])

    def recover(self) -> None:
        """Go on in a log that was not closed: what it has is on the disk afterwards. Raises StorageError."""
        if self.unfinished or not self.was_closed:
            self._opened().force()
        with guarded("opening the transaction log"):
            self._destroy_old()

    def stop(self, what: str) -> WritesStopped:
        """Take no more decisions, because of what happened. Returns the error that says so."""
        return self._opened().stop(what)

    def close(self) -> None:
        """Force it, and leave a mark that says that nothing is left to be done if it is empty. Idempotent."""
        log, self._log = self._log, None
        if log is not None:
            log.close()

    def disown(self) -> None:
        """In a forked child: it is the parent's."""
        self._log = None

    def _opened(self) -> MarkedLog:
        with self._opening:
            if self._log is None:
                self._log = self._open()
            return self._log

    def _open(self) -> MarkedLog:
        found = load(self._door, self._files, self._database)
        if found is None:
            with guarded("making the transaction log"):
                self._door.replace(self._files.transactions, encode_header(LogHeader(self._database, 0)))
            found = Loaded(0, (), HEADER_BYTES, HEADER_BYTES, 0, is_clean=True)
        self._base = found.base
        place = found.base, found.end, found.forced, found.torn_bytes
        return MarkedLog(self._door, self._files.transactions, self._files.transactions_mark, self._database, *place)
