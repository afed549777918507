"""Commands of transactions over several partitions: they are prepared, decided in their home, and ended.

What is pending here takes a command first, whatever became of one of the same id: so whoever tries to end a transaction
may do so again and again. What is not pending any more has left its outcome.
"""

from __future__ import annotations

from typing import Any, Final

from blockdb.cluster.machine.commands import Content, Decide, Envelope, Finish, Prepare, digest_of, lasting
from blockdb.cluster.machine.holding import Holding
from blockdb.cluster.machine.pending import Blocked
from blockdb.cluster.machine.refusals import REFUSALS
from blockdb.cluster.machine.storing import Storing
from blockdb.errors import BlockDBError, InvalidData, TransactionClosed

__all__ = ["YES", "Deciding"]

YES: Final = b""
"""The outcome of a Prepare that is accepted; else it is the transaction in the way, unless an error refuses it."""


class Deciding:
    """Used by the thread that applies commands."""

    def __init__(self, holding: Holding, storing: Storing) -> None:
        self._holding = holding
        self._storing = storing
        self._pending, self._outcomes = holding.pending, holding.outcomes

    def apply(self, envelope: Envelope, content: Content) -> bool:
        """Apply a command, unless it is about something else; gives whether it was not."""
        if not isinstance(content, (Prepare, Decide, Finish)):
            return False
        digest = digest_of(lasting(content, bytes(envelope.content)))
        if isinstance(content, Prepare):
            self._prepare(envelope, digest, content)
        elif isinstance(content, Decide):
            self._decide(envelope.id, digest, content)
        else:
            self._finish(envelope.id, digest, content)
        return True

    # The vote.

    def _prepare(self, envelope: Envelope, digest: bytes, content: Prepare) -> None:
        """Whatever is refused is so for good: else a message that comes late would bring back what has ended.

        A vote is told again also when it has ended: whoever counts the votes then learns from the home how.
        """
        id_, outcomes, transaction = envelope.id, self._outcomes, content.transaction
        if outcomes.repeated(id_, digest):
            return
        if self._pending.find(transaction) is not None:
            outcomes.tell(id_, digest, YES)
        elif self._pending.is_aborted(transaction):
            error = TransactionClosed(f"Transaction {transaction.hex()} was ended before it was prepared here.")
            outcomes.tell(id_, digest, None, error)
        else:
            self._vote(envelope, digest, content)

    def _vote(self, envelope: Envelope, digest: bytes, content: Prepare) -> None:
        value: Any = YES
        refusal: BlockDBError | None = None
        time_ms = self._holding.time_ms
        self._holding.surroundings.enter(time_ms, envelope.seed)
        try:
            self._storing.look(content.parts, content.reads, time_ms, envelope.seed)
            self._pending.add(content, time_ms, envelope.seed)
        except Blocked as error:
            value = error.transaction
        except REFUSALS as error:
            refusal = error
        if not content.home and (refusal is not None or value != YES):
            self._pending.abort(content.transaction)  # the home has decided with that
        self._outcomes.add(envelope.id, digest, value, refusal)

    # The decision, and the end.

    def _decide(self, id_: bytes, digest: bytes, content: Decide) -> None:
        transaction, found = content.transaction, self._pending.find(content.transaction)
        if found is not None and found[0].home:
            error = InvalidData(f"The transaction {transaction.hex()} is decided in {found[0].home}, not here.")
            self._outcomes.tell(id_, digest, None, error)
        elif found is not None:
            if content.commit and found[0].others:
                self._pending.decide(transaction, found[0].others)
            stored = self._end(transaction, content.commit)
            self._outcomes.add(id_, digest, [content.commit, stored])
        elif self._pending.is_decided(transaction) and id_ not in self._outcomes:
            self._outcomes.tell(id_, digest, [True, []])
        elif not self._outcomes.repeated(id_, digest):
            self._pending.abort(transaction)
            self._outcomes.add(id_, digest, [False, []])

    def _finish(self, id_: bytes, digest: bytes, content: Finish) -> None:
        transaction, found = content.transaction, self._pending.find(content.transaction)
        if found is not None and not found[0].home:
            error = InvalidData(f"The transaction {transaction.hex()} is to be decided here before it is finished.")
            self._outcomes.tell(id_, digest, None, error)
        elif found is not None:
            self._outcomes.add(id_, digest, self._end(transaction, content.commit))
        elif not self._outcomes.repeated(id_, digest):
            if self._pending.is_decided(transaction):
                self._pending.close(transaction)
            elif not content.commit:
                self._pending.abort(transaction)
            self._outcomes.add(id_, digest, [])

    def _end(self, transaction: bytes, commit: bool) -> list[list[Any]]:
        """End what is pending: of each collection its name, the first sequence number, and how many were stored."""
        found = self._pending.find(transaction)
        assert found is not None, "it is pending"
        prepare, prepared = found
        stored = self._storing.store_parts(prepare.parts, self._holding.time_ms, prepared.seed) if commit else []
        self._pending.end(transaction)  # who waits for that finds what was stored
        return stored
