"""The locks of the transactions of an open database: waiting for them, giving them up, and how long that may take."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence, Sized
from dataclasses import replace
from operator import attrgetter
from threading import Lock
from time import monotonic, perf_counter_ns
from typing import Any, Final, NamedTuple, Protocol

from blockdb.errors import BlockDBError, Deadlock, TransactionClosed, TransactionTimeout
from blockdb.locking.claim import Claim, Space
from blockdb.locking.table import GRANTED, LockTable, Outcome
from blockdb.statistics import TransactionInfo, TransactionStatistics
from blockdb.storage.commit import Held
from blockdb.storage.statistics import Histogram
from blockdb.storage.store import Store

LOOK_AROUND_S: Final = 1.0
"""Who waits looks as often whether somebody was left to the garbage collector with his locks."""

_deadline = attrgetter("deadline")

Ending = tuple[type[BlockDBError], str]
"""The error that every further use of a transaction raises."""

ENDED_KEPT: Final = 64
_OUTCOMES: Final[dict[type[BlockDBError], str]] = {Deadlock: "deadlock", TransactionTimeout: "timeout"}


class Touched(Protocol):
    """What a transaction does in one collection, as far as it is told."""

    @property
    def name(self) -> str:
        """The name of the collection."""

    @property
    def items(self) -> Sized:
        """What was written."""


class Ended(NamedTuple):
    """What is kept of a transaction that has ended."""

    at: float
    info: TransactionInfo


class Holder:
    """A transaction, as far as locks go."""

    __slots__ = ("deadline", "ending", "id", "is_committing", "parts", "started", "waker")

    def __init__(self, id_: int, started: float, deadline: float) -> None:
        self.id = id_
        self.started = started
        self.deadline = deadline
        self.is_committing = False
        """From here on it is not interrupted."""
        self.ending: Ending | None = None
        self.parts: dict[str | None, Any] = {}
        """What it does in each collection, `Touched`. Its user adds to it."""
        self.waker: Lock | None = None
        """Held while it waits; released when it has what it waits for, or has ended."""


class Locks:
    """The lock table, for threads. Methods raise what ended the transaction, once something did.

    Whose time is over is found by those who wait: nobody else is in its way.
    """

    def __init__(self) -> None:
        self._mutex = Lock()
        self._table = LockTable()
        self._active: dict[int, Holder] = {}
        self._abandoned: deque[Holder] = deque()
        self._ended: deque[Ended] = deque(maxlen=ENDED_KEPT)
        self._next_id = 1
        self._committed = self._aborted = self._deadlocks = self._timeouts = self._waits = 0
        self._wait_latency = Histogram()

    def number_from(self, first: int) -> None:
        """Have the next transactions have these numbers, unless they have come as far."""
        with self._mutex:
            self._next_id = max(self._next_id, first)

    def begin(self, timeout_s: float, id_: int | None = None) -> Holder:
        """A new transaction; or, with the id of one that has ended, one that is as old as that was."""
        now = monotonic()
        with self._mutex:
            if self._abandoned:
                self._end_abandoned()
            if id_ is None:
                id_, self._next_id = self._next_id, self._next_id + 1
            holder = self._active[id_] = Holder(id_, now, now + timeout_s)
        return holder

    def lock_key(self, holder: Holder, space: Space, key: bytes, exclusive: bool) -> None:
        """Lock a key, waiting for it if need be. Raises Deadlock, TransactionTimeout, TransactionClosed."""
        with self._mutex:
            if holder.ending is not None or holder.deadline < monotonic():
                self._refuse(holder)
            outcome = self._table.lock_key(holder.id, space, key, exclusive)
            if outcome is GRANTED:
                return
            waker = self._act_on(outcome, holder)
        if waker is not None:
            self._wait(holder, waker)

    def lock_range(self, holder: Holder, space: Space, start: bytes, stop: bytes | None) -> None:
        """Lock the keys of a range for reading, those too that are not there. Raises as `lock_key`."""
        with self._mutex:
            self._check(holder)
            waker = self._act_on(self._table.lock_range(holder.id, space, start, stop, False), holder)
        if waker is not None:
            self._wait(holder, waker)

    def check(self, holder: Holder) -> None:
        """Raises what ended the transaction: then what it has just read may be of different moments."""
        if holder.ending is not None or holder.deadline < monotonic():
            with self._mutex:
                self._check(holder)

    def start_commit(self, holder: Holder) -> None:
        """From now on nothing but `end` ends it."""
        with self._mutex:
            self._check(holder)
            holder.is_committing = True

    def end(self, holder: Holder, what: str, *, committed: bool = False) -> bool:
        """Give up all locks, unless that was done before; `what` is said of any further use. Returns whether it was."""
        with self._mutex:
            if holder.ending is not None:
                return False
            self._end(holder, (TransactionClosed, what), "committed" if committed else "aborted")
            self._committed += committed
            self._aborted += not committed
            return True

    def abandon(self, holder: Holder) -> None:
        """Nobody has the transaction any more. Called by the garbage collector, so anywhere at all: never waits."""
        self._abandoned.append(holder)
        if self._mutex.acquire(blocking=False):
            try:
                self._end_abandoned()
            finally:
                self._mutex.release()

    def end_all(self, what: str) -> None:
        """End every transaction that is not committing."""
        with self._mutex:
            for holder in list(self._active.values()):
                if not holder.is_committing:
                    self._abort(holder, (TransactionClosed, what))

    def let_pass(self, store: Store, space: Space, keys: Sequence[bytes]) -> None:
        """Under the store's write lock: raises Held where a transaction holds one of the keys.

        Where none holds any, the store has no gate from then on.
        """
        with self._mutex:
            if not self._table.has_locks(space):
                store.gate = None
            elif any(self._table.is_locked(space, key) for key in keys):
                raise Held

    def disown(self) -> None:
        """In a forked child: a thread of the parent's may hold the mutex, and be in the middle of a change."""
        active, self._active = self._active, {}
        self._mutex, self._table = Lock(), LockTable()
        for holder in list(active.values()):
            holder.ending = TransactionClosed, "The transaction is the parent process's."

    # What can be seen.

    def infos(self) -> tuple[TransactionInfo, ...]:
        """The transactions that are under way, the oldest first."""
        now = monotonic()
        with self._mutex:
            snapshot = self._table.snapshot()
            found = []
            for id_, holder in sorted(self._active.items()):
                waiting = snapshot.waiting.get(id_)
                collections, writes = _touched(holder)
                found.append(
                    TransactionInfo(
                        id=id_,
                        age_s=now - holder.started,
                        locks=snapshot.held.get(id_, 0),
                        waits_for=() if waiting is None else waiting.blockers,
                        wanted=None if waiting is None else _in_words(waiting.claim),
                        committing=holder.is_committing,
                        collections=collections,
                        writes=writes,
                    )
                )
        return tuple(found)

    def ended(self) -> tuple[TransactionInfo, ...]:
        """Those that ended last, the newest first."""
        now = monotonic()
        with self._mutex:
            return tuple(replace(info, ended_s=now - at) for at, info in reversed(self._ended))

    def statistics(self) -> TransactionStatistics:
        """Counts since the database was opened, and what is locked now."""
        with self._mutex:
            snapshot = self._table.snapshot()
            return TransactionStatistics(
                active=len(self._active),
                waiting=len(snapshot.waiting),
                locks=sum(snapshot.held.values()),
                committed=self._committed,
                aborted=self._aborted,
                deadlocks=self._deadlocks,
                timeouts=self._timeouts,
                waits=self._waits,
                wait_latency=self._wait_latency.snapshot(),
            )

    # Under the mutex.

    def _check(self, holder: Holder) -> None:
        if holder.ending is not None or holder.deadline < monotonic():
            self._refuse(holder)

    def _refuse(self, holder: Holder) -> None:
        if holder.ending is None and not holder.is_committing:
            self._time_out(holder)
        if holder.ending is not None:
            raise holder.ending[0](holder.ending[1])

    def _act_on(self, outcome: Outcome, holder: Holder) -> Lock | None:
        """End the victims and wake the lucky. Returns what `holder` has to wait for."""
        for victim in outcome.victims:
            self._deadlocks += 1
            what = f"Transaction {victim} was aborted: it waited for others, and they for it. Run it again."
            self._abort(self._active[victim], (Deadlock, what))
        self._wake(outcome.woken)
        if outcome.is_granted:
            return None
        self._check(holder)
        waker = holder.waker = Lock()
        waker.acquire()
        return waker

    def _abort(self, holder: Holder, ending: Ending) -> None:
        self._aborted += 1
        self._end(holder, ending)

    def _time_out(self, holder: Holder) -> None:
        self._timeouts += 1
        limit = f"{holder.deadline - holder.started:g} seconds"
        self._abort(holder, (TransactionTimeout, f"Transaction {holder.id} was aborted: it may take {limit}."))

    def _end(self, holder: Holder, ending: Ending, outcome: str | None = None) -> None:
        holder.ending = ending
        self._keep(holder, outcome or _OUTCOMES.get(ending[0], "aborted"))
        del self._active[holder.id]
        self._wake(self._table.release(holder.id))
        if holder.waker is not None:
            self._wake_up(holder)

    def _keep(self, holder: Holder, outcome: str) -> None:
        now, locks = monotonic(), self._table.held_by(holder.id)
        collections, writes = _touched(holder)
        info = TransactionInfo(
            holder.id, now - holder.started, locks, collections=collections, writes=writes, outcome=outcome
        )
        self._ended.append(Ended(now, info))

    def _wake(self, ids: Iterable[int]) -> None:
        for id_ in ids:
            self._wake_up(self._active[id_])

    def _wake_up(self, holder: Holder) -> None:
        waker, holder.waker = holder.waker, None
        if waker is not None:
            waker.release()

    def _end_abandoned(self) -> None:
        while self._abandoned:
            holder = self._abandoned.popleft()
            if holder.ending is None:
                self._abort(holder, (TransactionClosed, "The transaction was given up."))

    # Waiting, without the mutex.

    def _wait(self, holder: Holder, waker: Lock) -> None:
        start = perf_counter_ns()
        try:
            while not waker.acquire(timeout=self._patience()):
                pass
        except BaseException:  # an interrupt, say: the transaction goes on without that lock
            with self._mutex:
                holder.waker = None
                self._wake(self._table.withdraw(holder.id))
            raise
        finally:
            self._waits += 1
            self._wait_latency.add(perf_counter_ns() - start)
        if holder.ending is not None:
            raise holder.ending[0](holder.ending[1])

    def _patience(self) -> float:
        """End the one whose time is over for longest. Returns after how many seconds to look again."""
        with self._mutex:
            self._end_abandoned()
            patient = [holder for holder in self._active.values() if not holder.is_committing]
            first = min(patient, key=_deadline, default=None)
            left = LOOK_AROUND_S if first is None else first.deadline - monotonic()
            if first is not None and left <= 0:
                self._time_out(first)  # and perhaps that was it
            return min(max(left, 0), LOOK_AROUND_S)


def _touched(holder: Holder) -> tuple[tuple[str, ...], int]:
    """The collections that a transaction has touched, and how many records it is to store. O(collections)."""
    parts: list[Touched] = list(dict.fromkeys(list(holder.parts.values())))  # one may go by its name and its id
    return tuple(part.name for part in parts), sum(len(part.items) for part in parts)


def _in_words(claim: Claim) -> str:
    how = "exclusively" if claim.exclusive else "shared"
    start = claim.start.decode("utf-8", "backslashreplace")
    if claim.is_point:
        return f"key '{start}', {how}"
    stop = "the end" if claim.stop is None else f"'{claim.stop.decode('utf-8', 'backslashreplace')}'"
    return f"keys from '{start}' to {stop}, {how}"
