"""The sealing half of a collection's writer: here while that is quick enough, beside it while the writer is busy."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition, Semaphore
from time import monotonic
from typing import Final

from blockdb.errors import BlockDBError, StorageError
from blockdb.format.block import GENESIS, Seal, encode_seal
from blockdb.layout import CollectionFiles
from blockdb.ledger.chain import Chunks, Head, Sealer, signed
from blockdb.ledger.signature import Signer
from blockdb.storage.chain import Chain
from blockdb.storage.log import Log
from blockdb.storage.open_block import OpenBlock
from blockdb.storage.recovery import Recovered, frontier_after
from blockdb.storage.sealing_process import Answer, SealingProcess

BUSY_BLOCKS: Final = 32
BUSY_S: Final = 0.25
"""A writer that closes so many blocks in so short a time is given a process that does it."""

MOST_UNSEALED_BLOCKS: Final = 256
MOST_UNSEALED_BYTES: Final = 64 * 1024 * 1024
"""With more than this unsealed the writer waits for the process: the next recovery seals what was not, a millisecond a
block. The process is slower than a writer of batches, so this is what a burst may be ahead of it.
"""


class Seals:
    """Closes full blocks, signs them, and appends their seals to the log. Under the engine's write lock (`room`'s)."""

    def __init__(
        self,
        files: CollectionFiles,
        collection: bytes,
        signer: Signer,
        block: Callable[[Sealer], OpenBlock],
        chain: Chain,
        log: Log,
        room: Condition,
        state: Recovered,
        written: Callable[[int, Seal], None],
        note: Callable[[Chunks], None],
        places: Semaphore,
        is_late: Callable[[], None],
    ) -> None:
        """Go on from a recovered state. `block` makes the open block.

        `written` is told of each seal in the log, and its place, `note` the roots of the chunks that are complete.
        `is_late` is called where the log did not take a seal: the next write is to see to that.
        `places` are how many processes all collections may have.
        """
        self._files = files
        self._collection = collection
        self.signer = signer
        self._chain = chain
        self._log = log
        self._room = room
        self._written = written
        self._is_late = is_late
        self._note = note
        self._places = places
        self._process: SealingProcess | None = None
        self._answered = 0
        self._closed_at: deque[float] = deque(maxlen=BUSY_BLOCKS)
        self._waiting: deque[Seal] = deque()
        self._last = state.last_seal[1] if state.last_seal else None
        self.head_place, self.head_hash = (
            (state.last_seal[0], state.head.previous_hash) if state.last_seal else (0, GENESIS)
        )
        self.block = block(self._new_sealer())
        bodies = [chain.record_at(place).body for place in state.pending_places]
        self.block.add_many(bodies, state.pending_places, sum(map(len, bodies)))
        self.stalls = 0
        self.seal()

    @property
    def is_waiting(self) -> bool:
        """Whether there are seals that the log did not take yet."""
        return bool(self._waiting)

    def seal(self) -> None:
        """Close what is full in the open block, or have it closed. Nothing here fails the write that filled it."""
        if self._process is not None:
            self._request(self._process)
            return
        for seal in self.block.seal():
            self._enqueue(signed(seal, self.signer))
            self._closed_at.append(monotonic())
        self._note(self.block.sealer.take_chunks())
        if len(self._closed_at) == BUSY_BLOCKS and self._closed_at[-1] - self._closed_at[0] < BUSY_S:
            self._start_process()

    def write_waiting(self) -> None:
        """Append the seals that wait. Raises StorageError where the log does not take them."""
        while self._waiting:
            seal = self._waiting[0]
            self.head_place = self._log.append(encode_seal(seal))
            self.head_hash = seal.header.hash()
            self._written(self.head_place, seal)
            self._waiting.popleft()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to do, and no process waits for more."""
        return self._process is None and not self._waiting

    @property
    def is_settled(self) -> bool:
        """Whether every full block is sealed, as far as the log takes seals."""
        return self._process is None or not self.block.is_full

    def settle(self) -> None:
        """Wait until every block is sealed that is full now."""
        process = self._process
        if process is not None and self.block.is_full:
            is_asked = self._request(process)
            wanted = process.requested
            self._room.wait_for(lambda: self._process is not process or (is_asked and self._answered >= wanted))

    def stop(self) -> None:
        """Let the process finish, if there is one. Without the lock, since the process's last seals take it."""
        process = self._process
        if process is not None:
            with self._room:
                self._request(process)
            process.close()

    def dismiss(self) -> None:
        """Let the process end, if there is one, and wait for nothing."""
        if self._process is not None:
            self._process.dismiss()

    def _request(self, process: SealingProcess) -> bool:
        """Have it close what is full. Says no where it is gone, or being closed: `_go_on_alone` will be called."""
        try:
            process.request(self._log.end)
        except (OSError, ValueError):
            return False
        self.block.postpone()
        if self._is_far_behind():
            self.stalls += 1
            self._room.wait_for(lambda: self._process is not process or not self._is_far_behind())
        return True

    def _is_far_behind(self) -> bool:
        block = self.block
        return len(block) > MOST_UNSEALED_BLOCKS * block.records_limit or block.size > MOST_UNSEALED_BYTES

    def _start_process(self) -> None:
        self._closed_at.clear()
        if not self._places.acquire(blocking=False):
            return  # others have them: we go on as before
        self._answered = 0
        start = self.block.first_place or self._log.end
        try:
            self._process = SealingProcess(
                self._files, self._collection, self.block, start, self._accept, self._go_on_alone, self._log.secret
            )
        except OSError:
            self._process = None  # the system has no room for one: the same
            self._places.release()
        else:
            self.block.lend()

    def _accept(self, answer: Answer) -> None:
        signer = self.signer
        seals = [signed(seal, signer) for seal in answer.seals]  # without the lock, for which the writer waits
        with self._room:
            for seal in seals:
                self.block.drop(seal.header.records, self.block.size_of(seal))
                self._enqueue(seal if signer is self.signer else signed(seal, self.signer))
            self._note(answer.chunks)
            self._answered += 1
            self._room.notify_all()

    def _go_on_alone(self) -> None:
        """The process has ended. What it did not close is closed here."""
        with self._room:
            self._process = None
            self._places.release()
            try:
                self.block.take_back(self._new_sealer(), self._unsealed())
                self.seal()
            except BlockDBError as error:
                self._log.stop(f"the records that no seal covers could not be read again ({error})")
            self._room.notify_all()

    def _unsealed(self) -> list[bytes]:
        """The bodies of the records in the open block, as they are in the log."""
        start = self.block.first_place
        return [] if start is None else self._chain.bodies_from(start, self._log.end, 0, len(self.block))

    def _enqueue(self, seal: Seal) -> None:
        self._last = seal
        self._waiting.append(seal)
        try:
            self.write_waiting()
        except StorageError:  # the records are stored; the next write tries again, and fails if this does
            self._is_late()

    def _new_sealer(self) -> Sealer:
        last = self._last
        head = Head() if last is None else Head().after(last.header)
        return Sealer(self._collection, head, frontier_after(self._chain, last, self._log.end))
