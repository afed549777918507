"""Plans about transactions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from blockdb.client.plans.documents import document_of
from blockdb.client.plans.plan import Ask, Given, Plan, names_of, whole
from blockdb.client.plans.records import in_pieces, item_of, items_of
from blockdb.documents.document import Document
from blockdb.errors import BlockDBError, Deadlock, TransactionClosed, TransactionTimeout
from blockdb.format.checks import check_bounds, check_counts, check_key
from blockdb.wire.messages import records, transactions
from blockdb.wire.operation import DEFAULT_COLLECTION

__all__ = ["ENDING", "TransactionPlans", "begin", "pause_s"]

ENDING: Final = (Deadlock, TransactionClosed, TransactionTimeout)
"""The errors after which a transaction is over."""
PAGE: Final = 5_000
FIRST_PAUSE_S: Final = 0.001
LONGEST_PAUSE_S: Final = 0.1


def begin(timeout_s: float | None) -> Plan[int]:
    """Begin a transaction: its number."""
    begun = yield Ask("begin", transactions.Begin(timeout_s=timeout_s))
    return int(begun.transaction)


class TransactionPlans:
    """Plans about one transaction."""

    def __init__(self, id_: int) -> None:
        self.id = id_
        self.ending: BlockDBError | None = None
        """How it ended, as far as is known."""

    def put(self, key: bytes, value: Given, collection: str | None) -> Plan[None]:
        """Store a record."""
        check_key(key)
        return (yield from self.put_many([(key, value)], collection))

    def put_many(self, given: Iterable[tuple[bytes, Given]], collection: str | None) -> Plan[None]:
        """Store records: all of them or, where one is refused, none, as long as they fit into one request."""
        for piece in in_pieces(items_of(given)):
            wanted = transactions.TransactionPut(transaction=self.id, items=piece, collection=_named(collection))
            yield from self._asked("transaction_put", wanted)

    def get(self, key: bytes, collection: str | None) -> Plan[bytes | None]:
        """The value of a key."""
        found = yield from self._asked("transaction_get", self._key(key, collection))
        value: bytes | None = found.value
        return value

    def exists(self, key: bytes, collection: str | None) -> Plan[bool]:
        """Whether a key is stored."""
        found = yield from self._asked("transaction_exists", self._key(key, collection))
        return bool(found.exists)

    def _key(self, key: bytes, collection: str | None) -> transactions.TransactionKey:
        return transactions.TransactionKey(transaction=self.id, collection=_named(collection), key=check_key(key))

    def scan(
        self,
        prefix: bytes | None,
        start: bytes | None,
        end: bytes | None,
        limit: int | None,
        offset: int,
        reverse: bool,
        collection: str | None,
    ) -> Plan[list[tuple[bytes, bytes]]]:
        """Keys and values: all at once, since what is written later may not be among them."""
        check_bounds(prefix, start, end)
        check_counts(limit, offset)
        found: list[tuple[bytes, bytes]] = []
        while limit is None or len(found) < limit or not found:
            most = PAGE if limit is None else min(PAGE, limit - len(found))
            wanted = transactions.TransactionScan(
                transaction=self.id,
                collection=_named(collection),
                prefix=prefix,
                start=start,
                end=end,
                limit=most,
                offset=offset + len(found),
                reverse=reverse,
            )
            page = yield from self._asked("transaction_scan", wanted)
            found += map(item_of, page.items)
            if len(page.items) < most or not most:
                break
        return found

    def find(
        self,
        where: str,
        parameters: Mapping[str, Any] | None,
        order: str,
        limit: int | None,
        offset: int,
        fields: str | Iterable[str] | None,
        collection: str | None,
    ) -> Plan[list[Document]]:
        """The documents of a query: all at once."""
        whole(limit=limit, offset=offset)
        names = names_of(fields)
        found: list[Document] = []
        while limit is None or len(found) < limit or not found:
            most = PAGE if limit is None else min(PAGE, limit - len(found))
            wanted = transactions.TransactionFind(
                transaction=self.id,
                collection=_named(collection),
                where=where,
                parameters=None if parameters is None else dict(parameters),
                order=order,
                limit=most,
                offset=offset + len(found),
                fields=names,
            )
            page = yield from self._asked("transaction_find", wanted)
            found += [document_of(each, None) for each in page.documents]
            if len(page.documents) < most or not most:
                break
        return found

    def commit(self, sync: bool) -> Plan[dict[str, Sequence[int]]]:
        """Store all of it."""
        wanted = transactions.Commit(transaction=self.id, sync=sync)
        done = yield from self._asked("commit", wanted)
        self._end("committed")
        return {each.collection: records.sequences_of(each) for each in done.collections}

    def abort(self) -> Plan[None]:
        """Forget it; one that has ended stays as it is."""
        if self.ending is not None:
            return
        try:
            yield from self.end()
        except ENDING:
            return

    def end(self) -> Plan[None]:
        """Forget it. Raises TransactionClosed where there is none."""
        self._end("aborted")
        yield Ask("abort", transactions.ByTransaction(transaction=self.id))

    def _asked(self, operation: str, request: Any) -> Plan[Any]:
        if self.ending is not None:
            raise self.ending.with_traceback(None)
        try:
            return (yield Ask(operation, request))
        except BlockDBError as error:
            if isinstance(error, ENDING):
                self.ending = error
            elif operation == "commit":
                self.ending = TransactionClosed(f"Transaction {self.id} could not be committed: {error}")
            raise

    def _end(self, how: str) -> None:
        self.ending = TransactionClosed(f"Transaction {self.id} was {how}.")


def _named(collection: str | None) -> str:
    return DEFAULT_COLLECTION if collection is None else collection


def pause_s(attempt: int, chance: float) -> float:
    """How long to wait before a transaction is run again that gave way in a deadlock."""
    return chance * min(FIRST_PAUSE_S * (1 << min(attempt, 20)), LONGEST_PAUSE_S)
