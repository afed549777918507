"""What transactions ask of partitions, wherever they are held: commands, and whether what was read is so still.

A question is MessagePack: `["do", command]`, `["check", reads]` or `["found", ids of commands]`. An answer is
`[value, nil]` or `[nil, [kind, message, arguments]]`. Who asks need not know by which id a partition knows its
collection: none stands for that, and whoever answers puts it in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from threading import Event
from time import monotonic
from typing import Any, Final

import msgspec

from blockdb.cluster.database.context import reading
from blockdb.cluster.database.front import Front
from blockdb.cluster.machine.commands import Commit, CommitPart, CommitRead, Prepare, decode, encode
from blockdb.cluster.machine.pending import Blocked
from blockdb.cluster.partitions.committing import PAUSE_S
from blockdb.cluster.partitions.engine import Engine
from blockdb.cluster.partitions.holding import Holdings
from blockdb.cluster.partitions.partition import Partition
from blockdb.cluster.partitions.registry import Registry, collection_of
from blockdb.cluster.waiting import answer, pass_on, refuse, unanswered
from blockdb.errors import BlockDBError, CollectionNotFound, StorageError, Unavailable
from blockdb.wire.failures import Failure, error_of, failure_of

__all__ = ["NO_COLLECTION", "Asker"]

ANSWER_S: Final = 2.0
"""Who has not answered by then may be dead: the question goes to the next holder, which is the same question."""
NO_COLLECTION: Final = b""
"""Stands for the collection of a partition."""
DO: Final = "do"
CHECK: Final = "check"
FOUND: Final = "found"

_encode = msgspec.msgpack.encode
_reads: Final = msgspec.msgpack.Decoder(tuple[CommitRead, ...])


class Asker:
    """Asks partitions, and answers for those that are held here. Safe for threads."""

    def __init__(self, engine: Engine, holdings: Holdings, registry: Registry, patience_s: float) -> None:
        self._engine, self._holdings, self._registry = engine, holdings, registry
        self._patience_s = patience_s
        holdings.questions[DO] = lambda partition, rest: self._answered(lambda: self._do(partition, rest[0]))
        holdings.questions[CHECK] = lambda partition, rest: self._answered(
            lambda: _checked(partition, _reads.decode(rest[0]))
        )
        holdings.questions[FOUND] = lambda partition, rest: self._answered(lambda: _found(partition, rest[0]))

    # Asking.

    def ask(self, partition: str, command: bytes) -> Future[Any]:
        """Have a command decided there: its outcome. Unavailable where nobody can tell; see `committing.Asking`.

        CollectionNotFound where there is no such partition any more.
        """
        held = self._holdings.get(partition)
        if held is None:
            return self._elsewhere(partition, [DO, command])
        told: Future[Any] = unanswered()
        try:
            here = _front(held).do(_translated(held, command))
        except BlockDBError as error:
            refuse(told, _as_told(error))
        else:
            here.add_done_callback(lambda done: _tell(done, told))
        return told

    def check(self, partition: str, reads: Sequence[CommitRead]) -> None:
        """Raises Deadlock where what was read is not so any more, as of now; Unavailable."""
        held = self._holdings.get(partition)
        if held is not None:
            _checked(held, tuple(reads))
        else:
            self._waited(partition, [CHECK, _encode(tuple(reads))])

    def found(self, partition: str, ids: Sequence[bytes]) -> dict[bytes, Any]:
        """What was accepted there of commands, by their ids, as of now. Raises Unavailable."""
        held = self._holdings.get(partition)
        found = _found(held, ids) if held is not None else self._waited(partition, [FOUND, list(ids)])
        return dict(found)

    def _waited(self, partition: str, question: list[Any]) -> Any:
        until_s = monotonic() + self._patience_s
        while True:
            try:
                return self._elsewhere(partition, question).result(self._patience_s)
            except NotYet:
                raise Unavailable(f"Nobody has answered for {partition} in time.") from None
            except Unavailable:
                if monotonic() + PAUSE_S >= until_s:
                    raise
            Event().wait(PAUSE_S)

    def _elsewhere(self, partition: str, question: list[Any]) -> Future[Any]:
        told: Future[Any] = unanswered()
        if partition not in self._engine.rosters() and self._registry.find(collection_of(partition)[0]) is None:
            refuse(told, CollectionNotFound(partition))
            return told
        asked = self._engine.ask(partition, _encode(question), ANSWER_S)
        asked.add_done_callback(lambda done: _hear(done, told))
        return told

    # Answering.

    @staticmethod
    def _answered(act: Callable[[], Any]) -> bytes:
        try:
            return _encode([act(), None])
        except BlockDBError as error:
            return _encode([None, failure_of(_as_told(error))])

    def _do(self, partition: Partition, command: bytes) -> Any:
        try:
            return _front(partition).do(_translated(partition, command)).result(ANSWER_S)
        except NotYet:
            raise Unavailable(f"The log of {partition.name} has not decided in time.") from None


def _front(partition: Partition) -> Front:
    return partition.check()._front


def _checked(partition: Partition, reads: tuple[CommitRead, ...]) -> None:
    front, collection = _front(partition), partition.check()._key
    with reading("Linearizable"):
        front.confirm()
    front.check_current(_reads_of(reads, collection))


def _found(partition: Partition, ids: Sequence[bytes]) -> list[tuple[bytes, Any]]:
    """Of what is pending it is waited how it ends."""
    front = _front(partition)
    with reading("Linearizable"):
        front.confirm()
    known = ((id_, front.machine.outcomes.found(id_)) for id_ in ids)
    return [(id_, each.result()) for id_, each in known if each is not None and each.exception() is None]


def _translated(partition: Partition, command: bytes) -> bytes:
    """A command that names the collection as the partition does."""
    envelope, content = decode(command)
    if not isinstance(content, (Prepare, Commit)):
        return command
    collection = partition.check()._key
    parts = tuple(CommitPart(collection, part.items) for part in content.parts)
    known = msgspec.structs.replace(content, parts=parts, reads=_reads_of(content.reads, collection))
    return encode(envelope.id, envelope.time_ms, envelope.seed, known)


def _reads_of(reads: tuple[CommitRead, ...], collection: bytes) -> tuple[CommitRead, ...]:
    return tuple(msgspec.structs.replace(read, collection=collection) for read in reads)


def _as_told(error: BlockDBError) -> BlockDBError:
    """What is in the way now, and a node that fails, say nothing about the next time, or about the next node."""
    return Unavailable(str(error)) if isinstance(error, (Blocked, StorageError)) else error


def _tell(done: Future[Any], told: Future[Any]) -> None:
    error = done.exception()
    if isinstance(error, BlockDBError):
        refuse(told, _as_told(error))
    else:
        pass_on(done, told)


def _hear(done: Future[bytes], told: Future[Any]) -> None:
    if done.exception() is not None:
        pass_on(done, told)
        return
    value, failure = msgspec.msgpack.decode(done.result())
    if failure is None:
        answer(told, value)
    else:
        refuse(told, error_of(msgspec.convert(failure, Failure)))
