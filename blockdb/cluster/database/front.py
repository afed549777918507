"""Between the handles of a cluster's database and its log: commands are proposed, reads confirmed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from os import urandom
from time import monotonic, time_ns
from typing import Any, Final

from blockdb.cluster.database.committing import commit_of
from blockdb.cluster.database.context import first_id, is_of_this_node, new_command_id, new_command_ids, reads_confirm
from blockdb.cluster.machine.commands import (
    SEED_BYTES,
    CommitRead,
    Content,
    PutEach,
    RecordState,
    decode,
    digest_of,
    enclose,
    encode,
    encode_content,
    lasting,
)
from blockdb.cluster.machine.machine import Machine, put_digest
from blockdb.cluster.machine.pending import Blocked
from blockdb.cluster.replicated_log import ReplicatedLog
from blockdb.cluster.waiting import answer, pass_on, refuse, unanswered
from blockdb.database.core import Core
from blockdb.database.database import Database
from blockdb.database.transactions.part import Part
from blockdb.errors import BlockDBError, Deadlock, DuplicateKey, Unavailable

__all__ = ["PATIENCE_S", "Front"]

PATIENCE_S: Final = 30.0
"""So long it is tried to have a command decided, or a read confirmed."""

PAUSE_S: Final = 0.05
"""After a refusal it is tried again so much later."""


class Front:
    """Safe for threads."""

    def __init__(self, log: ReplicatedLog, machine: Machine, patience_s: float = PATIENCE_S) -> None:
        self.log = log
        self.machine = machine
        self.patience_s = patience_s
        self.on_copy: Callable[[], object] = lambda: None
        self.commit_parts: Callable[[Sequence[Part], bool], Mapping[str, Sequence[int]]] = self._commit
        """Stores what a transaction wrote; where it is about more than this log, somebody else has to."""
        machine.on_database = self._take
        if machine.has_database:
            self._take(machine.database)

    def _take(self, database: Database) -> None:
        """What is signed, and what transactions store, the whole cluster is asked for."""
        database._core.notary.record_state = self._record_state
        database._core.transactions.commit_parts = lambda parts, sync: self.commit_parts(parts, sync)
        database._core.transactions.keeps_reads = True
        self.on_copy()

    def _record_state(self, keys: Any) -> int | None:
        told = tuple((uuid, records, root) for uuid, (records, root) in sorted(keys.items()))
        number: int | None = self.ask(RecordState(told))
        return number

    def _commit(self, parts: Sequence[Part], sync: bool) -> dict[str, range]:
        """Store what was written in all parts, if what was read is so still; a plain write has read nothing."""
        commit = commit_of(parts)
        if not commit.parts:
            if commit.reads:
                self.check_current(commit.reads)
            return {}
        try:
            stored = self.ask(commit, chance=any(part.store.metadata.redactable for part in parts))
        except DuplicateKey as error:
            if all(part.is_plain for part in parts):
                raise
            raise Deadlock(
                f"Another one stored {error.key!r} meanwhile, so the transaction was not committed. Run it again."
            ) from error
        return {name: range(first, first + count) for name, first, count in stored}

    def check_current(self, reads: Sequence[CommitRead]) -> None:
        """Raises Deadlock where what was read is not so any more on this node; waits for what may be about to come."""
        until_s = monotonic() + self.patience_s
        while True:
            try:
                return self.machine.check_current(reads)
            except Blocked as error:
                self._wait_for([error.transaction], until_s)

    @property
    def core(self) -> Core:
        """What the handles of the database share now. Raises Unavailable."""
        return self.machine.core

    # Commands.

    def ask(self, content: Content, *, chance: bool = True) -> Any:
        """Have a command decided and applied, once; gives its outcome, on this node. Raises what refuses it.

        `chance` says whether it needs any. Raises RateLimited, InvalidData where it is too long, and Unavailable where
        nobody can tell what became of it.
        """
        id_, encoded = new_command_id(), encode_content(content)
        data = enclose(id_, time_ns() // 1_000_000, urandom(SEED_BYTES) if chance else b"", encoded)
        return self._outcome(data, id_, digest_of(lasting(content, encoded)))

    def do(self, data: bytes) -> Future[Any]:
        """Have a command decided that somebody else has made; what becomes of it, for whoever asks again if need be.

        Beside what refuses it, that is Blocked, or Unavailable where nobody can tell. Never waits. Raises as `ask`.
        """
        self.machine.check()
        _ = self.machine.database  # it says why there is none
        envelope, content = decode(data)
        told: Future[Any] = unanswered()
        id_, digest = envelope.id, digest_of(lasting(content, bytes(envelope.content)))
        outcome = self.machine.outcomes.expect(id_, digest)
        outcome.add_done_callback(lambda done: pass_on(done, told))
        if not outcome.done():
            told.add_done_callback(lambda _: self.machine.outcomes.forget(id_, outcome))
            try:
                appended = self.log.append([data])
            except BlockDBError as error:
                refuse(told, error)
            else:
                appended.add_done_callback(lambda done: self._look_at(done, told))
        return told

    @staticmethod
    def _look_at(appended: Future[int], told: Future[Any]) -> None:
        if (error := appended.exception()) is not None:
            refuse(told, error)

    def _outcome(self, data: bytes, id_: bytes, digest: bytes) -> Any:
        """What became of a command, once nothing that will end is in its way."""
        until_s = monotonic() + self.patience_s
        while True:
            [became] = self._asked(data, [(id_, digest)])
            if not isinstance(became, BlockDBError):
                return became
            if not isinstance(became, Blocked):
                raise became
            self._wait_for([became.transaction], until_s)

    def _wait_for(self, transactions: Iterable[bytes], until_s: float) -> None:
        """Wait for transactions over several partitions to end. Raises Unavailable."""
        found = self.machine.pending.wait(transactions, until_s)
        self.machine.check()
        if found is not None:
            raise Unavailable(
                f"Transaction {found.hex()} over several partitions is in the way and was not decided within "
                f"{self.patience_s:g} s, so nothing was done. Try again when all partitions have a leader."
            )

    def ask_each(
        self,
        collection: bytes,
        items: Sequence[tuple[bytes, bytes]],
        *,
        chance: bool,
        names: Sequence[bytes | None] | None = None,
    ) -> list[int | BlockDBError]:
        """Have records stored, each for itself, with one command; gives the number of each, or its error.

        Raises as `ask`. `names` are those of the requests that the records come from; None: it has none.
        """
        named = [None] * len(items) if names is None else names
        drawn = iter(new_command_ids(named.count(None)))
        ids = [next(drawn) if name is None else first_id(name) for name in named]
        seed = urandom(SEED_BYTES) if chance else b""
        became: list[Any] = [None] * len(items)
        left = list(range(len(items)))
        until_s = monotonic() + self.patience_s
        while left:
            content = PutEach(collection, tuple((ids[number], *items[number]) for number in left))
            wanted = [(ids[number], put_digest(collection, *items[number])) for number in left]
            found = self._asked(encode(new_command_id(), time_ns() // 1_000_000, seed, content), wanted)
            for number, one in zip(left, found, strict=True):
                became[number] = one
            left = [number for number in left if isinstance(became[number], Blocked)]
            self._wait_for([became[number].transaction for number in left], until_s)
        return became

    def _asked(self, data: bytes, wanted: Sequence[tuple[bytes, bytes]]) -> list[Any]:
        """The outcomes of a command, which is appended until they are there: values and errors."""
        self.machine.check()
        _ = self.machine.database  # it says why there is none
        outcomes = self.machine.outcomes
        expected = outcomes.expect_all(wanted)
        try:
            self._append_until(data, expected.done)
        except BaseException:
            for id_, _ in wanted:
                outcomes.forget(id_, expected)
            raise
        return expected.became

    def _append_until(self, data: bytes, last: Future[Any]) -> None:
        deadline = monotonic() + self.patience_s
        while not last.done():
            is_there: Future[bool] = unanswered()
            last.add_done_callback(lambda _, told=is_there: answer(told, True))  # type: ignore[misc]
            appended = self.log.append([data])
            appended.add_done_callback(
                lambda done, told=is_there: answer(told, False) if done.exception() else None  # type: ignore[misc]
            )
            try:
                if is_there.result(max(deadline - monotonic(), 0)):
                    return
            except NotYet:
                raise self._uncertain(None) from None
            error = appended.exception()
            if not isinstance(error, Unavailable):
                assert error is not None, "it was said to have failed"
                raise error
            if self._is_done(last, min(PAUSE_S, deadline - monotonic())):
                return
            if monotonic() >= deadline:
                raise self._uncertain(error) from None

    @staticmethod
    def _is_done(last: Future[Any], timeout_s: float) -> bool:
        try:
            last.exception(max(timeout_s, 0))
        except NotYet:
            return False
        return True

    def _uncertain(self, error: BlockDBError | None) -> Unavailable:
        why = "" if error is None else f" The last that was heard: {error}"
        return Unavailable(
            f"The cluster has not answered within {self.patience_s:g} s, so nobody can tell whether this was done: ask "
            f"again with the same Idempotency-Key, or look.{why}"
        )

    # Reads.

    def confirm(self) -> None:
        """Before a read: wait until this node has applied all that was acknowledged anywhere before this call.

        A read that may be `Local` waits for nothing. Raises Unavailable.
        """
        machine = self.machine
        if is_of_this_node():
            return
        if not reads_confirm():
            if machine.is_ahead:
                raise Unavailable("This node is catching up with the log after a crash. Try again soon.")
            return
        deadline = monotonic() + self.patience_s
        try:
            index = self.log.barrier().result(self.patience_s)
        except NotYet:
            raise Unavailable(
                f"No leader has confirmed within {self.patience_s:g} s that this node is up to date. Try again, or ask "
                "for a Local read, which may be stale."
            ) from None
        if index > machine.applied_index:
            self.log.wait_applied(index, max(deadline - monotonic(), 0))
        self.wait_for_pending(deadline)

    def wait_for_pending(self, until_s: float) -> None:
        """Wait until what is pending now has ended: somebody may have been told already how. Raises Unavailable."""
        if self.machine.pending:
            self._wait_for(self.machine.pending.homes(), until_s)

    def confirmed(self) -> Future[int]:
        """The same for whoever must not wait: done once the log says up to where this node has to be.

        `wait_applied` that index (nearly always it is reached), then read under `already_confirmed`.
        """
        return self.log.barrier()
