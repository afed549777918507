"""The thread that applies what is committed, in batches, and the only one that calls the state machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Final, TypeVar

from blockdb.cluster.proposals import Proposals
from blockdb.cluster.replicated_log import Command, StateMachine
from blockdb.cluster.waiting import Watermark, answer, refuse, unanswered
from blockdb.cluster.worker import Worker
from blockdb.errors import BlockDBError, Corruption, Unavailable
from blockdb.format.consensus import Entry, Kind
from blockdb.format.raft_log import unwrap
from blockdb.raft.errors import Broken

__all__ = ["Applying"]

_BATCH_ENTRIES: Final = 2_000
_BATCH_BYTES: Final = 2 << 20

T = TypeVar("T")


class Applying:
    """Entries go in on one side, in order and each once; on the other side the machine has them.

    How much may wait is bounded by whoever puts it in: the core hands out no more than `max_unapplied_bytes`.
    """

    def __init__(
        self,
        name: str,
        machine: StateMachine,
        proposals: Proposals,
        progressed: Callable[[], None],
        failed: Callable[[BaseException], None],
        damaged: Callable[[Corruption], bool] = lambda error: False,
        *,
        is_dense: bool = True,
    ) -> None:
        """`progressed` is called on the thread whenever `index` and `term` have grown; `failed` when it ends.

        `damaged` is told of damage that the machine has come upon: whether it gets a copy, behind which it goes on.
        `is_dense`: there is an entry for each index.
        """
        self.machine = machine
        self.reached = Watermark(machine.applied_index)
        self.index = 0
        """The last entry that went through here."""
        self.term = 0
        """Its term: all that leaders of earlier terms had is decided."""
        self.bytes = self.entries = 0
        """How much has gone through."""
        self._is_dense = is_dense
        self._proposals = proposals
        self._progressed = progressed
        self._damaged = damaged
        self._worker = Worker(name, failed)
        self._lock = Lock()
        self._waiting: deque[Entry] = deque()
        self._error: BlockDBError | None = None
        self._calls: set[Future[object]] = set()
        self._is_held = False

    def start(self, term: int) -> None:
        """Begin behind an entry of that term."""
        self.term = term
        self._worker.start()

    def put(self, entries: Sequence[Entry]) -> None:
        """Have entries applied, which follow those before."""
        with self._lock:
            is_idle = not self._waiting and self._error is None
            if self._error is None:
                self._waiting.extend(entries)
        if is_idle:
            self._worker.do(self._apply_waiting)

    def hold(self) -> None:
        """Apply nothing more until `go_on`."""
        self._is_held = True

    def go_on(self) -> None:
        """Apply what came meanwhile, behind what the machine has."""
        self._is_held = False
        self._worker.do(self._apply_waiting)

    def drop(self) -> None:
        """Forget what waits: it comes again."""
        with self._lock:
            self._waiting.clear()

    def call(self, function: Callable[[StateMachine], T]) -> Future[T]:
        """Call the machine, after what was put in before. What that raises is the future's, and stops nothing."""
        future: Future[T] = unanswered()

        def job() -> None:
            try:
                answer(future, function(self.machine))
            except BaseException as error:
                refuse(future, error)
            finally:
                with self._lock:
                    self._calls.discard(future)

        with self._lock:
            error = self._error
            if error is None:
                self._calls.add(future)  # type: ignore[arg-type]
        if error is not None:
            refuse(future, error)
        else:
            self._worker.do(job)
        return future

    def restored(self, index: int, term: int) -> None:
        """The machine has taken over a snapshot: on the thread."""
        self.index, self.term = max(self.index, index), max(self.term, term)
        self.reached.advance(index)
        self._progressed()

    def stop(self, error: BlockDBError) -> None:
        """Take no more; who waits gets the error."""
        with self._lock:
            self._error = self._error or error
            self._waiting.clear()
            calls = list(self._calls)
            self._calls.clear()
        self.reached.stop(error)
        for future in calls:
            refuse(future, error)

    def close(self) -> None:
        """End the thread, after what it is doing."""
        self.stop(Unavailable("The log was closed."))
        self._worker.close()

    def _apply_waiting(self) -> None:
        while not self._is_held and (batch := self._next_batch()):
            try:
                self._apply(batch)
            except Corruption as error:
                self._put_back(batch, error)

    def _put_back(self, batch: list[Entry], error: Corruption) -> None:
        """Wait for a copy, behind which some of these are to be applied. Raises the error where none will come."""
        self.hold()
        with self._lock:
            self._waiting.extendleft(reversed(batch))
        if not self._damaged(error):
            raise error

    def _next_batch(self) -> list[Entry]:
        batch: list[Entry] = []
        size = 0
        with self._lock:
            while self._waiting and len(batch) < _BATCH_ENTRIES and size < _BATCH_BYTES:
                batch.append(self._waiting[0])
                size += len(self._waiting.popleft().data)
        self.bytes += size
        return batch

    def _apply(self, batch: list[Entry]) -> None:
        own: list[tuple[int, int]] = []
        commands: list[Command] = []
        has = self.machine.applied_index
        for entry in batch:
            if entry.kind is Kind.COMMAND:
                origin, number, data = unwrap(entry.data)
                if entry.index > has:
                    commands.append(Command(entry.index, entry.term, data))
                if origin == self._proposals.origin:
                    own.append((number, entry.index))
        last = batch[-1]
        if self._is_dense and self.index and batch[0].index != self.index + 1 and batch[0].index > has + 1:
            raise Broken(f"entry {batch[0].index} was to be applied after {self.index}")
        if commands:
            self.machine.apply(commands)
        if last.index > self.machine.applied_index:
            self.machine.pass_over(last.index)
        self.index, self.term = last.index, max(self.term, last.term)
        self.entries += len(batch)
        self.reached.advance(last.index)
        self._proposals.decided(own)
        self._progressed()
