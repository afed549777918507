"""Requests with an Idempotency-Key: what they are about to store, and what they are told if that is there already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from time import time
from typing import Any, Final
from uuid import UUID

import msgspec

from blockdb.database.collection import Collection
from blockdb.database.database import Database
from blockdb.errors import BlockDBError
from blockdb.format.intent import FIRST_BYTES, Intent, Part
from blockdb.security.roles import Principal, Right
from blockdb.server.idempotency import Entry, Idempotency, Written
from blockdb.server.intents import IntentLog
from blockdb.storage.metadata import PREFIX
from blockdb.types import Record
from blockdb.wire.messages import plain, records, transactions
from blockdb.wire.operation import Message, Operation

__all__ = ["ALONE", "STORING", "Keyed", "Retries"]

CHANGING: Final = frozenset({Right.WRITE, Right.MANAGE, Right.OPERATE})
OF_TRANSACTIONS: Final = frozenset({"begin", "commit", "abort"})
"""Who may read may do these, and they change something too."""
OF_NODES: Final = frozenset({*OF_TRANSACTIONS, "transaction_put"})
"""What is about a transaction of one node of a cluster; all else the cluster remembers."""

DIRECTORY: Final = "server"
MAX_LOOKED_AT: Final = 100_000
"""So many records are looked at in search of what a transaction stored."""

ALONE: Final = object()
"""The answer to what has to wait for others, and so must not keep a group waiting."""

Items = list[tuple[bytes, bytes]]
Stored = Mapping[str, Sequence[int]]
"""Sequence numbers by the names of collections."""


class _Storing:
    """An operation that stores records: which, and what its answer is once they are there."""

    def __init__(self, items: Callable[[Any], Items] | None, answer: Callable[[Any, Stored], Message]) -> None:
        self.items = items
        """What a request stores in its collection; None: what a transaction has written."""
        self.answer = answer


def _one(request: Any) -> Items:
    return [(request.key, request.value)]


def _stored(request: Any, stored: Stored) -> Message:
    [sequences] = stored.values()
    return records.Stored(**records.run_of(sequences))


def _committed(request: Any, stored: Stored) -> Message:
    found = [
        transactions.CollectionCommit(collection=name, **records.run_of(sequences))
        for name, sequences in stored.items()
    ]
    return transactions.Committed(collections=found)


STORING: Final[Mapping[str, _Storing]] = {
    "put": _Storing(_one, _stored),
    "put_many": _Storing(lambda request: [(item.key, item.value) for item in request.items], _stored),
    "store": _Storing(_one, lambda *_: plain.Told(message="Data stored successfully")),
    "store_document": _Storing(_one, lambda *_: plain.Told(message="Document stored successfully in collection")),
    "store_batch": _Storing(
        lambda request: [(each.key, each.value) for each in request.operations],
        lambda request, _: plain.BatchDone(
            results=[plain.BatchResult(operation=number, success=True) for number in range(len(request.operations))]
        ),
    ),
    "commit": _Storing(None, _committed),
}


class Retries:
    """Does requests once, and gives those who ask again the first answer. Safe for threads."""

    def __init__(self, database: Database, *, is_of_node: bool = False) -> None:
        """What an earlier process was about to store is read from the directory of the database.

        A node of a cluster remembers what is about its transactions, and only as long as it runs.
        """
        self._database = database
        self._is_of_node = is_of_node
        self._log = None if is_of_node else IntentLog(database.path / DIRECTORY, database.secret_for("idempotency"))
        self._idempotency = Idempotency() if self._log is None else Idempotency(self._log, self._log.take_earlier())
        self._began_ms = int(time() * 1000)

    def concern(self, operation: Operation) -> bool:
        """Whether an operation changes something, so that it matters how often it is done."""
        if self._is_of_node:
            return operation.name in OF_NODES
        return operation.right in CHANGING or operation.name in OF_TRANSACTIONS

    def run(
        self,
        principal: Principal,
        key: str,
        operation: Operation,
        request: Any,
        execute: Callable[[], Message],
        written: Callable[[], Mapping[str, Sequence[bytes]]],
    ) -> Message:
        """The answer: the first one to this key, or what `execute` gives.

        `written` are the keys that the transaction of a commit has written, by collection. Raises as `Idempotency.run`.
        """
        made: list[Message] = []

        def encoded() -> bytes:
            made.append(execute())
            return msgspec.msgpack.encode(made[0])

        owner, asked = _asked(principal, operation, request)
        storing = None if self._log is None else STORING.get(operation.name)
        if storing is None:
            answer = self._idempotency.run(owner, key, asked, encoded)
        else:
            answer = self._idempotency.run(
                owner,
                key,
                asked,
                encoded,
                lambda: self._about(storing, request, written),
                lambda intent: self._recalled(storing, request, intent),
            )
        return made[0] if made else msgspec.msgpack.decode(answer, type=operation.answer)

    def _about(
        self, storing: _Storing, request: Any, written: Callable[[], Mapping[str, Sequence[bytes]]]
    ) -> list[Written]:
        if storing.items is None:
            keys = {name: list(each) for name, each in written().items()}
        else:
            keys = {request.collection: [key for key, _ in storing.items(request)]}
        about = [(*_place(self._database.collection(name)), each) for name, each in keys.items() if each]
        return sorted(about)  # as they are committed, so that answers tell of them in the same order

    def together(self) -> Keyed:
        """For a group of requests that store a record each."""
        return Keyed(self, self._idempotency)

    # What an earlier process has stored.

    def _recalled(self, storing: _Storing, request: Any, intent: Intent) -> bytes | None:
        """The answer to a request whose records are all there; None where that is not known."""
        items = None if storing.items is None else storing.items(request)
        stored: dict[str, range] = {}
        try:
            for part in intent.parts:
                collection = self._database.collection(PREFIX + str(UUID(bytes=part.collection)))
                found = self._found(collection, part, items)
                if found is None:
                    return None
                stored[collection.name] = found
        except BlockDBError:
            return None
        return msgspec.msgpack.encode(storing.answer(request, stored))

    def _found(self, collection: Collection, part: Part, items: Items | None) -> range | None:
        """Where all records of a part are, one after the other, stored since the intent and before this process."""
        first = _first_by_key(collection, items) if items else self._first_by_digest(collection, part)
        if first is None or first < part.next_sequence:
            return None
        assert self._log is not None, "only what was written down is recalled"
        run = list(collection.records(first, part.records))
        digests = self._log.digests
        if len(run) < part.records or any(record.time_ms > self._began_ms for record in run):
            return None
        keys = digests.part(part.collection, part.next_sequence, [record.key for record in run])
        if keys != part or (items is not None and not _has_values(collection, run, items)):
            return None
        return range(first, first + part.records)

    def _first_by_digest(self, collection: Collection, part: Part) -> int | None:
        assert self._log is not None, "only what was written down is recalled"
        of: Callable[[bytes], bytes] = self._log.digests.of
        for record in islice(collection.records(part.next_sequence), MAX_LOOKED_AT):
            if of(record.key)[:FIRST_BYTES] == part.first:
                return record.sequence
        return None

    def close(self) -> None:
        """Close the log. Idempotent."""
        if self._log is not None:
            self._log.close()


class Keyed:
    """Those of a group of writes that have an Idempotency-Key, by their numbers in it. For one thread."""

    def __init__(self, retries: Retries, idempotency: Idempotency) -> None:
        self._retries = retries
        self._idempotency = idempotency
        self._begun: dict[int, Entry] = {}

    def begin(self, number: int, principal: Principal, key: str, operation: Operation, request: Any) -> Any:
        """The first answer to a request, `ALONE`, or None: it is to be done.

        Raises IdempotencyConflict, InvalidData.
        """
        if not self._retries.concern(operation):
            return None
        owner, asked = _asked(principal, operation, request)
        entry = self._idempotency.begin(owner, key, asked)
        if entry is None:
            return ALONE
        if entry.answer is not None:
            return msgspec.msgpack.decode(entry.answer, type=operation.answer)
        self._begun[number] = entry
        return None

    def intend(self, collection: Collection, keys: Mapping[int, bytes]) -> Mapping[int, Exception]:
        """Note what those are about to store in a collection; gives those that must not be stored, and why not."""
        mine = [number for number in keys if number in self._begun]
        if not mine:
            return {}
        place = _place(collection)
        try:
            self._idempotency.intend((self._begun[each], [(*place, [keys[each]])]) for each in mine)
        except BlockDBError as error:
            return dict.fromkeys(mine, error)
        return {}

    def end(self, answers: Sequence[Any]) -> None:
        """Remember the answers; what has an error or none may be asked again."""
        for number, entry in self._begun.items():
            if isinstance(answers[number], Message):
                self._idempotency.end(entry, msgspec.msgpack.encode(answers[number]))
            else:
                self._idempotency.fail(entry)


def _asked(principal: Principal, operation: Operation, request: Any) -> tuple[str, bytes]:
    """Who asks, and what, as it is compared."""
    owner = f"{principal.token_id or ''}\0{principal.name}"
    return owner, operation.name.encode() + b"\0" + msgspec.msgpack.encode(request)


def _place(collection: Collection) -> tuple[bytes, int]:
    """The 16 bytes of a collection, and how many records it has."""
    uuid = bytes.fromhex(collection.id.removeprefix(PREFIX).replace("-", ""))  # UUID takes five times as long
    return uuid, collection.next_sequence


def _first_by_key(collection: Collection, items: Items) -> int | None:
    record = collection.record(items[0][0])
    return None if record is None else record.sequence


def _has_values(collection: Collection, run: Iterable[Record], items: Items) -> bool:
    """Whether records are what a batch becomes here."""
    values = [record.value for record in run]
    return values == [value for _, value in items] or values == collection.values_of(items)
